"""Train the smallest run that the tests of this folder convert and start from."""

import contextlib
import io
import pathlib

from official_nlp.interchange.task_networks import HasNetworks
from official_nlp.interchange.warm_start import WarmStart
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from official_nlp.training import PhaseConfig, TrainingConfig, loop

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


def network(**changes) -> ElectraConfig:
    """Return a discriminator of two layers, with dropout."""
    sizes = {
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
        "initializer_range": 0.2,
    }
    return ElectraConfig(**{**sizes, **changes})


def config(sharing: str = "shared", **changes) -> PretrainingConfig:
    """Return a discriminator and a generator of half its width, or of its own with `whole`."""
    narrow = {} if sharing == "whole" else {"hidden_size": 8, "num_attention_heads": 1}
    return PretrainingConfig(network(**narrow), network(), sharing=sharing, **changes)


def train(
    folder: pathlib.Path,
    path: pathlib.Path,
    sharing: str = "shared",
    init: dict | None = None,
    training: TrainingConfig = TRAINING,
) -> str:
    """Train a run of few steps; return what was printed, with single spaces.

    Args:
      folder: the run folder.
      path: the data folder.
      sharing: how the networks share variables.
      init: source of pretrained weights of each network, if any.
      training: settings of the loop.
    """
    task_config = config(sharing)
    data = {None: task_config.open_data(path)}
    task = task_config.make(data, training)
    tokenizer = data[None].folder.tokenizer
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        warm_start = WarmStart(init, task, tokenizer) if init else None
        loop.train(
            task,
            [PhaseConfig(STEPS, batch_size=4, length=32)],
            training,
            folder,
            data=data,
            warm_start=warm_start,
        )
    return " ".join(printed.getvalue().split())


def task_of(task_config: PretrainingConfig) -> HasNetworks:
    """Return the task of a configuration, without data."""
    return task_config.make(None, TRAINING)
