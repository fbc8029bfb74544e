"""The interface between the training loop and an objective.

A *task config* is a frozen dataclass that a recipe binds and that `run.json` stores. With opened
data it makes a *task*: a model, its batches, its losses and its metrics. The loop, the commands and
the predictor know these two classes and no objective.
"""

import abc
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from official_nlp.training.findings import Devices, Findings

if TYPE_CHECKING:  # These modules import this one.
    from official_nlp.training.config import TrainingConfig
    from official_nlp.training.phase import PhaseConfig

# Tensors `[batch, ...]` by name. Shapes are static, unless the batches of a task have several
# lengths: then one axis is unknown, but not that of the batch, and not on a TPU.
Batch = dict[str, tf.Tensor]
# Tensors of any static shape by name. They are added over steps, replicas and hosts, so a
# histogram is a sum too. Ratios do not add up: they are computed at the end, on the host.
Sums = dict[str, tf.Tensor]
# Tensors `[batch, ...]` by name, one entry for each example. They are concatenated over a set, so
# the task pads those whose length depends on the batch to one length.
Rows = dict[str, tf.Tensor]
# A row of this name, bool `[batch]`, is False at examples that only pad the last batch.
VALID = "valid"
# A row of this name, an integer `[batch]`, is the number of an example within its evaluation set.
# Gathered rows are sorted by it, so that a task may evaluate in another order than that of its
# file, such as by length. Rows of equal numbers, such as the windows of a long text, stay in order.
ORDER = "example"


class Data(abc.ABC):
    """Opened data of a task: a folder or a file.

    Attributes:
      examples: number of examples for training.
      corrupt_rows: number of corrupt records that were skipped so far.
    """

    examples: int
    corrupt_rows: int = 0

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the content, which differs where the examples differ."""

    def describe(self) -> dict[str, Any]:
        """Return what `run.json` and `electra info` show of the data, for people."""
        return {"examples": self.examples}

    def corruption(self) -> str:
        """Return a sentence on the corrupt records that were skipped; empty without any."""
        return ""


# The data of a run under None, and that of phases with data of their own under its path.
DataByPath = Mapping[str | None, Data]


class TaskConfig(abc.ABC):
    """Configuration of an objective. Subclasses are frozen dataclasses of plain values.

    A class that is not part of this package becomes known to `evaluate`, `predict` and `info`
    through an entry point of the group `official_nlp.tasks`; see CONTRIBUTING.md.
    """

    @abc.abstractmethod
    def open_data(self, path: str | os.PathLike, corrupt_records: str = "stop") -> Data:
        """Open a data folder or file.

        Args:
          path: what the setting `DATA` names.
          corrupt_records: policy for corrupt records, one of `config.CORRUPT_RECORDS`.

        Raises:
          InputError: the path cannot be read, or is no data of this task.
        """

    def inspect_data(self, path: str | os.PathLike, corrupt_records: str = "stop") -> Data:
        """Open data as `open_data` does, but write nothing: for a dry run.

        A task whose `open_data` writes, such as an index beside the data, overrides it.
        """
        return self.open_data(path, corrupt_records)

    @abc.abstractmethod
    def make(self, data: DataByPath | None, training: "TrainingConfig") -> "Task":
        """Return the task.

        Args:
          data: opened data; None to build, predict with and export a trained model, without any.
          training: settings of the run, such as the seed.

        Raises:
          InputError: data and configuration do not fit each other.
        """

    def preflight(
        self,
        data: DataByPath,
        phases: "Sequence[PhaseConfig]",
        training: "TrainingConfig",
        devices: Devices,
    ) -> Findings:
        """Check a run before its first step, and estimate what it costs. Phases are in steps."""
        return Findings()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TaskConfig":
        """Return the configuration on which `to_dict` was called."""
        return cls(**values)

    @classmethod
    def from_run(cls, values: Mapping[str, Any], folder: str | os.PathLike) -> "TaskConfig":
        """Return the configuration of a saved run, which may refer to files of its folder."""
        return cls.from_dict(values)


class Task(abc.ABC):
    """A model, its data, its losses and its metrics.

    Attributes:
      config: the configuration that made the task, complete: it alone builds the same model.
      loss_weights: weights of the loss terms by name; a phase may replace them. Terms of weight 0
        are not computed. Where it is empty, every term has the weight 1.
    """

    config: TaskConfig
    loss_weights: Mapping[str, float] = {}

    # === The model ===

    @abc.abstractmethod
    def build(self) -> Any:
        """Return the model with all variables created. Called once, in the strategy's scope."""

    def checkpoint_items(self, model: Any) -> Mapping[str, Any]:
        """Return the roots of the checkpoint: trackable parts of the model by name."""
        return {"model": model}

    def trainable_variables(self, model: Any, phase: "PhaseConfig") -> list[tf.Variable]:
        """Return the variables that a phase trains; its losses must reach each of them."""
        return list(model.trainable_variables)

    def learning_rate_scale(self, variable: tf.Variable) -> float:
        """Return a factor on the learning rate of a variable, such as layer-wise decay."""
        return 1.0

    # === Training ===

    @abc.abstractmethod
    def train_dataset(
        self, stage: int, phase: "PhaseConfig", first_step: int, host: int, hosts: int
    ) -> tf.data.Dataset:
        """Return the endless batches of a phase.

        A batch is a dict of tensors, see `Batch`, and a function of its position alone. It holds
        `stream_position`, int64 `[batch]`: the number of each example in the stream of the phase.
        Consecutive examples have consecutive numbers.

        Args:
          stage: index of the phase.
          phase: the phase.
          first_step: step of the phase at which to begin; 0 is the first.
          host: index of this process.
          hosts: number of processes; each gets its share of the examples of every batch.
        """

    @abc.abstractmethod
    def weights(self, batch: Batch, phase: "PhaseConfig") -> dict[str, tf.Tensor]:
        """Return the weight of each loss term, a scalar, from the batch alone.

        It is the number of tokens or examples that the sum of the term runs over. Weights are
        added over micro-batches and replicas before the first of them runs; `losses` does not
        repeat them.
        """

    @abc.abstractmethod
    def losses(
        self, model: Any, batch: Batch, phase: "PhaseConfig"
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        """Run the model for training on the batch of one replica; called while tracing.

        Returns:
          The sum of each loss term, a scalar, under the names of `weights`; and sums to report.
          Both have the same names in every step of a phase.
        """

    # === Evaluation ===

    def evaluation_sets(self) -> Mapping[str, tf.data.Dataset]:
        """Return the evaluation sets by name, each one pass over batches as in training.

        Their number of batches is known (`cardinality`).
        """
        return {}

    def evaluate(self, model: Any, batch: Batch) -> tuple[Sums, Rows]:
        """Run the model on the evaluation batch of one replica.

        Returns:
          Sums, and rows that `report` needs of every example of the set, such as predicted spans.
        """
        raise NotImplementedError(f"{type(self).__name__} has no evaluation")

    def report(
        self, sums: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        """Compute metrics from float64 sums and gathered rows, the main metrics first.

        Args:
          sums: added over a metric window of training, or over an evaluation set.
          rows: concatenated over an evaluation set without padding, in order of the row `ORDER`
            where there is one, which remains among them; empty in training.
        """
        return {}

    def metric_names(self) -> Sequence[str] | None:
        """Return the names of all metrics of an evaluation, as `SET/NAME`, without evaluating.

        `keep_best` is compared with them before the first step. They are empty where the data has
        no evaluation set, and None where the names are not known in advance.
        """
        return None

    def baselines(self) -> Mapping[str, float]:
        """Return what is reached without the model, by name: printed, and lines in the curves."""
        return {}

    def monitor(self) -> Callable[[Mapping[str, float]], str | None] | None:
        """Return a function that gets the metrics of each window and may return a warning."""
        return None

    # === Prediction and files ===

    def predict(self, model: Any, batch: Batch) -> Rows:
        """Return the rows that `electra predict` writes, for the batch of one replica."""
        return self.evaluate(model, batch)[1]

    def write_files(self, folder: os.PathLike) -> None:  # noqa: B027, nothing is a valid choice
        """Write what a run folder needs besides checkpoints, such as a tokenizer."""
