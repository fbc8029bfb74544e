# What `__init__.py` provides lazily, for editors and type checkers.
from official_nlp.inference.minimal_pairs import judge_minimal_pairs as judge_minimal_pairs
from official_nlp.inference.predictor import Predictor as Predictor
from official_nlp.inference.word_swap import WordSwapTest as WordSwapTest
from official_nlp.inference.word_swap import word_swap_test as word_swap_test

__all__: list[str]

def __dir__() -> list[str]: ...
