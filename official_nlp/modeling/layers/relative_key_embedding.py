"""Learned vectors of the distances between positions."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.keras_types import Initializer, Shape, Size

TYPES = ("relative_key", "relative_key_query")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class RelativeKeyEmbedding(tf_keras.layers.Layer):
    """Compute the part of attention scores that depends on the distance of query and key.

    Each distance from 1 - `max_length` to `max_length` - 1 has a vector, which all heads share.
    `relative_key` multiplies it by the query, `relative_key_query` by the query and by the key.
    The caller adds the result to the products of queries and keys before it divides them by the
    square root of the head width.

    Call: `query` `[batch, to, heads, width]`, `key` `[batch, from, heads, width]` and
    `query_offset`, position of the first query among the keys, an integer or a scalar tensor: 0
    unless a cache holds keys of earlier tokens. Returns `[batch, heads, to, from]` in the compute
    dtype.

    Args:
      max_length: number of positions; the table is `[2 * max_length - 1, width]`.
      position_embedding_type: `relative_key` or `relative_key_query`.
      initializer: initializer of the table.

    Raises:
      InputError: `position_embedding_type` has another value, `max_length` is None, or there are
        more keys than `max_length`.

    Example:
      >>> query = key = tf.ones([1, 5, 2, 8])
      >>> RelativeKeyEmbedding(max_length=16)(query, key).shape
      TensorShape([1, 2, 5, 5])

    Reference: Shaw et al. 2018 section 3.2 (keys); Huang et al. 2020 section 3.2 (method 4).
    """

    def __init__(
        self,
        max_length: int | None,
        position_embedding_type: str = "relative_key",
        initializer: Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if position_embedding_type not in TYPES:
            raise InputError(
                f"position_embedding_type must be one of {', '.join(TYPES)}, was "
                f"{position_embedding_type!r}"
            )
        if max_length is None:
            raise InputError("max_length must be a number of positions, was None; give e.g. 512")
        self.max_length = max_length
        self.position_embedding_type = position_embedding_type
        self.initializer = tf_keras.initializers.get(initializer)

    def build(self, input_shape: Shape) -> None:
        self.embeddings = self.add_weight(
            "embeddings",
            shape=[2 * self.max_length - 1, input_shape[-1]],
            initializer=self.initializer,
            dtype=tf.float32,
        )
        super().build(input_shape)

    def call(self, query: tf.Tensor, key: tf.Tensor, query_offset: Size = 0) -> tf.Tensor:
        if key.shape[1] is not None and key.shape[1] > self.max_length:
            raise InputError(
                f"the input has {key.shape[1]} keys, but only distances below max_length="
                f"{self.max_length} have vectors; shorten the input or build with a longer table"
            )
        query_positions = tf.range(tf.shape(query)[1]) + tf.cast(query_offset, tf.int32)
        distances = query_positions[:, tf.newaxis] - tf.range(tf.shape(key)[1])  # [T, S]
        # Distances start at 1 - max_length, rows of the table at 0, as in Hugging Face's files.
        vectors = tf.gather(self.embeddings, distances + self.max_length - 1)  # [T, S, D]
        vectors = tf.cast(vectors, self.compute_dtype)
        scores = tf.einsum("BTND,TSD->BNTS", tf.cast(query, vectors.dtype), vectors)
        if self.position_embedding_type == "relative_key_query":
            scores += tf.einsum("BSND,TSD->BNTS", tf.cast(key, vectors.dtype), vectors)
        return scores

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "position_embedding_type": self.position_embedding_type,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
