"""Checks of a fine-tuning run before its first step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from official_nlp.tasks.finetuning.data import TaskData
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig
from official_nlp.training.task import DataByPath

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.finetuning.config import FinetuningConfig


def check(
    config: "FinetuningConfig",
    data: DataByPath,
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    devices: Devices,
) -> Findings:
    """Check a run, and say what was inferred from its data.

    Args:
      config: the configuration.
      data: opened `TaskData` under None.
      phases: phases in steps.
      training: settings of loop and optimizer.
      devices: where the run runs.
    """
    own = data[None]
    assert isinstance(own, TaskData)
    errors = []
    if devices.strategy == "tpu" and config.by_length:
        errors.append(
            "a TPU needs batches of one length: set BY_LENGTH=false, which pads every batch to "
            f"LENGTH={config.length}"
        )
    if config.evaluation_batch_size % devices.replicas:
        errors.append(
            f"evaluation_batch_size must be a multiple of {devices.replicas} replicas, was "
            f"{config.evaluation_batch_size}"
        )
    sets = {"training": own.train, **own.dev, **own.test}
    counts = ", ".join(f"{name} {len(each.examples):,}" for name, each in sets.items() if each)
    return Findings(tuple(errors), (), (*own.notes, f"examples: {counts}"))
