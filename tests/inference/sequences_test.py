import numpy as np
import pytest

from official_nlp.inference import sequences
from official_nlp.inference.inputs import TextPair


@pytest.mark.parametrize("stride", [0, 1, 2, 3])
@pytest.mark.parametrize("count", range(25))
def test_every_token_counts_in_exactly_one_window(count, stride):
    windows = sequences.cut(count, size=7, stride=stride)
    counted = [i for window in windows for i in range(window.own_start, window.own_stop)]
    assert counted == list(range(count))
    for window in windows:
        assert window.start <= window.own_start < window.own_stop <= window.stop
        assert window.stop - window.start <= 7
    # Full windows but for the last, so that there are no more than needed.
    assert all(window.stop - window.start == 7 for window in windows[:-1])


def test_a_token_counts_where_it_has_context_on_both_sides():
    first, second = sequences.cut(16, size=10, stride=4)
    assert first == (0, 10, 0, 8)
    assert second == (6, 16, 8, 16)


def test_a_long_text_is_truncated_with_a_warning(tokenizer):
    texts = [TextPair("red boat"), TextPair("red " * 9), TextPair("a", "the boat " * 4)]
    with pytest.warns(UserWarning, match="2 of 3 texts or pairs have more than 8 tokens .*12"):
        found = sequences.truncated(tokenizer, texts, 8)
    assert [len(each.ids) for each in found] == [4, 8, 8]
    expected = tokenizer("a", "the boat " * 4, max_length=8, truncation=True)
    np.testing.assert_array_equal(found[2].ids, expected["input_ids"])
    np.testing.assert_array_equal(found[2].type_ids, expected["token_type_ids"])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 3, (0, 3)), (3, 8, (4, 7)), (3, 4, (4, 4)), (0, 0, (0, 0))],
)
def test_white_space_at_the_ends_of_a_span_is_stripped(start, end, expected):
    assert sequences.stripped_span("red boa ts", start, end) == expected
