import pytest

from official_nlp.data import text_windows


@pytest.mark.parametrize("stride", [0, 1, 2, 3])
@pytest.mark.parametrize("count", range(25))
def test_every_token_counts_in_exactly_one_window(count, stride):
    windows = text_windows.cut(count, size=7, stride=stride)
    counted = [i for window in windows for i in range(window.own_start, window.own_stop)]
    assert counted == list(range(count))
    for window in windows:
        assert window.start <= window.own_start < window.own_stop <= window.stop
        assert window.stop - window.start <= 7
    # Full windows but for the last, so that there are no more than needed.
    assert all(window.stop - window.start == 7 for window in windows[:-1])


def test_a_token_counts_where_it_has_context_on_both_sides():
    first, second = text_windows.cut(16, size=10, stride=4)
    assert first == (0, 10, 0, 8)
    assert second == (6, 16, 8, 16)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 3, (0, 3)), (3, 8, (4, 7)), (3, 4, (4, 4)), (0, 0, (0, 0))],
)
def test_white_space_at_the_ends_of_a_span_is_stripped(start, end, expected):
    assert text_windows.stripped_span("red boa ts", start, end) == expected
