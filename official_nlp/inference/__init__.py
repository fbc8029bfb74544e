"""Trained models applied to text. This list is the public API; a part is imported on first use."""

import importlib
from typing import Any

_WHERE = {
    "Predictor": "predictor",
    "WordSwapTest": "word_swap",
    "word_swap_test": "word_swap",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    # The command imports this package for its help, which must not wait for TensorFlow.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
