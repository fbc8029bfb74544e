"""What the loop trains: the one interface between training and everything that is trained."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from official_nlp.training.phase import PhaseConfig

# A sum over tokens or examples, and the sum of their weights: two float32 scalars.
Term = tuple[tf.Tensor, tf.Tensor]


class Task(Protocol):
    """A model, its data and its losses.

    Everything measured is a *sum*: sums of steps, replicas and hosts add up, ratios do not. Sums
    are tensors of any static shape, so a histogram is one too. `report` divides, on the host.

    Attributes:
      name: of the objective, for messages.
    """

    name: str

    def build(self) -> Any:
        """Returns the model with all its variables made. Called once, in the strategy's scope."""

    def checkpoint_items(self, model) -> Mapping[str, Any]:
        """Returns the roots of the checkpoint: trackable parts of the model by name."""

    def train_dataset(
        self, phase_index: int, phase: PhaseConfig, first_step: int, host: int, hosts: int
    ) -> tf.data.Dataset:
        """Returns the endless batches of a phase, from its step `first_step` (0 is the first).

        A batch is a dict of tensors with static shapes, and a function of its place alone. Among
        them `stream_position` int64 `[batch]`: each row's number in the phase, consecutive.
        """

    def evaluation_dataset(self) -> tf.data.Dataset | None:
        """Returns one pass over held-out data, batches as above, or None where there is none."""

    def weights(self, batch: dict, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        """Returns the weight of each term that `losses` will return, from the batch alone.

        Summed over micro-batches and replicas it is what the term is divided by, before any of
        them has run.
        """

    def losses(
        self, model, batch: dict, phase: PhaseConfig
    ) -> tuple[dict[str, Term], dict[str, tf.Tensor]]:
        """Runs the model for training on one replica's batch; called while tracing.

        Returns:
          The terms of the loss by name, each a sum and its weight; the total is the sum of
          `coefficient * sum / weight` with coefficients from `PhaseConfig.coefficient`. What has
          coefficient 0 in this phase should not be run and not be returned.
          And the sums to be measured. Both have the same names in every step of a phase.
        """

    def trainable_variables(self, model, phase: PhaseConfig) -> list[tf.Variable]:
        """Returns what the phase trains; its losses must reach each of them."""

    def evaluate(self, model, batch: dict) -> dict[str, tf.Tensor]:
        """Runs the model on one replica's batch of the evaluation data; returns sums."""

    def report(self, sums: dict[str, np.ndarray]) -> dict[str, float]:
        """Turns float64 sums, of `losses` or of `evaluate`, into metrics, the main ones first."""
