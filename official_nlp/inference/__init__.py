"""Trained models applied to text. This list is the public API; a part is imported on first use."""

from official_nlp.lazy_imports import lazy_attributes

_WHERE = {
    "Predictor": ".predictor:Predictor",
    "WordSwapTest": ".word_swap:WordSwapTest",
    "judge_minimal_pairs": ".minimal_pairs:judge_minimal_pairs",
    "word_swap_test": ".word_swap:word_swap_test",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_attributes(__name__, _WHERE)
