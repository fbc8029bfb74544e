"""ELECTRA's objective: the model, its data, its losses and its metrics, as the loop needs them."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.data import MaskingConfig
from official_nlp.data.pretraining.ngram_baselines import unigram_probabilities
from official_nlp.data.pretraining.pipeline import evaluation_dataset, pretraining_dataset
from official_nlp.data.storage.data_folder import DataFolder
from official_nlp.errors import InputError
from official_nlp.modeling import losses
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.pretraining import metrics

# Place in the random stream of the fixed corruption; the pre-trainer's own are 0, 1 and 2.
_UNIGRAM = 3


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """What is pre-trained.

    Attributes:
      generator: sizes of the generator.
      discriminator: sizes of the discriminator.
      sharing: `shared`, `word_only`, `untied`, `whole` or `gdes`: see `ElectraPretrainer`.
      masking: share of tokens to predict, and how they are hidden.
      vocab_size: rows of the word table; None for the size of the vocabulary, whatever the two
        configurations say.
      temperature: of the sampling.
      disallow_correct: never sample the original token.
      evaluation_examples: at most so many held-out examples are used while training.
      evaluation_batch_size: rows of a batch of these.
    """

    generator: ElectraConfig
    discriminator: ElectraConfig
    sharing: str = "shared"
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    vocab_size: int | None = None
    temperature: float = 1.0
    disallow_correct: bool = False
    evaluation_examples: int = 10_000
    evaluation_batch_size: int = 64

    @property
    def longest_row(self) -> int:
        """Tokens of the longest row that both networks have positions for."""
        networks = self.generator, self.discriminator
        return min(network.max_position_embeddings for network in networks)

    def for_vocabulary(self, size: int) -> "PretrainingConfig":
        """Returns this configuration with the word table's rows filled in.

        Raises:
          InputError: the table would have fewer rows than the vocabulary tokens.
        """
        rows = self.vocab_size or size
        if rows < size:
            raise InputError(
                f"vocab_size must be at least the vocabulary's {size}, was {rows}; leave it out "
                "to take the vocabulary's"
            )
        return dataclasses.replace(
            self,
            vocab_size=rows,
            generator=dataclasses.replace(self.generator, vocab_size=rows),
            discriminator=dataclasses.replace(self.discriminator, vocab_size=rows),
        )

    def to_dict(self) -> dict:
        """Returns the fields as what JSON can hold."""
        networks = {name: getattr(self, name).to_dict() for name in ("generator", "discriminator")}
        return {**dataclasses.asdict(self), **networks}

    @classmethod
    def from_dict(cls, values: dict) -> "PretrainingConfig":
        """Returns the configuration that `to_dict` was called of."""
        made = {
            "generator": ElectraConfig.from_dict(values["generator"]),
            "discriminator": ElectraConfig.from_dict(values["discriminator"]),
            "masking": MaskingConfig(**values["masking"]),
        }
        return cls(**{**values, **made})

    def build(
        self, reference_quirks: ReferenceQuirks | None = None, recompute: bool = False
    ) -> ElectraPretrainer:
        """Returns the model, freshly initialized; `recompute` as of `ElectraEncoder`."""
        reference_quirks = reference_quirks or ReferenceQuirks()
        return ElectraPretrainer.from_config_pair(
            self.generator,
            self.discriminator,
            sharing=self.sharing,
            temperature=self.temperature,
            disallow_correct=self.disallow_correct,
            average_duplicates=reference_quirks.average_duplicates,
            recompute=recompute,
        )


class ElectraPretraining:
    """Pre-trains a generator and a discriminator on data folders; see `training.task.Task`.

    Args:
      config: a `PretrainingConfig`.
      data: the run's data folder, whose held-out part is used for evaluation.
      seed: of initial values, order and masks.
      phase_data: folders of phases that name their own, by name.
      reference_quirks: quirks of the original to reproduce.
      recompute: whether the layers' activations are computed again in the backward pass.

    Raises:
      InputError: vocabularies do not fit each other or the configuration, rows not the model, or
        the masking not the reference_quirks.
    """

    name = "electra"

    def __init__(
        self,
        config: PretrainingConfig,
        data: DataFolder,
        seed: int = 0,
        phase_data: Mapping[str, DataFolder] | None = None,
        reference_quirks: ReferenceQuirks | None = None,
        recompute: bool = False,
    ):
        self.config = config.for_vocabulary(data.tokenizer.vocab_size)
        self.data = data
        self.seed = seed
        self.phase_data = dict(phase_data or {})
        self.reference_quirks = reference_quirks or ReferenceQuirks()
        self.recompute = recompute
        if self.reference_quirks.mask_with_replacement:
            config.masking.require_no_replacement()
        self._check_vocabularies()
        self._check_rows()
        # The inner borders of the cumulative distribution, `[V - 1]`.
        self._unigram = np.cumsum(unigram_probabilities(data))[:-1].astype(np.float32)

    def _check_vocabularies(self):
        for name, folder in self.phase_data.items():
            if folder.tokenizer.vocab_hash != self.data.tokenizer.vocab_hash:
                raise InputError(
                    f"the phase's data {name} has another vocabulary than the run's "
                    f"{self.data.path}; build its examples with the same tokenizer"
                )

    def _check_rows(self):
        rows, positions = self.data.index.longest_row, self.config.longest_row
        if rows > positions:
            raise InputError(
                f"{self.data.path} has rows of {rows} tokens, and max_position_embeddings is only "
                f"{positions}; build examples with --length {positions}, or train a model for more"
            )

    def build(self) -> ElectraPretrainer:
        tf_keras.utils.set_random_seed(self.seed)
        return self.config.build(self.reference_quirks, self.recompute)

    def checkpoint_items(self, model: ElectraPretrainer) -> dict:
        return checkpoint_items(model)

    def train_dataset(self, phase_index, phase, first_step, host, hosts) -> tf.data.Dataset:
        return pretraining_dataset(
            self.phase_data.get(phase.data, self.data),
            batch_size=phase.batch_size,
            length=phase.length,
            masking=self._masking(phase),
            seed=self.seed,
            phase=phase_index,
            first_step=first_step,
            with_replacement=self.reference_quirks.mask_with_replacement,
            host=host,
            hosts=hosts,
        )

    def _masking(self, phase):
        if phase.mask_probability is None:
            return self.config.masking
        return dataclasses.replace(self.config.masking, probability=phase.mask_probability)

    def evaluation_dataset(self) -> tf.data.Dataset | None:
        if not self.data.count("held_out"):
            return None
        return evaluation_dataset(
            self.data,
            batch_size=self.config.evaluation_batch_size,
            length=self.data.index.longest_row,
            masking=self.config.masking,
            seed=self.seed,
            limit=self.config.evaluation_examples,
        )

    def trainable_variables(self, model: ElectraPretrainer, phase) -> list[tf.Variable]:
        parts = []
        if phase.generator_weight:
            parts += [model.generator_network, model.masked_lm]
        if phase.discriminator_weight:
            parts += [
                model.discriminator_network,
                model.discriminator_projection,
                model.discriminator_head,
            ]
        unique = {id(v): v for part in parts for v in part.trainable_variables}
        return list(unique.values())

    def weights(self, batch, phase) -> dict[str, tf.Tensor]:
        weights = {}
        if phase.generator_weight:
            weights["mlm"] = tf.reduce_sum(losses.prediction_weights(batch))
        if phase.discriminator_weight:
            weights["rtd"] = tf.reduce_sum(losses.token_weights(batch))
        return weights

    def losses(self, model: ElectraPretrainer, batch, phase):
        outputs, sums, sampled_ids = {}, {}, None
        if phase.generator_weight:
            outputs = model.generate(batch, training=True)
        if phase.discriminator_weight:
            # A generator that does not run is replaced by draws from the unigram distribution.
            fixed = None if phase.generator_weight else self._draw_unigram(batch)
            corrupted = model.corrupt(batch, outputs.get("lm_outputs"), sampled_ids=fixed)
            sampled_ids = corrupted["sampled_ids"]
            outputs["disc_label"] = corrupted["disc_label"]
            outputs["disc_logits"] = self._discriminate(model, batch, corrupted, training=True)
            sums.update(
                metrics.discriminator_sums(batch, outputs["disc_logits"], outputs["disc_label"])
            )
        if phase.generator_weight:
            mask_id = self.data.tokenizer.mask_token_id
            sums.update(metrics.generator_sums(batch, outputs["lm_outputs"], mask_id, sampled_ids))
        return losses.electra_loss(batch, outputs), sums

    def evaluate(self, model: ElectraPretrainer, batch) -> dict[str, tf.Tensor]:
        generated = model.generate(batch)
        corrupted = model.corrupt(batch, generated["lm_outputs"])
        logits = self._discriminate(model, batch, corrupted)
        sums = metrics.discriminator_sums(batch, logits, corrupted["disc_label"])
        mask_id = self.data.tokenizer.mask_token_id
        sums.update(
            metrics.generator_sums(
                batch, generated["lm_outputs"], mask_id, corrupted["sampled_ids"]
            )
        )
        fixed = model.corrupt(batch, None, sampled_ids=self._draw_unigram(batch))
        logits = self._discriminate(model, batch, fixed)
        fixed_sums = metrics.discriminator_sums(batch, logits, fixed["disc_label"])
        sums[metrics.UNIGRAM_HISTOGRAM] = fixed_sums["rtd_histogram"]
        return sums

    def report(self, sums: dict[str, np.ndarray]) -> dict[str, float]:
        return metrics.compute(sums)

    @staticmethod
    def _discriminate(model, batch, corrupted, training=None):
        return model.discriminate(
            corrupted["input_word_ids"],
            batch.get("input_mask"),
            batch["input_type_ids"],
            training=training,
            document_ids=batch.get("document_ids"),
        )

    def _draw_unigram(self, batch) -> tf.Tensor:
        """Returns int32 `[B, P]`: tokens drawn by how often each occurs in the training text."""
        positions = batch["masked_lm_positions"]
        with randomness.scope(_UNIGRAM):
            key, first_row = randomness.next_key()
        uniform = randomness.uniform(key, positions.shape.as_list(), first_row)
        drawn = tf.searchsorted(tf.constant(self._unigram), tf.reshape(uniform, [-1]), side="right")
        return tf.reshape(drawn, positions.shape)


def checkpoint_items(model: ElectraPretrainer) -> dict:
    """Returns the parts of a pre-trainer by their names in a checkpoint."""
    items = {
        "generator": model.generator_network,
        "discriminator": model.discriminator_network,
        "generator_head": model.masked_lm,
        "discriminator_head": _pair(model.discriminator_projection, model.discriminator_head),
    }
    if model.classification is not None:
        items["sentence_head"] = model.classification
    return items


def _pair(projection, head) -> tf.Module:
    """Returns both layers of the discriminator's head as one part of a checkpoint."""
    module = tf.Module()
    module.projection, module.head = projection, head
    return module
