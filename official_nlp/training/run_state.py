"""The variables of a run, and what computes with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf
import tf_keras

from official_nlp.training import precision
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.phase import PhaseConfig, Stage, total_steps
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.task import Task
from official_nlp.training.trainer import PhaseTrainer


class RunState:
    """Model, optimizer and global step of a run, newly created in the strategy's scope.

    Args:
      task: what to train.
      phases: phases in steps, with all loss weights.
      config: settings with a warm-up in steps.
      strategy: strategy of the settings.

    Attributes:
      model: model of the task.
      step: number of finished updates, a variable.
    """

    def __init__(
        self,
        task: Task,
        phases: Sequence[PhaseConfig],
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
    ):
        # Keras draws initial values from its own generators.
        tf_keras.utils.set_random_seed(config.seed)
        self._task = task
        self._config = config
        self._strategy = strategy
        self._schedule = schedule(config, total_steps(phases))
        self._loss_scale = None
        with strategy.scope():
            with precision.policy(config.policy):
                self.model = task.build()
            if config.policy == "mixed_float16":
                self._loss_scale = precision.LossScale()
            self.step = orbit.utils.create_global_step()
            self._optimizer = _optimizer(config, self._schedule, task)
            # A restored checkpoint must find every slot, also those of variables that only a later
            # phase trains.
            self._optimizer.build(self._all_variables(phases))

    def _all_variables(self, phases: Sequence[PhaseConfig]) -> list[tf.Variable]:
        every = [v for each in phases for v in self._task.trainable_variables(self.model, each)]
        # Each variable once, in a fixed order: the slots in a checkpoint are numbered by it.
        return list({variable.ref(): variable for variable in every}.values())

    def checkpoint_items(self) -> Mapping[str, Any]:
        """Return the roots of a checkpoint by name."""
        items = {
            **self._task.checkpoint_items(self.model),
            "optimizer": self._optimizer,
            "step": self.step,
        }
        if self._loss_scale is not None:
            items["loss_scale"] = self._loss_scale
        return items

    def trainer(self, stage: Stage) -> PhaseTrainer:
        """Return the trainer of a phase."""
        return PhaseTrainer(
            self._task,
            self.model,
            self._optimizer,
            self._schedule,
            self.step,
            stage,
            self._config,
            self._strategy,
            self._loss_scale,
        )


def schedule(config: TrainingConfig, total: int) -> WarmupDecay:
    """Return the learning rate of a run of so many steps."""
    assert config.warmup_steps is not None  # See `loop.resolved`.
    return WarmupDecay(
        config.learning_rate,
        total,
        config.warmup_steps,
        config.decay_power,
        config.reference_quirks.warmup_from_zero,
    )


def _optimizer(config: TrainingConfig, schedule: WarmupDecay, task: Task) -> AdamW:
    return AdamW(
        schedule,
        weight_decay=config.weight_decay,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        global_clipnorm=config.clip,
        bias_correction=config.reference_quirks.bias_correction,
        learning_rate_scale=task.learning_rate_scale,
    )
