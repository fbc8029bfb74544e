"""Learned vectors of absolute positions."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.keras_types import Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class PositionEmbedding(tf_keras.layers.Layer):
    """Return a learned vector for each position of the input.

    Call: `[..., length, ..., width]` to the vectors of positions 0 to length - 1, broadcast to the
    shape of the input. With `position_ids`, integer `[batch, length]`, return the vectors of these
    positions: `[batch, length, width]`. The result has the compute dtype.

    Args:
      max_length: number of positions.
      initializer: initializer of the table.
      seq_axis: axis of the input along which positions are counted.

    Raises:
      InputError: the input is longer than `max_length`, or `max_length` is None.

    Example:
      >>> words = tf.ones([2, 5, 16])
      >>> (words + PositionEmbedding(max_length=512)(words)).shape
      TensorShape([2, 5, 16])
    """

    def __init__(
        self,
        max_length: int,
        initializer: Initializer = "glorot_uniform",
        seq_axis: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_length is None:
            raise InputError("max_length must be a number of positions, was None; give e.g. 512")
        self.max_length = max_length
        self.initializer = tf_keras.initializers.get(initializer)
        self.seq_axis = seq_axis

    def build(self, input_shape: Shape) -> None:
        self.position_embeddings = self.add_weight(
            "embeddings",
            shape=[self.max_length, input_shape[-1]],
            initializer=self.initializer,
            dtype=tf.float32,
            # A table built as frozen stays frozen when a model sets `trainable` of all its layers.
            trainable=self.trainable,
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, position_ids: tf.Tensor | None = None) -> tf.Tensor:
        # Rows are selected and repeated over the batch in float32 and cast afterwards: the gradient
        # of a row is a sum over the batch, and half precision would lose small terms of it.
        table = self.position_embeddings
        if position_ids is not None:
            return tf.cast(tf.gather(table, position_ids), self.compute_dtype)
        length = inputs.shape[self.seq_axis]
        if length is not None and length > self.max_length:
            raise InputError(
                f"the input has {length} positions along axis {self.seq_axis}, the table "
                f"max_length={self.max_length}; shorten the input or build with a longer table"
            )
        if length is None:
            length = tf.shape(inputs)[self.seq_axis]
        # [1, ..., length, ..., 1, width], then broadcast: tfnlp's layer returns the full shape.
        shape = [1] * len(inputs.shape)
        shape[self.seq_axis], shape[-1] = length, table.shape[-1]
        rows = tf.broadcast_to(tf.reshape(table[:length], shape), tf.shape(inputs))
        return tf.cast(rows, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "seq_axis": self.seq_axis,
        }
