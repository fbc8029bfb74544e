"""ELECTRA for TensorFlow: the public API, whose parts are imported on first use.

`__init__.pyi` repeats the table for editors and type checkers.
"""

import os
import platform

from official_nlp.lazy_imports import lazy_attributes

if platform.machine() in ("x86_64", "AMD64"):
    # The kernels of oneDNN are faster on every such processor, but TensorFlow chooses them by
    # itself on the newest only. It reads the variable when it is imported.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

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
    "serving": "official_nlp.serving",
    "tasks": "official_nlp.tasks",
    "training": "official_nlp.training",
    "export": "official_nlp.serving.export_model:export",
    "fine_tune": "official_nlp.runs.fine_tune:fine_tune",
    "Predictor": "official_nlp.inference.predictor:Predictor",
    "InputError": "official_nlp.errors:InputError",
    "ReferenceQuirks": "official_nlp.reference_quirks:ReferenceQuirks",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_attributes(__name__, _WHERE)
