"""Saved runs: a run folder opened by a program that does not train it."""

import functools
import importlib
import importlib.metadata
import math
import os
import pathlib
from typing import Any

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import tensor_shapes
from official_nlp.interchange.task_networks import HasNetworks
from official_nlp.interchange.tensorflow_files import Variables
from official_nlp.training import Task, TaskConfig, TrainingConfig, checkpoints, metrics_log
from official_nlp.training.run_folder import RunFolder

# Task configs that run.json may name. A file from elsewhere must not choose what is imported: any
# other class is looked up among the entry points of installed packages.
TASK_CONFIGS = (
    "official_nlp.tasks.pretraining.config.PretrainingConfig",
    "official_nlp.tasks.finetuning.text_classification.TextClassificationConfig",
    "official_nlp.tasks.finetuning.token_classification.TokenClassificationConfig",
    "official_nlp.tasks.finetuning.question_answering.QuestionAnsweringConfig",
)
ENTRY_POINTS = "official_nlp.tasks"
# What a constructor raises for values that are damaged, or of another version.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class SavedRun:
    """The task of a run, its model and its metrics.

    Args:
      folder: the run folder.
      which: checkpoint: `newest`, `best` or the number of a step.

    Attributes:
      path: the folder.
      described: content of `run.json`.
      task_config: configuration of the task.

    Raises:
      InputError: the folder is not a run folder, a file of it was changed, or its task is unknown.
    """

    def __init__(self, folder: str | os.PathLike, which: int | str = "newest"):
        self.path = pathlib.Path(folder)
        self._folder = RunFolder(folder)
        self._which = which
        self.described: dict[str, Any] = self._folder.describe()
        self._folder.require_unchanged()
        self._check()
        self.task_config = _task_config(self.described.get("task"), self._folder)

    def _check(self) -> None:
        """Check what is read of `run.json` besides the task and the settings of training."""
        file = self._folder.description
        for number, phase in enumerate(self.phases):
            for name in ("steps", "batch_size", "length"):
                if not isinstance(phase, dict) or type(phase.get(name)) is not int:
                    raise InputError(
                        f"{file}: phases[{number}] must be an object with an integer {name!r}: the "
                        "file is damaged; copy the run again"
                    )
        origin = self.described.get("origin", {})
        parts = [origin.get("data", {}), origin.get("warm_start", {})]
        if all(isinstance(part, dict) for part in parts):
            parts += parts[1].values()
        if not all(isinstance(part, dict) for part in parts):
            raise InputError(
                f"{file}: origin must describe data and warm_start by objects: the file is "
                "damaged; copy the run again"
            )

    @functools.cached_property
    def task(self) -> Task:
        """The task without data: it builds the model."""
        return self.task_config.make(None, self.training)

    @functools.cached_property
    def model(self) -> Any:
        """The model of the checkpoint. The state of the optimizer is not read."""
        self._check_sizes()
        # Outside the policy of the run: a saved model computes in float32, in which its variables
        # are stored under every policy.
        model = self.task.build()
        items = self.task.checkpoint_items(model)
        checkpoints.restore_items(items, self._folder.checkpoints, self._which)
        return model

    def _check_sizes(self) -> None:
        """Compare the sizes in `run.json` with the checkpoint, before a model of them is built.

        Raises:
          InputError: the networks have more parameters than the checkpoint has numbers.
        """
        if not isinstance(self.task, HasNetworks):
            return
        path = checkpoints.find(self._folder.checkpoints, self._which)
        stored = sum(math.prod(shape) for shape in Variables(pathlib.Path(path)).shapes.values())
        for name, config in self.task.networks().items():
            needed = tensor_shapes.least_parameters(config)
            if needed > stored:
                raise InputError(
                    f"{self._folder.description} declares {config.num_hidden_layers} layers of "
                    f"width {config.hidden_size} for the {name or 'network'}, which have "
                    f"{needed:,} parameters, but {path} holds only {stored:,} numbers: one of the "
                    "two is of another run; copy the run folder again"
                )

    @functools.cached_property
    def tokenizer(self) -> ElectraTokenizer:
        """Tokenizer of the run.

        Raises:
          InputError: the run has none.
        """
        return ElectraTokenizer.from_pretrained(self.path / "tokenizer")

    @property
    def training(self) -> TrainingConfig:
        """Settings of the run that are recorded: those that its identity and rounding depend on."""
        recorded = {**self.described["training"], **self.described.get("rounding", {})}
        try:
            return TrainingConfig.from_dict(recorded)
        except _UNREADABLE as error:
            raise InputError(
                f"{self._folder.description} holds settings of training that cannot be read: "
                f"{error}; another version wrote it, or it is damaged"
            ) from error

    @property
    def phases(self) -> list[dict[str, Any]]:
        """Recorded fields of the phases."""
        return self.described["phases"]

    @property
    def is_saved(self) -> bool:
        """Whether the run has a checkpoint."""
        return self._folder.has_checkpoint

    @property
    def step(self) -> int:
        """Step of the checkpoint."""
        path = checkpoints.find(self._folder.checkpoints, self._which)
        return int(path.rpartition("-")[2])

    @property
    def last_step(self) -> int:
        """Step at which the run ends."""
        return sum(phase["steps"] for phase in self.phases)

    def evaluation(self) -> dict[str, Any]:
        """Return the last line of evaluation metrics up to the checkpoint, {} without one.

        Metrics are named `SET/NAME`; `step` is that of the evaluation.
        """
        lines = [
            line
            for line in metrics_log.read(self._folder.metrics)
            if metrics_log.is_evaluation(line) and (not self.is_saved or line["step"] <= self.step)
        ]
        return lines[-1] if lines else {}


def load_run(folder: str | os.PathLike, which: int | str = "newest") -> SavedRun:
    """Open a run folder.

    Args:
      folder: the run folder.
      which: checkpoint: `newest`, `best` or the number of a step.

    Raises:
      InputError: the folder is not a run folder, or its task is unknown.
    """
    return SavedRun(folder, which)


def _task_config(described: Any, folder: RunFolder) -> TaskConfig:
    """Return the task config that `run.json` describes by class and config.

    Raises:
      InputError: the description is incomplete, or the class is not allowed.
    """
    if not isinstance(described, dict) or not isinstance(described.get("class"), str):
        raise InputError(
            f"{folder.description} must name the task of the run (task.class), but does not: "
            "another version or program wrote it"
        )
    kind = _allowed_class(described["class"], folder)
    try:
        return kind.from_run(described.get("config", {}), folder.path)
    except _UNREADABLE as error:
        # The text of a KeyError, for instance, is only the key.
        reason = str(error) if isinstance(error, InputError) else repr(error)
        raise InputError(
            f"{folder.description} holds a configuration that {described['class']} cannot read: "
            f"{reason}"
        ) from error


def _allowed_class(name: str, folder: RunFolder) -> type[TaskConfig]:
    if name in TASK_CONFIGS:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    for point in points:
        if f"{point.module}.{point.attr}" == name:
            return point.load()
    known = [*TASK_CONFIGS, *(f"{point.module}.{point.attr}" for point in points)]
    raise InputError(
        f"{folder.path} is a run of the task {name[:200]!r}, which is not installed here; known "
        f"tasks: {', '.join(known)}. A package declares a task by an entry point of the group "
        f"{ENTRY_POINTS!r}"
    )
