import numpy as np
import pytest

from official_nlp.inference import sequences
from official_nlp.inference.inputs import TextPair


def test_a_long_text_is_truncated_with_a_warning(tokenizer):
    texts = [TextPair("red boat"), TextPair("red " * 9), TextPair("a", "the boat " * 4)]
    with pytest.warns(UserWarning, match="truncated 2 of 3 texts or pairs to 8 tokens .*12"):
        found = sequences.truncated(tokenizer, texts, 8)
    assert [len(each.ids) for each in found] == [4, 8, 8]
    expected = tokenizer("a", "the boat " * 4, max_length=8, truncation=True)
    np.testing.assert_array_equal(found[2].ids, expected["input_ids"])
    np.testing.assert_array_equal(found[2].type_ids, expected["token_type_ids"])
