"""ELECTRA pre-training: a generator and a discriminator, trained together."""

from official_nlp.tasks.pretraining.config import PretrainingConfig
from official_nlp.tasks.pretraining.generator_monitor import GeneratorMonitor
from official_nlp.tasks.pretraining.task import ElectraPretraining
from official_nlp.tasks.pretraining_data import PretrainingData

__all__ = ["ElectraPretraining", "GeneratorMonitor", "PretrainingConfig", "PretrainingData"]
