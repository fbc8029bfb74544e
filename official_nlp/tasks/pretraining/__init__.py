"""ELECTRA pre-training: a generator and a discriminator, trained together."""

from official_nlp.tasks.pretraining.config import PretrainingConfig
from official_nlp.tasks.pretraining.data import PretrainingData
from official_nlp.tasks.pretraining.generator_monitor import GeneratorMonitor
from official_nlp.tasks.pretraining.task import ElectraPretraining

__all__ = ["ElectraPretraining", "GeneratorMonitor", "PretrainingConfig", "PretrainingData"]
