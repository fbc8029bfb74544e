"""Attention with several heads."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultiHeadAttention(tf_keras.layers.Layer):
    """Scaled dot-product attention, with the arguments and variable shapes of tf_keras.

    Call: `query` `[batch, to, width]`, `value` and optional `key` `[batch, from, width]` to
    `[batch, to, output width]`. `attention_mask` `[batch, from]`, `[batch, 1 or to, from]` or
    `[batch, heads, to, from]` is 1 where attention is allowed; a position that may attend nowhere
    attends everywhere alike. `use_causal_mask` forbids later positions. With
    `return_attention_scores` the pair (output, probabilities `[batch, heads, to, from]`).

    Softmax is computed in float32. Dropout takes its bits from the current random stream.

    Args:
      num_heads: number of heads, N.
      key_dim: width of a head's query and key, D.
      value_dim: width of a head's value; None for `key_dim`.
      dropout: share of the attention probabilities dropped, in training.
      use_bias: whether the four maps have biases.
      output_shape: width of the output; None for that of the query.
      attention_axes: None or 1: sequences lie along axis 1.
      kernel_initializer: of query, key, value `[width, N, D]` and output `[N, D, width]`.
      bias_initializer: of the biases `[N, D]` and `[width]`.
      kernel_regularizer, bias_regularizer: of these variables.
      activity_regularizer: of the output.
      kernel_constraint, bias_constraint: of these variables.

    Raises:
      InputError: `attention_axes` names another axis, or the mask has another rank.

    Example:
      >>> attention = MultiHeadAttention(num_heads=4, key_dim=8)
      >>> x = tf.ones([1, 4, 32])
      >>> padding = tf.constant([[1, 1, 0, 0]])
      >>> _, scores = attention(x, x, attention_mask=padding, return_attention_scores=True)
      >>> scores[0, 0, 0].numpy()
      array([0.5, 0.5, 0. , 0. ], dtype=float32)

    Reference: Vaswani et al. 2017 section 3.2.2.
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if attention_axes not in (None, 1, (1,), [1]):
            raise InputError(
                f"attention_axes must be None or 1, was {attention_axes!r}; move the axis of the "
                "sequence to place 1 before the call"
            )
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_size = output_shape
        self.attention_axes = attention_axes
        self.kernel_initializer = tf_keras.initializers.get(kernel_initializer)
        self.bias_initializer = tf_keras.initializers.get(bias_initializer)
        self.kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = tf_keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = tf_keras.constraints.get(kernel_constraint)
        self.bias_constraint = tf_keras.constraints.get(bias_constraint)

    def build(self, input_shape):
        """Makes the variables. `input_shape`: of the query, key and value being as wide; or a list
        of the shapes of query, value and, if it differs, key."""
        shapes = list(input_shape)
        if not isinstance(shapes[0], (list, tuple, tf.TensorShape)):
            shapes = [shapes, shapes]
        query_width, value_width = shapes[0][-1], shapes[1][-1]
        key_width = shapes[2][-1] if len(shapes) > 2 else value_width
        heads, key_dim, value_dim = self.num_heads, self.key_dim, self.value_dim
        self.query_kernel, self.query_bias = self._map("query", query_width, [heads, key_dim])
        self.key_kernel, self.key_bias = self._map("key", key_width, [heads, key_dim])
        self.value_kernel, self.value_bias = self._map("value", value_width, [heads, value_dim])
        self.output_kernel, self.output_bias = self._map(
            "attention_output", [heads, value_dim], self.output_size or query_width
        )
        super().build(input_shape)

    def _map(self, name, inputs, outputs):
        inputs = [inputs] if isinstance(inputs, int) else inputs
        outputs = [outputs] if isinstance(outputs, int) else outputs
        kernel = self.add_weight(
            f"{name}/kernel",
            shape=[*inputs, *outputs],
            initializer=ops.copy_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if not self.use_bias:
            return kernel, None
        bias = self.add_weight(
            f"{name}/bias",
            shape=outputs,
            initializer=ops.copy_initializer(self.bias_initializer),
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        return kernel, bias

    def __call__(self, query, value=None, key=None, **kwargs):
        # Keras builds from the first argument alone, but key and value may have other widths.
        value = query if value is None else value
        if not self.built:
            shapes = [x.shape for x in (query, value, key) if x is not None]
            with tf.init_scope(), tf.name_scope(self.name):
                self.build(shapes)
        return super().__call__(query, value, key=key, **kwargs)

    def call(
        self,
        query,
        value,
        key=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        query_heads, key_heads, value_heads = self._project(query, value, key)
        scores = tf.einsum("BTND,BSND->BNTS", query_heads * self.key_dim**-0.5, key_heads)
        scores = tf.cast(scores, tf.float32)  # [B, N, T, S]
        mask = _merge_masks(attention_mask, use_causal_mask, scores)
        if mask is not None:
            scores = tf.where(mask, scores, tf.float32.min)
        probabilities = tf.cast(tf.nn.softmax(scores), self.compute_dtype)
        with randomness.scope(training=bool(training) and self.dropout > 0):
            dropped = ops.apply_dropout(probabilities, self.dropout, training)
        mixed = tf.einsum("BNTS,BSND->BTND", dropped, value_heads)
        output = self._linear(mixed, self.output_kernel, self.output_bias, axes=2)
        return (output, probabilities) if return_attention_scores else output

    def _project(self, query, value, key):
        """Returns query, key and value as `[B, T or S, N, D]`."""
        self_attention = query is value and (key is None or key is value)
        if self_attention and self.key_dim == self.value_dim:
            # One product instead of three; the variables stay apart, as tf_keras has them.
            kernel = tf.concat([self.query_kernel, self.key_kernel, self.value_kernel], axis=1)
            bias = None
            if self.use_bias:
                bias = tf.concat([self.query_bias, self.key_bias, self.value_bias], axis=0)
            return tf.split(self._linear(query, kernel, bias), 3, axis=2)
        key = value if key is None else key
        return (
            self._linear(query, self.query_kernel, self.query_bias),
            self._linear(key, self.key_kernel, self.key_bias),
            self._linear(value, self.value_kernel, self.value_bias),
        )

    def _linear(self, x, kernel, bias, axes=1):
        kernel = tf.cast(kernel, self.compute_dtype)
        x = tf.tensordot(tf.cast(x, self.compute_dtype), kernel, axes=axes)
        return x if bias is None else x + tf.cast(bias, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self.output_size,
            "attention_axes": self.attention_axes,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": tf_keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": tf_keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": tf_keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": tf_keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": tf_keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": tf_keras.constraints.serialize(self.bias_constraint),
        }


def _merge_masks(attention_mask, use_causal_mask, scores):
    """Returns bool, broadcastable to `[B, N, T, S]`, or None where everything is allowed."""
    mask = None
    if attention_mask is not None:
        rank = len(attention_mask.shape)
        if rank not in (2, 3, 4):
            raise InputError(
                "attention_mask must be [batch, from], [batch, to, from] or [batch, heads, to, "
                f"from], had {rank} axes"
            )
        mask = tf.cast(attention_mask, tf.bool)
        if rank == 2:
            mask = mask[:, tf.newaxis, tf.newaxis, :]
        elif rank == 3:
            mask = mask[:, tf.newaxis, :, :]
    if use_causal_mask:
        to_length, from_length = tf.shape(scores)[2], tf.shape(scores)[3]
        causal = tf.range(to_length)[:, tf.newaxis] >= tf.range(from_length)
        mask = causal if mask is None else mask & causal
    return mask
