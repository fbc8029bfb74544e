"""Train the smallest run that the tests of this folder convert and start from."""

import contextlib
import io
import pathlib

from official_nlp.cli import runs
from official_nlp.interchange import interim_run
from official_nlp.training import TrainingConfig
from tests.tasks.conftest import config, phase

STEPS = 4
TRAINING = TrainingConfig(
    learning_rate=1e-3,
    warmup_steps=2,
    steps_per_loop=2,
    checkpoint_interval=2,
    evaluation_interval=2,
    keep_best="rtd_loss",
    seed=5,
)


def train(folder: pathlib.Path, data: pathlib.Path, sharing: str = "shared", **changes) -> str:
    """Train a run of few steps; return what was printed, with single spaces."""
    options = {
        "task": config(sharing),
        "phases": (phase(steps=STEPS),),
        "training": TRAINING,
        **changes,
    }
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runs.train(model_dir=str(folder), data=str(data), **options)
    return " ".join(printed.getvalue().split())


def task_of(config):
    """Return the task of a `PretrainingConfig`, without data."""
    return interim_run.Networks(config)
