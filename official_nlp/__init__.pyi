# What `__init__.py` provides lazily, for editors and type checkers.
from official_nlp import data as data
from official_nlp import inference as inference
from official_nlp import serving as serving
from official_nlp import tasks as tasks
from official_nlp import training as training
from official_nlp.errors import InputError as InputError
from official_nlp.inference.predictor import Predictor as Predictor
from official_nlp.modeling import layers as layers
from official_nlp.modeling import losses as losses
from official_nlp.modeling import models as models
from official_nlp.modeling import networks as networks
from official_nlp.modeling import ops as ops
from official_nlp.reference_quirks import ReferenceQuirks as ReferenceQuirks
from official_nlp.runs.fine_tune import fine_tune as fine_tune
from official_nlp.serving.export_model import export as export

__version__: str
__all__: list[str]

def __dir__() -> list[str]: ...
