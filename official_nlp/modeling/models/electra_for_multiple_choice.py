"""A model that chooses one of several texts."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, ops, tensor_names
from official_nlp.modeling.layers.multiple_choice_head import MultipleChoiceHead
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor

# Inputs without an axis of choices.
_WITHOUT_CHOICES = ("head_mask", "past_key_values")
_MASKS = ("input_mask", "attention_mask")
# Logit of a choice that only pads its example: its probability is 0 beside any other.
PADDING_LOGIT = -1e9


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForMultipleChoice(ElectraFor):
    """Choose one of several texts, for example one of the answers to a question.

    Call: see `ElectraFor`; ids, mask, types and all other inputs of sequences are
    `[batch, choices, length]` (`inputs_embeds` `[batch, choices, length, embedding_size]`).
    `logits` are `[batch, choices]`, `labels` integer `[batch]`, -100 for examples that are ignored;
    the loss is the cross-entropy over choices. A choice whose mask is 0 everywhere only pads an
    example with fewer choices than others: its logit is -1e9, so that its probability is 0, and it
    gets no gradient. The encoder sees `batch * choices` sequences;
    `hidden_states` and `attentions` have that batch size. With `summary_type="cls_index"` the last
    token is the summary, as in Hugging Face's model, which passes no index.

    Args:
      config: configuration; the head uses `summary_type`, `summary_use_proj`,
        `summary_activation`, `summary_first_dropout` and `summary_last_dropout`.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Raises:
      InputError: an input has no axis of choices, or the configuration sets
        `summary_proj_to_labels`.

    Example:
      >>> model = ElectraForMultipleChoice(ElectraConfig(vocab_size=100, num_hidden_layers=2))
      >>> two_answers = tf.constant([[[2, 5, 3, 6, 3], [2, 5, 3, 7, 3]]])
      >>> outputs = model(input_ids=two_answers, labels=tf.constant([1]))
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([1, 2]), TensorShape([]))

    Reference: Hugging Face's `ElectraForMultipleChoice`.
    """

    hugging_face_class = "ElectraForMultipleChoice"

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        if config.extra.get("summary_proj_to_labels"):
            raise InputError(
                "summary_proj_to_labels must be false or left out, was "
                f"{config.extra['summary_proj_to_labels']!r}: the classifier needs a summary of "
                "width hidden_size"
            )
        self.choice_head = MultipleChoiceHead(
            summary_type=config.summary_type,
            summary_use_proj=config.summary_use_proj,
            summary_activation=config.summary_activation,
            summary_first_dropout=config.summary_first_dropout,
            summary_last_dropout=config.summary_last_dropout,
            initializer=initializers.kernel_initializer(config),
            dtype=self.dtype_policy,
            name="choice_head",
        )
        self.choice_head.build([None, None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        head, tensors = self.choice_head, tensor_names.encoder(self.encoder)
        if head.dense is not None:
            tensors += tensor_names.dense("sequence_summary.summary", head.dense)
        return tensors + tensor_names.dense("classifier", head.out_proj)

    def call(
        self, inputs: Mapping[str, Any], training: bool | None = None, **options: Any
    ) -> dict[str, Any]:
        sequences = {k: x for k, x in inputs.items() if k not in _WITHOUT_CHOICES}
        others = {k: x for k, x in inputs.items() if k in _WITHOUT_CHOICES}
        sequences = {name: _with_choices(name, x) for name, x in sequences.items()}
        choices = ops.shape_list(next(iter(sequences.values())))[1]  # equal in all inputs
        masks = [sequences[name] for name in _MASKS if name in sequences]
        sequences = {name: merge_choices(x) for name, x in sequences.items()}  # [B * C, L]
        # The sequence of choice c of example i draws dropout as row i * choices + c of the stream.
        # Replicas and micro-batches then drop the same units as one batch of all examples.
        with randomness.scope(training=bool(training), rows=choices):
            outputs = super().call({**sequences, **others}, training=training, **options)
        logits = tf.reshape(outputs["logits"], tf.stack([-1, choices]))
        for mask in masks:
            logits = tf.where(_has_tokens(mask), logits, PADDING_LOGIT)
        return {**outputs, "logits": logits}

    def _head(self, sequence, inputs, training):
        # The choices are already merged into the batch: logits are [B * C, 1].
        return {"logits": self.choice_head(sequence, num_choices=1, training=training)}


def _with_choices(name: str, value: Any) -> tf.Tensor:
    """Return an input as a tensor, after checking that it has an axis of choices."""
    value = tf.convert_to_tensor(value)
    width = ", width" if name in ("inputs_embeds", "encoder_hidden_states") else ""
    if value.shape.rank < (4 if width else 3):
        raise InputError(
            f"{name} must be [batch, choices, length{width}], was {value.shape.as_list()}; a "
            "single choice needs the axis as well"
        )
    return value


def _has_tokens(mask: tf.Tensor) -> tf.Tensor:
    """Return bool `[batch, choices]`: whether the mask of a choice is not 0 everywhere."""
    return tf.reduce_any(tf.cast(mask, tf.bool), axis=list(range(2, len(mask.shape))))


def merge_choices(value: tf.Tensor) -> tf.Tensor:
    """Return `[batch * choices, ...]` for `[batch, choices, ...]`."""
    _, _, *others = ops.shape_list(value)
    return tf.reshape(value, tf.stack([-1, *others]))
