"""What the tasks that train on data folders share: batches, the evaluation set, baselines."""

import abc
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from official_nlp.data.pretraining.masking import MaskingConfig
from official_nlp.data.pretraining.pipeline import evaluation_dataset, pretraining_dataset
from official_nlp.data.storage.data_folder import DataFolder
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.pretraining_data import PretrainingData, baselines, require_same_tokenizer
from official_nlp.training import Task
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import DataByPath

if TYPE_CHECKING:  # They import this module.
    from official_nlp.tasks.language_modeling.config import LanguageModelConfig
    from official_nlp.tasks.pretraining.config import PretrainingConfig


class DataFolderTask(Task):
    """A task that trains on data folders and evaluates on what was held out there.

    A subclass adds the model, its losses and its metrics.

    Args:
      config: the configuration of the task.
      data: opened data folders. The held-out part of that of the run is the evaluation set. None
        for a task that only builds a trained model.
      seed: seed of initial values, example order and masks.
      reference_quirks: deviations of the reference implementation to reproduce.
      recompute: compute the activations of layers again in the backward pass.

    Attributes:
      masked: whether tokens of a batch are masked.

    Raises:
      InputError: the data folders have different tokenizers, or the masking does not fit the
        quirks.
    """

    masked = True
    config: "PretrainingConfig | LanguageModelConfig"

    def __init__(
        self,
        config: "PretrainingConfig | LanguageModelConfig",
        data: DataByPath | None = None,
        seed: int = 0,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        self.config = config
        self.seed = seed
        self.reference_quirks = reference_quirks or ReferenceQuirks()
        self.recompute = recompute
        if self.reference_quirks.mask_with_replacement and self.masked:
            config.masking.require_no_replacement()
        self._data: dict[str | None, PretrainingData] = dict(data or {})  # type: ignore[arg-type]
        if self._data:
            require_same_tokenizer(self._data)

    @property
    def _folder(self) -> DataFolder | None:
        """The data folder of the run; None without data."""
        return self._data[None].folder if self._data else None

    @property
    def _evaluated_folder(self) -> DataFolder | None:
        """The data folder if it has held-out examples; None otherwise."""
        return self._folder if self._folder and self._folder.count("held_out") else None

    def _masking_of(self, stage: int) -> MaskingConfig:
        """Return the masking of a phase."""
        return self.config.masking

    @classmethod
    @abc.abstractmethod
    def evaluated(cls) -> list[str]:
        """Return the names of the metrics of an evaluation."""

    def train_dataset(
        self, stage: int, phase: PhaseConfig, first_step: int, host: int, hosts: int
    ) -> tf.data.Dataset:
        return pretraining_dataset(
            self._data[phase.data].folder,
            batch_size=phase.batch_size,
            length=phase.length,
            masking=self._masking_of(stage),
            seed=self.seed,
            phase=stage,
            first_step=first_step,
            masked=self.masked,
            with_replacement=self.reference_quirks.mask_with_replacement,
            host=host,
            hosts=hosts,
        )

    def evaluation_sets(self) -> dict[str, tf.data.Dataset]:
        folder = self._evaluated_folder
        if folder is None:
            return {}
        return {
            # The masking of the run, not of a phase: the same examples with the same masks are
            # predicted at every step, so that evaluations of all phases compare.
            "held_out": evaluation_dataset(
                folder,
                batch_size=self.config.evaluation_batch_size,
                length=folder.index.longest_row,
                masking=self.config.masking,
                seed=self.seed,
                limit=self.config.evaluation_examples,
                masked=self.masked,
            )
        }

    def metric_names(self) -> list[str]:
        if self._evaluated_folder is None:
            return []
        return [f"held_out/{name}" for name in self.evaluated()]

    def baselines(self) -> Mapping[str, float]:
        return self._baselines

    @functools.cached_property
    def _baselines(self) -> dict[str, float]:
        folder = self._evaluated_folder
        # A masked token is predicted from those on both sides.
        return baselines(folder, two_sided=self.masked) if folder else {}
