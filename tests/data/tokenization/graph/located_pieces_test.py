"""A graph locates pieces in the text at the characters that the Python tokenizer returns."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data import text_windows
from official_nlp.data.tokenization.graph.graph_tokenizer import GraphTokenizer
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.errors import InputError
from tests.data.tokenization.graph import graph_sentencepiece_test
from tests.data.tokenization.graph.agreement import TEXTS
from tests.data.tokenization.graph.graph_tokenizer_test import SETTINGS, VOCABULARY

# Marks that are neither in order nor all retained are located one mark off.
UNSORTED = ("a\u08d4\u0301\u1bf2", "a\u302e\u0301\u302f")
LOCATED_TEXTS = [text for text in TEXTS if not any(marks in text for marks in UNSORTED)]


def assert_located(tokenizer: ElectraTokenizer, texts: list[str]) -> None:
    pieces = GraphTokenizer(tokenizer).located(tf.constant(texts))
    rows = zip(*(values.to_list() for values in pieces))
    for text, (ids, starts, ends, begins) in zip(texts, rows, strict=True):
        expected = text_windows.tokenize(tokenizer, text)
        assert ids == expected.ids.tolist(), text
        # White space that a token includes is not located.
        found = [text_windows.stripped_span(text, *each) for each in zip(starts, ends)]
        assert found == [text_windows.stripped_span(text, *each) for each in expected.offsets], text
        _, first = np.unique(expected.words, return_index=True)
        assert np.flatnonzero(begins).tolist() == first.tolist(), text


QUICK = ("uncased", "words never split", "single words", "all tokens normalized")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SETTINGS],
)
def test_wordpieces_are_where_the_tokenizer_finds_them(name):
    tokenizer = ElectraTokenizer(VOCABULARY, **SETTINGS[name])
    if any(token.normalized for token in tokenizer.added_tokens):
        with pytest.raises(InputError, match="must not be `normalized`"):
            assert_located(tokenizer, ["a"])
    else:
        assert_located(tokenizer, LOCATED_TEXTS)


@pytest.fixture(scope="module", params=["sentencepiece", "sentencepiece-bpe"])
def model(request, text_file, tmp_path_factory):
    to = tmp_path_factory.mktemp("located model")
    train_vocabulary(text_file, to, size=90, kind=request.param, progress=False)
    return to


@pytest.mark.parametrize("name", graph_sentencepiece_test.SETTINGS)
def test_sentencepieces_are_where_the_tokenizer_finds_them(model, name):
    settings = graph_sentencepiece_test.SETTINGS[name]
    tokenizer = ElectraTokenizer.from_pretrained(model, **settings)
    assert_located(tokenizer, [*graph_sentencepiece_test.SENTENCES, "\u3000 the\u3000 boat"])
