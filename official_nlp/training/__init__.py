"""The loop: trains any `Task` under orbit, and resumes exactly. Knows no modeling and no data."""

from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.histogram import auc, logit_histogram
from official_nlp.training.loop import evaluate, train
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.task import Task

__all__ = [
    "AdamW",
    "PhaseConfig",
    "Task",
    "TrainingConfig",
    "WarmupDecay",
    "auc",
    "evaluate",
    "logit_histogram",
    "train",
]
