"""Tests of the encoder with a cache of words."""

import gzip
import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from official_nlp.data.pretraining import encoding
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

LINES = strategies.lists(
    strategies.one_of(
        strategies.text(),
        strategies.text(
            strategies.sampled_from("aA éE\u0301\u0308#[]MASKß Σςﬁ\t\u3000\x1f\x85中文.,-")
        ),
        strategies.lists(strategies.sampled_from(["the", "boats", "a.b", "[MASK]", ""])).map(
            " ".join
        ),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    """A tokenizer with and one without lower-casing."""
    words = [*tokenizer.vocab, "中", "Σ", "é"]
    return {lower: ElectraTokenizer(words, do_lower_case=lower) for lower in (False, True)}


def test_the_cache_changes_no_ids(tokenizers, property_settings):
    @property_settings
    @hypothesis.given(blocks=strategies.lists(LINES, max_size=3), lower=strategies.booleans())
    def check(blocks, lower):
        encoder = encoding.LineEncoder(tokenizers[lower])
        for lines in blocks:
            ids, lengths = encoder.encode(lines)
            expected = tokenizers[lower].encode_ids(lines)
            assert ids.dtype == np.int32
            assert lengths.tolist() == [len(line) for line in expected]
            assert ids.tolist() == [id for line in expected for id in line]

    check()


@pytest.mark.parametrize(("words", "longest"), [(3, 24), (100, 2)])
def test_the_cache_is_bounded(tokenizer, monkeypatch, words, longest):
    monkeypatch.setattr(encoding, "_CACHED_WORDS", words)
    monkeypatch.setattr(encoding, "_LONGEST_CACHED", longest)
    encoder = encoding.LineEncoder(tokenizer)
    for line in ("the red boat", "a green bird walks", "on a red stone"):
        ids, _ = encoder.encode([line])
        assert ids.tolist() == tokenizer.encode_ids([line])[0].tolist()
        assert len(encoder._cache) <= words
        assert all(len(word) <= longest for word in encoder._cache)


def test_the_cache_changes_no_ids_of_real_text(outside_data):
    tokenizer = ElectraTokenizer(outside_data / "golden" / "tokenizer" / "vocab.txt")
    encoder = encoding.LineEncoder(tokenizer)
    for name in ("de_books", "zh_wikipedia_cmrc2018", "en_wikitext103_valid"):
        with gzip.open(outside_data / "data" / "corpus" / f"{name}.txt.gz", "rt") as file:
            lines = [line.strip() for line in itertools.islice(file, 600)]
        ids, _ = encoder.encode(lines)
        np.testing.assert_array_equal(ids, np.concatenate(tokenizer.encode_ids(lines)))
