"""Scored words and word-swap tests with chosen probabilities."""

import dataclasses

from official_nlp.inference.replaced_words import ScoredWord, find_words
from official_nlp.inference.word_swap import WordSwap, WordSwapTest

TEXT = "The <b>cat</b> & dog sat."
PROBABILITIES = [0.1, 0.05, 0.8, 0.06, 0.3, 0.4]  # The b cat b dog sat
NUMBERS = [field.name for field in dataclasses.fields(WordSwapTest) if field.name != "sentences"]


def words(text=TEXT, probabilities=PROBABILITIES):
    spans = find_words(text)
    return [ScoredWord(text[a:b], a, b, p) for (a, b), p in zip(spans, probabilities, strict=True)]


def swap(text, probabilities, position, rank, original="dog"):
    return WordSwap(text, original, position, words(text, probabilities), rank, rank + 1)


def word_swap_test(*sentences):
    values = dict.fromkeys(NUMBERS, 0.5)
    return WordSwapTest(list(sentences), **{**values, "median_rank": 3.0, "chance_median": 9.0})
