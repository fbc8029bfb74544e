"""Trained models applied to text."""

from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.word_swap import WordSwapTest, word_swap_test

__all__ = ["WordScorer", "WordSwapTest", "word_swap_test"]
