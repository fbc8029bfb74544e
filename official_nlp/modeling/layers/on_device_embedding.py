"""Embedding table."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling.keras_types import Initializer, Shape
from official_nlp.modeling.refused import drop_refused

_REFUSED = {"weight_fallback_dtype": (tf.float32, "tables are float32 under every policy")}


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class OnDeviceEmbedding(tf_keras.layers.Layer):
    """Look up the vectors of integer ids in a table.

    Call: integer ids of any shape `[...]` to `[..., embedding_width]`, in the compute dtype. An id
    that is not in the table is an error of TensorFlow on a CPU. On a GPU and compiled by XLA, which
    cannot raise one, its vector is NaN.

    Args:
      vocab_size: number of tokens, that is rows of the table.
      embedding_width: width of a vector.
      initializer: initializer of the table.
      use_one_hot: multiply the table by one-hot vectors instead of gathering its rows; for very
        small tables on accelerators that gather slowly.
      scale_factor: factor of the vectors; None for 1.

    Raises:
      InputError: `weight_fallback_dtype`, an argument of tfnlp, is given and is not float32.

    Example:
      >>> table = OnDeviceEmbedding(vocab_size=100, embedding_width=16)
      >>> table(tf.constant([[2, 5, 6, 3]])).shape
      TensorShape([1, 4, 16])
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_width: int,
        initializer: Initializer = "glorot_uniform",
        use_one_hot: bool = False,
        scale_factor: float | None = None,
        **kwargs: Any,
    ):
        drop_refused("OnDeviceEmbedding", kwargs, _REFUSED)
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_width = embedding_width
        self.initializer = tf_keras.initializers.get(initializer)
        self.use_one_hot = use_one_hot
        self.scale_factor = scale_factor

    def build(self, input_shape: Shape | None = None) -> None:
        self.embeddings = self.add_weight(
            "embeddings",
            shape=[self.vocab_size, self.embedding_width],
            initializer=self.initializer,
            dtype=tf.float32,
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.use_one_hot:
            table = tf.cast(self.embeddings, self.compute_dtype)
            vectors = tf.matmul(tf.one_hot(inputs, self.vocab_size, dtype=table.dtype), table)
        else:
            # Gather before casting to half precision: casting first would copy the whole table
            # and sum its gradient in half precision.
            vectors = tf.cast(tf.gather(self.embeddings, inputs), self.compute_dtype)
        # Without this, results for such ids would be wrong and look right.
        is_inside = (inputs >= 0) & (inputs < tf.cast(self.vocab_size, inputs.dtype))
        vectors = tf.where(tf.expand_dims(is_inside, -1), vectors, float("nan"))
        return vectors * self.scale_factor if self.scale_factor else vectors

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "embedding_width": self.embedding_width,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "use_one_hot": self.use_one_hot,
            "scale_factor": self.scale_factor,
        }
