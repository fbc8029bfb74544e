"""Token sequences of sentences of words."""

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.tasks.finetuning.word_windows import in_windows

PIECES = ["a", "b", "c", "un", "##able", "##s", "-", "北", "京"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES]
IDS = {token: number for number, token in enumerate(VOCABULARY)}


@pytest.fixture(scope="module")
def tokenizer():
    return nlp.data.ElectraTokenizer(VOCABULARY)


def tokens(ids):
    return " ".join(VOCABULARY[number] for number in ids)


@pytest.mark.parametrize(
    ("words", "expected", "numbers"),
    [
        (["a", "unables", "b"], "[CLS] a un ##able ##s b [SEP]", [-1, 0, 1, -1, -1, 2, -1]),
        # Punctuation and Chinese characters do not end a word of the file.
        (["a-b", "北京"], "[CLS] a - b 北 京 [SEP]", [-1, 0, -1, -1, 1, -1, -1]),
        (["xyz"], "[CLS] [UNK] [SEP]", [-1, 0, -1]),
        # Words of which nothing remains: alone, first, last, and two of them.
        (["\u200b"], "[CLS] [UNK] [SEP]", [-1, 0, -1]),
        (["\x01", "a", "\x02\x03", "\u200b", "b", "\x07"],
         "[CLS] [UNK] a [UNK] [UNK] b [UNK] [SEP]", [-1, 0, 1, 2, 3, 4, 5, -1]),
    ],
)  # fmt: skip
def test_the_first_token_of_each_word_has_its_number(tokenizer, words, expected, numbers):
    encoded = in_windows(tokenizer, [words], 16)
    assert [tokens(each) for each in encoded.ids] == [expected]
    assert [each.tolist() for each in encoded.words] == [numbers]


@pytest.mark.parametrize("length", [8, 9, 12, 64])
def test_every_word_counts_in_one_window(tokenizer, length):
    sentences = [["a", "unables", "b-c"] * count for count in (1, 2, 9)]
    encoded = in_windows(tokenizer, sentences, length)
    assert sorted(set(encoded.sentences)) == [0, 1, 2]
    assert encoded.sentences.tolist() == sorted(encoded.sentences)
    for number, sentence in enumerate(sentences):
        parts = [each for each, own in zip(encoded.words, encoded.sentences) if own == number]
        counted = np.concatenate([part[part >= 0] for part in parts])
        assert counted.tolist() == list(range(len(sentence)))
    for ids, words in zip(encoded.ids, encoded.words, strict=True):
        assert len(ids) == len(words) <= length
        # The number of a word is at its first token.
        firsts = ids[words >= 0]
        assert firsts.tolist() == [IDS[("a", "un", "b")[n % 3]] for n in words[words >= 0]]


def test_a_word_longer_than_a_window_counts_once(tokenizer):
    long = "un" + "able" * 12
    encoded = in_windows(tokenizer, [["a", long, "b"]], 8)
    assert np.concatenate([each[each >= 0] for each in encoded.words]).tolist() == [0, 1, 2]
    # Windows within the word are left out, for they classify nothing.
    assert all((each >= 0).any() for each in encoded.words)
