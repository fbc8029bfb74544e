"""From a mask of tokens to a mask of pairs of tokens."""

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class SelfAttentionMask(tf_keras.layers.Layer):
    """Lets every position attend to the real tokens of its row.

    Call: `inputs` `[batch, from_length, ...]` and `to_mask` `[batch, to_length]` (1 real,
    0 padding), or the two as a list, to `[batch, from_length, to_length]` in the dtype of the
    inputs (of the compute dtype, where the inputs are integers).

    Raises:
      InputError: `to_mask` is missing.

    Example:
      >>> SelfAttentionMask()(tf.ones([1, 2, 16]), to_mask=tf.constant([[1, 0]])).numpy()
      array([[[1., 0.],
              [1., 0.]]], dtype=float32)
    """

    def call(self, inputs, to_mask=None):
        if isinstance(inputs, (list, tuple)) and to_mask is None:
            inputs, to_mask = inputs
        if to_mask is None:
            raise InputError("to_mask must be [batch, to_length], was None; give the input mask")
        dtype = inputs.dtype if inputs.dtype.is_floating else tf.as_dtype(self.compute_dtype)
        batch, from_length = tf.shape(inputs)[0], tf.shape(inputs)[1]
        mask = tf.cast(to_mask, dtype)[:, tf.newaxis, :]
        return tf.broadcast_to(mask, [batch, from_length, tf.shape(to_mask)[1]])
