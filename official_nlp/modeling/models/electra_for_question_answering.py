"""A model that finds answers in a text."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import initializers, tensor_names
from official_nlp.modeling.layers.span_head import SpanHead
from official_nlp.modeling.models.electra_for import (
    Comparison,
    ElectraFor,
    compare_classes,
    require_together,
)
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForQuestionAnswering(ElectraFor):
    """Find the first and the last token of the answer to a question in a text.

    Call: see `ElectraFor`. `start_logits` and `end_logits` are `[batch, length]`; the labels are
    `start_positions` and `end_positions`, both integer `[batch]`, of the first and the last token.
    The loss is the mean of two cross-entropies, each the mean over examples. A position beyond the
    length (a truncated answer) is ignored; a negative one means the first token.

    Args:
      config: configuration.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Raises:
      InputError: only one of the two labels is given.

    Example:
      >>> model = ElectraForQuestionAnswering(ElectraConfig(vocab_size=100, num_hidden_layers=2))
      >>> outputs = model(
      ...   input_ids=tf.constant([[2, 5, 6, 3, 7, 8, 3]]),
      ...   token_type_ids=tf.constant([[0, 0, 0, 0, 1, 1, 1]]),
      ...   start_positions=tf.constant([4]),
      ...   end_positions=tf.constant([5]),
      ... )
      >>> outputs["start_logits"].shape, outputs["end_logits"].shape, outputs["loss"].shape
      (TensorShape([1, 7]), TensorShape([1, 7]), TensorShape([]))

    Reference: Hugging Face's `ElectraForQuestionAnswering`.
    """

    hugging_face_class = "ElectraForQuestionAnswering"
    _targets = {"start_logits": "start_positions", "end_logits": "end_positions"}

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        self.qa_outputs = SpanHead(
            initializers.kernel_initializer(config), dtype=self.dtype_policy, name="qa_outputs"
        )
        self.qa_outputs.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        qa_outputs = tensor_names.dense("qa_outputs", self.qa_outputs.out_proj)
        return tensor_names.encoder(self.encoder) + qa_outputs

    def _head(self, sequence, inputs, training):
        start_logits, end_logits = self.qa_outputs(sequence)
        return {"start_logits": start_logits, "end_logits": end_logits}

    def _comparisons(self, outputs, labels, inputs):
        require_together(self._targets.values(), labels)
        return {
            output: compare_positions(labels[name], outputs[output])
            for output, name in self._targets.items()
        }


def compare_positions(positions: Any, logits: tf.Tensor) -> Comparison:
    """Return target, prediction and weights; positions beyond the length are ignored.

    Args:
      positions: integers `[batch]` or `[batch, 1]`.
      logits: `[batch, length]`.
    """
    length = tf.shape(logits)[1]
    positions = tf.cast(positions, tf.int32)
    if positions.shape.rank == 2 and positions.shape[1] == 1:
        positions = positions[:, 0]
    # As in Hugging Face's model, all positions beyond the length become `length`, which is ignored.
    return compare_classes(tf.clip_by_value(positions, 0, length), logits, ignored=length)
