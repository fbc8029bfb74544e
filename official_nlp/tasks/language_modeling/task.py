"""Language models as the loop needs them: the model, its batches, losses and metrics."""

import abc
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.data import ElectraTokenizer
from official_nlp.data.pretraining.masking import MaskingConfig, max_predictions
from official_nlp.errors import InputError
from official_nlp.modeling import losses
from official_nlp.modeling.models import ElectraForCausalLM, ElectraForMaskedLM
from official_nlp.modeling.models.electra_for import IGNORED_LABEL
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.data_folder_task import DataFolderTask
from official_nlp.tasks.language_modeling import metrics as causal_metrics
from official_nlp.tasks.pretraining import metrics as masked_metrics
from official_nlp.tasks.pretraining_data import require_positions
from official_nlp.tasks.single_network import SingleNetwork
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import Batch, DataByPath, Rows, Sums

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.language_modeling.config import LanguageModelConfig

# Objectives, see `LanguageModelConfig`.
MASKED, CAUSAL = "masked", "causal"


class LanguageModel(SingleNetwork, DataFolderTask):
    """Trains a language model on data folders; see `DataFolderTask`.

    A subclass is an objective: its model, its loss and its metrics.

    Raises:
      InputError: as `DataFolderTask`; or the vocabulary does not fit the network, or sequences are
        too long for it.
    """

    def __init__(
        self,
        config: "LanguageModelConfig",
        data: DataByPath | None = None,
        seed: int = 0,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        super().__init__(config, data, seed, reference_quirks, recompute)
        folder = self._folder
        tokenizer = folder.tokenizer if folder else config.tokenizer
        if tokenizer is None:
            raise InputError("a task without data needs the tokenizer in its configuration")
        self.tokenizer: ElectraTokenizer = tokenizer
        self.config: LanguageModelConfig = config.for_tokenizer(tokenizer)
        self.network: ElectraConfig = self.config.require_network()
        if folder:
            require_positions(folder, self.network.max_position_embeddings)

    # === The model ===

    def build(self) -> ElectraForMaskedLM:
        tf_keras.utils.set_random_seed(self.seed)
        return self.model_class(self.network, recompute=self.recompute)

    # === Files ===

    def write_files(self, folder: str | os.PathLike) -> None:
        self.tokenizer.save_pretrained(pathlib.Path(folder, "tokenizer"))

    # === For the checks before a run ===

    @classmethod
    @abc.abstractmethod
    def scored_positions(cls, length: int, masking: MaskingConfig) -> int:
        """Return the positions of an example of `length` tokens at which tokens are predicted."""


class MaskedLanguageModel(LanguageModel):
    """Predicts masked tokens: the generator's objective alone, which is that of BERT.

    Masks and metrics are those of the generator in pre-training, see `pretraining.metrics`.
    """

    model_class = ElectraForMaskedLM
    loss_weights = {"mlm": 1.0}

    def weights(self, batch: Batch, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        return losses.electra_weights(batch, ["mlm"])

    def losses(
        self, model: ElectraForMaskedLM, batch: Batch, phase: PhaseConfig
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        logits = self._score(model, batch, training=True)
        weights = losses.prediction_weights(batch)
        lm_losses = losses.masked_lm_losses(logits, batch["masked_lm_ids"], weights)
        loss_sum, _ = losses.electra_loss(batch, {"lm_losses": lm_losses})["mlm"]
        return {"mlm": loss_sum}, self._sums(batch, logits, lm_losses)

    def evaluate(self, model: ElectraForMaskedLM, batch: Batch) -> tuple[Sums, Rows]:
        return self._sums(batch, self._score(model, batch, training=False)), {}

    @staticmethod
    def _score(model, batch, training):
        names = ("input_word_ids", "input_mask", "input_type_ids", "masked_lm_positions")
        return model({name: batch[name] for name in names}, training=training)["logits"]

    def _sums(self, batch, logits, lm_losses=None) -> Sums:
        mask_id = self.tokenizer.mask_token_id
        return masked_metrics.generator_sums(batch, logits, mask_id, lm_losses=lm_losses)

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
