"""Attention mask made of a padding mask."""

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class SelfAttentionMask(tf_keras.layers.Layer):
    """Expand a padding mask so that every position attends to the real tokens of its sequence.

    Call: `inputs` `[batch, from_length, ...]` and `to_mask` `[batch, to_length]` (1 real,
    0 padding), or the two as a list, to `[batch, from_length, to_length]`. The result has the
    dtype of `inputs`, or the compute dtype if `inputs` are integers.

    Raises:
      InputError: `to_mask` is missing.

    Example:
      >>> SelfAttentionMask()(tf.ones([1, 2, 16]), to_mask=tf.constant([[1, 0]])).numpy()
      array([[[1., 0.],
              [1., 0.]]], dtype=float32)
    """

    def call(
        self, inputs: tf.Tensor | list[tf.Tensor], to_mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        x: tf.Tensor = inputs
        if isinstance(inputs, (list, tuple)) and to_mask is None:
            x, to_mask = inputs
        if to_mask is None:
            raise InputError("to_mask must be [batch, to_length], was None; give the input mask")
        dtype = x.dtype if x.dtype.is_floating else tf.as_dtype(self.compute_dtype)
        batch, from_length = tf.shape(x)[0], tf.shape(x)[1]
        mask = tf.cast(to_mask, dtype)[:, tf.newaxis, :]  # [B, 1, S]
        return tf.broadcast_to(mask, [batch, from_length, tf.shape(to_mask)[1]])
