"""ELECTRA's objective as the loop needs it: the model, its batches, losses and metrics."""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.data.pretraining.masking import MaskingConfig
from official_nlp.data.pretraining.ngram_baselines import unigram_probabilities
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files import atomic
from official_nlp.modeling import losses
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.data_folder_task import DataFolderTask
from official_nlp.tasks.pretraining import metrics
from official_nlp.tasks.pretraining.generator_monitor import GeneratorMonitor
from official_nlp.tasks.pretraining_data import require_positions
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import Batch, DataByPath, Rows, Sums

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.pretraining.config import PretrainingConfig

# Loss terms: masked-language modeling of the generator, replaced-token detection of the
# discriminator (paper, section 2).
MLM, RTD = "mlm", "rtd"
NETWORKS = ("generator", "discriminator")
# Scope of the fixed corruption in the random stream; the pre-trainer uses 0, 1 and 2.
_UNIGRAM = 3


class ElectraPretraining(DataFolderTask):
    """Pre-trains a generator and a discriminator on data folders; see `DataFolderTask`.

    Raises:
      InputError: as `DataFolderTask`; or the vocabulary does not fit the configuration, or
        sequences are too long for the model.
    """

    loss_weights = {MLM: 1.0, RTD: 50.0}
    architectures = pretrainer_tensors.HUGGING_FACE_CLASSES

    def __init__(
        self,
        config: "PretrainingConfig",
        data: DataByPath | None = None,
        seed: int = 0,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        super().__init__(config, data, seed, reference_quirks, recompute)
        folder = self._folder
        self.config: PretrainingConfig = (
            config.for_vocabulary(folder.tokenizer.vocab_size) if folder else config
        )
        if folder:
            require_positions(folder, self.config.longest_row)

    @functools.cached_property
    def tokenizer(self) -> ElectraTokenizer:
        """Tokenizer of the data, or of the saved run where there is no data."""
        if self._folder:
            return self._folder.tokenizer
        if self.config.vocabulary is None:
            raise InputError("a task without data needs the vocabulary in its configuration")
        return ElectraTokenizer.from_pretrained(self.config.vocabulary)

    # === The model ===

    def build(self) -> ElectraPretrainer:
        tf_keras.utils.set_random_seed(self.seed)
        return self.config.build(self.reference_quirks, self.recompute)

    def checkpoint_items(self, model: ElectraPretrainer) -> dict:
        head = tf.Module()
        head.projection, head.head = model.discriminator_projection, model.discriminator_head
        # The names are the paths of the variables in every checkpoint of a run. The two layers of
        # the head get a common root, because they are attributes of the pre-trainer itself.
        items = {
            "generator": model.generator_network,
            "discriminator": model.discriminator_network,
            "generator_head": model.masked_lm,
            "discriminator_head": head,
        }
        if model.classification is not None:
            items["sentence_head"] = model.classification
        return items

    def trainable_variables(
        self, model: ElectraPretrainer, phase: PhaseConfig
    ) -> list[tf.Variable]:
        parts = []
        if phase.trains(MLM):
            parts += [model.generator_network, model.masked_lm]
        if phase.trains(RTD):
            parts += [
                model.discriminator_network,
                model.discriminator_projection,
                model.discriminator_head,
            ]
        # Shared variables belong to both networks.
        unique = {id(v): v for part in parts for v in part.trainable_variables}
        return list(unique.values())

    # === Networks by Hugging Face's names, for conversion and warm start ===

    @property
    def sharing(self) -> str:
        """How the networks share variables, a mode of `ElectraPretrainer`."""
        return self.config.sharing

    def networks(self) -> dict[str, ElectraConfig]:
        """Return the configurations of the two networks."""
        return {name: getattr(self.config, name) for name in NETWORKS}

    def load_tokenizer(self) -> ElectraTokenizer:
        """Return the tokenizer of the data or of the saved run."""
        return self.tokenizer

    def named_tensors(self, model: ElectraPretrainer) -> dict[str, list[NamedTensor]]:
        """Return the tensors of each network under Hugging Face's names."""
        return {name: pretrainer_tensors.of(model, name) for name in NETWORKS}

    def is_shared(self, tensor_name: str) -> bool:
        """Return whether both networks have this tensor as one variable."""
        return pretrainer_tensors.is_shared(tensor_name, self.sharing)

    # === Training ===

    def _masking_of(self, stage: int) -> MaskingConfig:
        return self.config.masking_of(stage)

    def weights(self, batch: Batch, phase: PhaseConfig) -> dict[str, tf.Tensor]:
        return losses.electra_weights(batch, [name for name in (MLM, RTD) if phase.trains(name)])

    def losses(
        self, model: ElectraPretrainer, batch: Batch, phase: PhaseConfig
    ) -> tuple[dict[str, tf.Tensor], Sums]:
        outputs, sums, sampled_ids = {}, {}, None
        if phase.trains(MLM):
            outputs = model.generate(batch, training=True)
            outputs["lm_losses"] = losses.masked_lm_losses(
                outputs["lm_outputs"], batch["masked_lm_ids"], losses.prediction_weights(batch)
            )
        if phase.trains(RTD):
            # Without a generator, tokens are replaced by draws from the unigram distribution.
            fixed = None if phase.trains(MLM) else self._draw_unigram(batch)
            corrupted = model.corrupt(batch, outputs.get("lm_outputs"), sampled_ids=fixed)
            sampled_ids = corrupted["sampled_ids"]
            outputs["disc_label"] = corrupted["disc_label"]
            outputs["disc_logits"] = self._discriminate(model, batch, corrupted, training=True)
            sums.update(
                metrics.discriminator_sums(batch, outputs["disc_logits"], outputs["disc_label"])
            )
        if phase.trains(MLM):
            mask_id = self.tokenizer.mask_token_id
            sums.update(
                metrics.generator_sums(
                    batch, outputs["lm_outputs"], mask_id, sampled_ids, outputs["lm_losses"]
                )
            )
        terms = losses.electra_loss(batch, outputs)
        return {name: loss_sum for name, (loss_sum, _) in terms.items()}, sums

    # === Evaluation ===

    def evaluate(self, model: ElectraPretrainer, batch: Batch) -> tuple[Sums, Rows]:
        generated = model.generate(batch)
        corrupted = model.corrupt(batch, generated["lm_outputs"])
        logits = self._discriminate(model, batch, corrupted)
        sums = metrics.discriminator_sums(batch, logits, corrupted["disc_label"])
        mask_id = self.tokenizer.mask_token_id
        sampled_ids = corrupted["sampled_ids"]
        sums.update(metrics.generator_sums(batch, generated["lm_outputs"], mask_id, sampled_ids))
        sums.update(self.unigram_sums(model, batch))
        return sums, {}

    def unigram_sums(self, model: ElectraPretrainer, batch: Batch) -> Sums:
        """Return the sums of the discriminator on a corruption that needs no generator.

        Runs whose generators differ are compared by it.
        """
        corrupted = model.corrupt(batch, None, sampled_ids=self._draw_unigram(batch))
        logits = self._discriminate(model, batch, corrupted)
        sums = metrics.discriminator_sums(batch, logits, corrupted["disc_label"])
        return {metrics.UNIGRAM_HISTOGRAM: sums["rtd_histogram"]}

    def report(
        self, sums: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
    ) -> dict[str, float]:
        return metrics.compute(sums)

    @classmethod
    def evaluated(cls) -> list[str]:
        return metrics.evaluated()

    def monitor(self) -> GeneratorMonitor:
        return GeneratorMonitor()

    # === Files ===

    def write_files(self, folder: str | os.PathLike) -> None:
        for name, config in self.networks().items():
            pathlib.Path(folder, name).mkdir(parents=True, exist_ok=True)
            atomic.write(pathlib.Path(folder, name, "config.json"), config.to_json())
        self.tokenizer.save_pretrained(pathlib.Path(folder, "tokenizer"))

    # === Corruption ===

    @staticmethod
    def _discriminate(model, batch, corrupted, training=None):
        return model.discriminate(
            corrupted["input_word_ids"],
            batch.get("input_mask"),
            batch["input_type_ids"],
            training=training,
            document_ids=batch.get("document_ids"),
        )

    @functools.cached_property
    def _unigram(self) -> np.ndarray:
        """Inner borders of the cumulative unigram distribution, float32 `[V - 1]`."""
        probabilities = unigram_probabilities(self._data[None].folder)
        # The last border is 1 up to rounding. Below 1, it would let a draw fall behind the last
        # token.
        return np.cumsum(probabilities)[:-1].astype(np.float32)

    def _draw_unigram(self, batch: Batch) -> tf.Tensor:
        """Draw tokens by their frequency in the training text; return int32 `[B, P]`."""
        positions = batch["masked_lm_positions"]
        with randomness.scope(_UNIGRAM):
            key, first_row = randomness.next_key()
        uniform = randomness.uniform(key, positions.shape.as_list(), first_row)
        drawn = tf.searchsorted(tf.constant(self._unigram), tf.reshape(uniform, [-1]), side="right")
        return tf.reshape(drawn, positions.shape)
