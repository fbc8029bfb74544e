"""A graph divides texts into the words that `data.text_words` finds."""

import random

import pytest
import tensorflow as tf

from official_nlp.data import ElectraTokenizer, GraphTokenizer, text_words
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.serving.text_words import TextWords
from tests.data.text_words_test import TOKENIZER

TEXTS = [
    "The U.S. paid 3.5 to AT&T. O'Brien, twenty-one, 1,000",
    "In the U.N., e.g. the end. version 3.5. She left...",
    "Anna's boat, the dogs' and it\u2019s a 's x's-y's.",
    'said: "No." (a -b) http://a.b a - b',
    "\u5317\u4eac.\u4e0a \u0928\u0940.\u0928\u0940 \u00e9.e\u0301'S",
    "",
    " \n",
    "a.b..c.. .a. a.'s U.S.'s 1.2. x.y.",
]
ALPHABET = "aBs1..''\u2019--& \u4e2d\u00e9"


def assert_same_words(tokenizer, texts):
    pieces = GraphTokenizer(tokenizer).located(tf.constant(texts))
    words = TextWords()(tf.constant(texts), pieces)
    found = list(zip(*(each.numpy().tolist() for each in words)))
    for row, text in enumerate(texts):
        expected = text_words.spans(tokenizer, text)
        assert [(start, end) for of, start, end in found if of == row] == expected, text


def test_words_are_those_of_python():
    draw = random.Random(0)
    texts = ["".join(draw.choices(ALPHABET, k=draw.randint(1, 20))) for _ in range(300)]
    assert_same_words(TOKENIZER, [*TEXTS, *texts])


def test_a_batch_of_no_text_has_no_words():
    assert_same_words(TOKENIZER, [""])


@pytest.mark.slow
def test_words_of_a_sentencepiece_model_are_those_of_python(text_file, tmp_path):
    train_vocabulary(text_file, tmp_path / "to", size=90, kind="sentencepiece", progress=False)
    tokenizer = ElectraTokenizer.from_pretrained(tmp_path / "to")
    assert_same_words(tokenizer, [*TEXTS, " the boat. A bird's  river "])
