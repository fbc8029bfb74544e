"""Language models as the loop needs them: the model, its batches, losses and metrics."""

import abc
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.data import ElectraTokenizer
from official_nlp.data.pretraining.masking import MaskingConfig, max_predictions
from official_nlp.data.pretraining.pipeline import evaluation_dataset, pretraining_dataset
from official_nlp.data.storage.data_folder import DataFolder
from official_nlp.errors import InputError
from official_nlp.modeling import losses
from official_nlp.modeling.models import ElectraForCausalLM, ElectraForMaskedLM
from official_nlp.modeling.models.electra_for import IGNORED_LABEL
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.language_modeling import metrics as causal_metrics
from official_nlp.tasks.pretraining import metrics as masked_metrics
from official_nlp.tasks.pretraining.data import (
    PretrainingData,
    baselines,
    require_positions,
    require_same_tokenizer,
)
from official_nlp.tasks.single_network import SingleNetwork
from official_nlp.training import Task
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import Batch, DataByPath, Rows, Sums

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.language_modeling.config import LanguageModelConfig

# Objectives, see `LanguageModelConfig`.
MASKED, CAUSAL = "masked", "causal"


class LanguageModel(SingleNetwork, Task):
    """Trains a language model on data folders; see `training.Task`.

    A subclass is an objective: its model, its loss and its metrics.

    Args:
      config: a `LanguageModelConfig` with a network.
      data: opened data folders. The held-out part of that of the run is the evaluation set. None
        for a task that only builds a trained model.
      seed: seed of initial values, example order and masks.
      reference_quirks: deviations of the reference implementation to reproduce.
      recompute: compute the activations of layers again in the backward pass.

    Attributes:
      masked: whether tokens of a batch are masked.

    Raises:
      InputError: vocabularies do not fit each other or the network, or sequences are too long for
        it.
    """

    masked: bool

    def __init__(
        self,
        config: "LanguageModelConfig",
        data: DataByPath | None = None,
        seed: int = 0,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        self.seed = seed
        self.reference_quirks = reference_quirks or ReferenceQuirks()
        self.recompute = recompute
        if self.reference_quirks.mask_with_replacement and self.masked:
            config.masking.require_no_replacement()
        self._data: dict[str | None, PretrainingData] = dict(data or {})  # type: ignore[arg-type]
        folder = self._folder
        tokenizer = folder.tokenizer if folder else config.tokenizer
        if tokenizer is None:
            raise InputError("a task without data needs the tokenizer in its configuration")
        self.tokenizer: ElectraTokenizer = tokenizer
        self.config: LanguageModelConfig = config.for_tokenizer(tokenizer)
        self.network: ElectraConfig = self.config.require_network()
        if folder:
            require_same_tokenizer(self._data)
            require_positions(folder, self.network.max_position_embeddings)

    @property
    def _folder(self) -> DataFolder | None:
        return self._data[None].folder if self._data else None

    @property
    def _evaluated_folder(self) -> DataFolder | None:
        """The data folder if it has held-out examples; None otherwise."""
        return self._folder if self._folder and self._folder.count("held_out") else None

    # === The model ===

    def build(self) -> ElectraForMaskedLM:
        tf_keras.utils.set_random_seed(self.seed)
        return self.model_class(self.network, recompute=self.recompute)

    # === Training ===

    def train_dataset(
        self, stage: int, phase: PhaseConfig, first_step: int, host: int, hosts: int
    ) -> tf.data.Dataset:
        return pretraining_dataset(
            self._data[phase.data].folder,
            batch_size=phase.batch_size,
            length=phase.length,
            masking=self.config.masking,
            seed=self.seed,
            phase=stage,
            first_step=first_step,
            masked=self.masked,
            with_replacement=self.reference_quirks.mask_with_replacement,
            host=host,
            hosts=hosts,
        )

    # === Evaluation ===

    def evaluation_sets(self) -> dict[str, tf.data.Dataset]:
        folder = self._evaluated_folder
        if folder is None:
            return {}
        return {
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
        return baselines(folder, two_sided=self.masked) if folder else {}

    # === Files ===

    def write_files(self, folder: str | os.PathLike) -> None:
        self.tokenizer.save_pretrained(pathlib.Path(folder, "tokenizer"))

    # === For the checks before a run ===

    @classmethod
    @abc.abstractmethod
    def scored_positions(cls, length: int, masking: MaskingConfig) -> int:
        """Return the positions of an example of `length` tokens at which tokens are predicted."""

    @classmethod
    @abc.abstractmethod
    def evaluated(cls) -> list[str]:
        """Return the names of the metrics of an evaluation."""


class MaskedLanguageModel(LanguageModel):
    """Predicts masked tokens: the generator's objective alone, which is that of BERT.

    Masks and metrics are those of the generator in pre-training, see `pretraining.metrics`.
    """

    model_class = ElectraForMaskedLM
    masked = True
    loss_weights = {"mlm": 1.0}

    def weights(self, batch: Batch, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        return losses.electra_weights(batch, ["mlm"])

    def losses(
        self, model: ElectraForMaskedLM, batch: Batch, phase: PhaseConfig
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        logits = self._score(model, batch, training=True)
        loss_sum, _ = losses.electra_loss(batch, {"lm_outputs": logits})["mlm"]
        return {"mlm": loss_sum}, self._sums(batch, logits)

    def evaluate(self, model: ElectraForMaskedLM, batch: Batch) -> tuple[Sums, Rows]:
        return self._sums(batch, self._score(model, batch, training=False)), {}

    @staticmethod
    def _score(model, batch, training):
        names = ("input_word_ids", "input_mask", "input_type_ids", "masked_lm_positions")
        return model({name: batch[name] for name in names}, training=training)["logits"]

    def _sums(self, batch, logits) -> Sums:
        return masked_metrics.generator_sums(batch, logits, self.tokenizer.mask_token_id)

    def report(
        self, sums: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        return masked_metrics.compute(sums)

    @classmethod
    def scored_positions(cls, length: int, masking: MaskingConfig) -> int:
        return max_predictions(masking.probability, length)

    @classmethod
    def evaluated(cls) -> list[str]:
        return masked_metrics.evaluated_generator()


class CausalLanguageModel(LanguageModel):
    """Predicts each token from those before it.

    Every example is one text of type 0, as texts to be continued are. Its [SEP] tokens are
    predicted in training, so that a text can end; metrics are over the other tokens, like those of
    n-grams.
    """

    model_class = ElectraForCausalLM
    masked = False
    loss_weights = {"causal": 1.0}

    def weights(self, batch: Batch, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        # The first token has none before it.
        return {"causal": tf.reduce_sum(tf.cast(batch["input_mask"][:, 1:], tf.float32))}

    def losses(
        self, model: ElectraForMaskedLM, batch: Batch, phase: PhaseConfig
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        inputs = self._inputs(batch)
        outputs = model(inputs, training=True, use_cache=False)
        ids, mask = batch["input_word_ids"], batch["input_mask"]
        labels = {"labels": tf.where(mask > 0, ids, IGNORED_LABEL)}
        ((loss_sum, _),) = model.loss_terms(outputs, labels, inputs).values()
        return {"causal": loss_sum}, self._sums(batch, outputs["logits"])

    def evaluate(self, model: ElectraForMaskedLM, batch: Batch) -> tuple[Sums, Rows]:
        outputs = model(self._inputs(batch), training=False, use_cache=False)
        return self._sums(batch, outputs["logits"]), {}

    @staticmethod
    def _inputs(batch):
        return {name: batch[name] for name in ("input_word_ids", "input_mask")}

    def _sums(self, batch, logits) -> Sums:
        return causal_metrics.next_token_sums(batch, logits, self.tokenizer.special_ids)

    def report(
        self, sums: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        return causal_metrics.compute(sums)

    @classmethod
    def scored_positions(cls, length: int, masking: MaskingConfig) -> int:
        return length

    @classmethod
    def evaluated(cls) -> list[str]:
        return causal_metrics.evaluated()
