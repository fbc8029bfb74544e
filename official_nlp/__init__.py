"""ELECTRA for TensorFlow. This list is the public API; a part is imported when it is first used."""

import importlib

__version__ = "0.1.0"

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


def __getattr__(name: str):
    # TensorFlow takes seconds to import: `import official_nlp` and the command's help do without.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    value = importlib.import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
