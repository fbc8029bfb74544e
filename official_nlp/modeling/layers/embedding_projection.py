"""Linear projection from the embedding width to the width of the encoder."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling.keras_types import Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class EmbeddingProjection(tf_keras.layers.Layer):
    """Project embeddings linearly to the width of an encoder that is wider or narrower.

    Call: `[..., embedding_width]` to `[..., output_size]`.

    Args:
      output_size: width of the encoder.
      kernel_initializer: initializer of the matrix `[embedding_width, output_size]`.
      bias_initializer: initializer of the bias `[output_size]`.

    Example:
      >>> projection = EmbeddingProjection(output_size=256)
      >>> projection(tf.ones([2, 5, 128])).shape
      TensorShape([2, 5, 256])

    Reference: Lan et al. 2019 (ALBERT) section 3.1; ELECTRA uses it where the two widths differ.
    """

    def __init__(
        self,
        output_size: int,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.output_size = output_size
        self.kernel_initializer = tf_keras.initializers.get(kernel_initializer)
        self.bias_initializer = tf_keras.initializers.get(bias_initializer)
        self.dense = tf_keras.layers.Dense(
            output_size,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name="dense",
        )

    def build(self, input_shape: Shape) -> None:
        self.dense.build(input_shape)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": tf_keras.initializers.serialize(self.bias_initializer),
        }
