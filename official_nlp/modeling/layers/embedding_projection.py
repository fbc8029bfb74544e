"""The step from the width of the embeddings to the width of the encoder."""

import tf_keras


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class EmbeddingProjection(tf_keras.layers.Layer):
    """A linear map of the embeddings, for encoders wider or narrower than their tables.

    Call: `[..., embedding_width]` to `[..., output_size]`.

    Args:
      output_size: width of the encoder.
      kernel_initializer: of the matrix `[embedding_width, output_size]`.
      bias_initializer: of the bias `[output_size]`.

    Example:
      >>> projection = EmbeddingProjection(output_size=256)
      >>> projection(tf.ones([2, 5, 128])).shape
      TensorShape([2, 5, 256])

    Reference: Lan et al. 2019 (ALBERT) section 3.1; ELECTRA uses it where the two widths differ.
    """

    def __init__(
        self,
        output_size,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_size = output_size
        self.kernel_initializer = tf_keras.initializers.get(kernel_initializer)
        self.bias_initializer = tf_keras.initializers.get(bias_initializer)
        self.dense = tf_keras.layers.Dense(
            output_size,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self._dtype_policy,
            name="dense",
        )

    def build(self, input_shape):
        self.dense.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": tf_keras.initializers.serialize(self.bias_initializer),
        }
