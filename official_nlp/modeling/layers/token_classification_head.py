"""Head that classifies every token."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class TokenClassificationHead(tf_keras.layers.Layer):
    """Classify every token of a sequence.

    Call: `[batch, length, width]` to float32 logits `[batch, length, num_classes]`.

    Args:
      num_classes: number of classes.
      dropout_rate: dropout rate before the dense layer, in training.
      initializer: initializer of the kernel.

    Example:
      >>> TokenClassificationHead(num_classes=9)(tf.ones([2, 8, 32])).shape
      TensorShape([2, 8, 9])

    Reference: Devlin et al. 2018 section 5.3.
    """

    def __init__(
        self,
        num_classes: int,
        dropout_rate: float = 0.0,
        initializer: Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout_rate = dropout_rate
        self.initializer = tf_keras.initializers.get(initializer)
        self.out_proj = ops.dense(num_classes, self.initializer, tf.float32, "logits")

    def build(self, input_shape: Shape) -> None:
        self.out_proj.build(input_shape)
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.out_proj(ops.apply_dropout(features, self.dropout_rate, training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout_rate": self.dropout_rate,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
