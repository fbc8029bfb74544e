"""The training loop: trains any `Task` under Orbit and resumes exactly. Knows no objective."""

from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.findings import Devices, Findings
from official_nlp.training.histogram import auc, logit_histogram
from official_nlp.training.loop import evaluate, predict, train
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.run_config import RunConfig
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.task import Data, Task, TaskConfig

__all__ = [
    "AdamW",
    "Data",
    "Devices",
    "Findings",
    "PhaseConfig",
    "RunConfig",
    "Task",
    "TaskConfig",
    "TrainingConfig",
    "WarmupDecay",
    "auc",
    "evaluate",
    "logit_histogram",
    "predict",
    "train",
]
