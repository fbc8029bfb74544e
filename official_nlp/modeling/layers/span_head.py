"""Head that scores the start and end of a span."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class SpanHead(tf_keras.layers.Layer):
    """Score every token as the first and as the last of a span, such as an answer.

    Call: `[batch, length, width]` to the pair (start logits, end logits), each float32
    `[batch, length]`. With `span_mask` `[batch, length]`, 1 where a span may start and end (the
    passage, without question and padding), the logits of all other tokens are float32's lowest.

    Args:
      initializer: initializer of the kernel.

    Example:
      >>> start_logits, end_logits = SpanHead()(tf.ones([2, 8, 32]))
      >>> start_logits.shape, end_logits.shape
      (TensorShape([2, 8]), TensorShape([2, 8]))

    Reference: Devlin et al. 2018 section 4.2.
    """

    def __init__(self, initializer: Initializer = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.initializer = tf_keras.initializers.get(initializer)
        self.out_proj = ops.dense(2, self.initializer, tf.float32, "logits")

    def build(self, input_shape: Shape) -> None:
        self.out_proj.build(input_shape)
        super().build(input_shape)

    def call(
        self, features: tf.Tensor, span_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self.out_proj(features)  # [B, L, 2]
        if span_mask is not None:
            allowed = tf.cast(span_mask, tf.bool)[:, :, tf.newaxis]  # [B, L, 1]
            logits = tf.where(allowed, logits, tf.float32.min)
        # As in Hugging Face's files, output 0 is the start and output 1 the end.
        start_logits, end_logits = tf.unstack(logits, axis=-1)
        return start_logits, end_logits

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
