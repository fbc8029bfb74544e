"""ELECTRA for TensorFlow: the public API, whose parts are imported on first use.

`__init__.pyi` repeats the table for editors and type checkers.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name to module, or module:attribute.
_WHERE = {
    "data": "official_nlp.data",
    "inference": "official_nlp.inference",
    "layers": "official_nlp.modeling.layers",
    "losses": "official_nlp.modeling.losses",
    "models": "official_nlp.modeling.models",
    "networks": "official_nlp.modeling.networks",
    "ops": "official_nlp.modeling.ops",
    "tasks": "official_nlp.tasks",
    "training": "official_nlp.training",
    "Predictor": "official_nlp.inference.predictor:Predictor",
    "InputError": "official_nlp.errors:InputError",
    "ReferenceQuirks": "official_nlp.reference_quirks:ReferenceQuirks",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """Import a public name: TensorFlow takes seconds, and the help of the command needs none."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    value = importlib.import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
