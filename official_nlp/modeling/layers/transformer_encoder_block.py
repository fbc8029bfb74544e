"""One layer of a Transformer encoder."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.layers.multi_head_attention import MultiHeadAttention


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class TransformerEncoderBlock(tf_keras.layers.Layer):
    """Self-attention and a feed-forward network, each with a residual and LayerNorm.

    Call: `[batch, length, width]`, or the list `[x, attention_mask]`, or `[x, key_value,
    attention_mask]`, to `[batch, length, width]`. The mask is as `MultiHeadAttention` takes it.
    `output_range` keeps the first positions only. LayerNorm computes in float32.

    Args:
      num_attention_heads: number of heads.
      inner_dim: width of the feed-forward network.
      inner_activation: its activation: a name (`gelu` is exact, `gelu_new` tanh) or a callable.
      output_range: number of leading positions to compute; None for all.
      kernel_initializer, bias_initializer: of all maps.
      kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: of all maps.
      activity_regularizer: of the output.
      use_bias: whether the attention maps have biases.
      norm_first: normalize before each part instead of after it.
      norm_epsilon: added to the variance.
      output_dropout: share dropped after the attention and after the feed-forward network.
      attention_dropout: share of the attention probabilities dropped.
      inner_dropout: share dropped inside the feed-forward network.
      attention_initializer: of the attention's kernels; None for `kernel_initializer`.
      attention_axes: None or 1.
      use_query_residual: whether the attention has a residual.
      key_dim: width of a head; None for width / heads.
      value_dim: width of a head's value; None for `key_dim`.
      output_last_dim: width of the output; None for that of the input.
      diff_q_kv_att_layer_norm: with `norm_first`, a LayerNorm of its own for `key_value`.
      return_attention_scores: return the pair (output, `[batch, heads, length, length]`).

    Raises:
      InputError: the width is not a multiple of the heads, or the arguments exclude each other.

    Example:
      >>> block = TransformerEncoderBlock(4, inner_dim=64, inner_activation="gelu")
      >>> x, mask = tf.ones([2, 5, 16]), tf.constant([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
      >>> block([x, mask]).shape
      TensorShape([2, 5, 16])

    Reference: Vaswani et al. 2017 section 3.1; Devlin et al. 2018.
    """

    def __init__(
        self,
        num_attention_heads,
        inner_dim,
        inner_activation,
        output_range=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_bias=True,
        norm_first=False,
        norm_epsilon=1e-12,
        output_dropout=0.0,
        attention_dropout=0.0,
        inner_dropout=0.0,
        attention_initializer=None,
        attention_axes=None,
        use_query_residual=True,
        key_dim=None,
        value_dim=None,
        output_last_dim=None,
        diff_q_kv_att_layer_norm=False,
        return_attention_scores=False,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if diff_q_kv_att_layer_norm and not norm_first:
            raise InputError(
                "diff_q_kv_att_layer_norm=True needs norm_first=True: after the attention there "
                "is nothing of key and value to normalize"
            )
        self.num_attention_heads = num_attention_heads
        self.inner_dim = inner_dim
        self.inner_activation = ops.activation(inner_activation)
        self.output_range = output_range
        self.kernel_initializer = tf_keras.initializers.get(kernel_initializer)
        self.bias_initializer = tf_keras.initializers.get(bias_initializer)
        self.kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = tf_keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = tf_keras.constraints.get(kernel_constraint)
        self.bias_constraint = tf_keras.constraints.get(bias_constraint)
        self.use_bias = use_bias
        self.norm_first = norm_first
        self.norm_epsilon = norm_epsilon
        self.output_dropout = output_dropout
        self.attention_dropout = attention_dropout
        self.inner_dropout = inner_dropout
        self.attention_initializer = tf_keras.initializers.get(
            attention_initializer or kernel_initializer
        )
        self.attention_axes = attention_axes
        self.use_query_residual = use_query_residual
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.output_last_dim = output_last_dim
        self.diff_q_kv_att_layer_norm = diff_q_kv_att_layer_norm
        self.return_attention_scores = return_attention_scores

    def build(self, input_shape):
        shapes = list(input_shape)
        is_list = isinstance(shapes[0], (list, tuple, tf.TensorShape))
        shape = shapes[0] if is_list else shapes
        if len(shape) != 3:
            raise InputError(
                f"the input must be [batch, length, width], had {len(shape)} axes; put axes beside "
                "that of the tokens into the batch"
            )
        width = shape[-1]
        key_value_width = shapes[1][-1] if is_list and len(shapes) == 3 else width
        if width % self.num_attention_heads and self.key_dim is None:
            raise InputError(
                f"the width {width} must be a multiple of num_attention_heads="
                f"{self.num_attention_heads}; change one of them or give key_dim"
            )
        self.attention = MultiHeadAttention(
            num_heads=self.num_attention_heads,
            key_dim=self.key_dim or width // self.num_attention_heads,
            value_dim=self.value_dim,
            dropout=self.attention_dropout,
            use_bias=self.use_bias,
            output_shape=self.output_last_dim,
            attention_axes=self.attention_axes,
            kernel_initializer=self.attention_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self._dtype_policy,
            name="self_attention",
            **self._variable_options(),
        )
        output_width = self.output_last_dim or width
        self.attention.build([[None, None, width], [None, None, key_value_width]])
        self.attention_norm = self._norm("self_attention_layer_norm")
        self.attention_norm.build([None, None, width if self.norm_first else output_width])
        self.key_value_norm = None
        if self.diff_q_kv_att_layer_norm:
            self.key_value_norm = self._norm("self_attention_layer_norm_kv")
            self.key_value_norm.build([None, None, key_value_width])
        self.intermediate = self._dense(self.inner_dim, "intermediate")
        self.intermediate.build([None, None, output_width])
        self.output_dense = self._dense(output_width, "output")
        self.output_dense.build([None, None, self.inner_dim])
        self.output_norm = self._norm("output_layer_norm")
        self.output_norm.build([None, None, output_width])
        super().build(input_shape)

    def _variable_options(self):
        return {
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
        }

    def _dense(self, units, name):
        return tf_keras.layers.Dense(
            units,
            kernel_initializer=ops.copy_initializer(self.kernel_initializer),
            bias_initializer=ops.copy_initializer(self.bias_initializer),
            dtype=self._dtype_policy,
            name=name,
            **self._variable_options(),
        )

    def _norm(self, name):
        return tf_keras.layers.LayerNormalization(
            axis=-1, epsilon=self.norm_epsilon, dtype=tf.float32, name=name
        )

    def call(self, inputs, output_range=None, training=None):
        x, key_value, mask = self._unpack(inputs)
        output_range = output_range or self.output_range
        residual = x
        if self.norm_first:
            key_norm = self.key_value_norm or self.attention_norm
            x = self.attention_norm(x)
            key_value = None if key_value is None else key_norm(key_value)
        key_value = x if key_value is None else key_value
        if output_range:
            x, residual = x[:, :output_range], residual[:, :output_range]
            if mask is not None and len(mask.shape) == 3 and mask.shape[1] != 1:
                mask = mask[:, :output_range]
        with randomness.scope(training=bool(training)):
            return self._transform(x, key_value, mask, residual, training)

    def _transform(self, x, key_value, mask, residual, training):
        attended, scores = self.attention(
            x, key_value, attention_mask=mask, return_attention_scores=True, training=training
        )
        attended = ops.apply_dropout(attended, self.output_dropout, training)
        if self.use_query_residual:
            attended = tf.cast(residual, attended.dtype) + attended
        if not self.norm_first:
            attended = self.attention_norm(attended)
        residual = attended
        if self.norm_first:
            attended = self.output_norm(attended)
        inner = self.inner_activation(self.intermediate(attended))
        inner = ops.apply_dropout(inner, self.inner_dropout, training)
        output = ops.apply_dropout(self.output_dense(inner), self.output_dropout, training)
        output = tf.cast(residual, output.dtype) + output
        if not self.norm_first:
            output = self.output_norm(output)
        output = tf.cast(output, self.compute_dtype)
        return (output, scores) if self.return_attention_scores else output

    def _unpack(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            return inputs, None, None
        if len(inputs) == 2:
            return inputs[0], None, inputs[1]
        if len(inputs) == 3:
            return tuple(inputs)
        raise InputError(
            "inputs must be x, [x, attention_mask] or [x, key_value, attention_mask], was a list "
            f"of {len(inputs)}"
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_attention_heads": self.num_attention_heads,
            "inner_dim": self.inner_dim,
            "inner_activation": tf_keras.activations.serialize(self.inner_activation),
            "output_range": self.output_range,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": tf_keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": tf_keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": tf_keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": tf_keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": tf_keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": tf_keras.constraints.serialize(self.bias_constraint),
            "use_bias": self.use_bias,
            "norm_first": self.norm_first,
            "norm_epsilon": self.norm_epsilon,
            "output_dropout": self.output_dropout,
            "attention_dropout": self.attention_dropout,
            "inner_dropout": self.inner_dropout,
            "attention_initializer": tf_keras.initializers.serialize(self.attention_initializer),
            "attention_axes": self.attention_axes,
            "use_query_residual": self.use_query_residual,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_last_dim": self.output_last_dim,
            "diff_q_kv_att_layer_norm": self.diff_q_kv_att_layer_norm,
            "return_attention_scores": self.return_attention_scores,
        }
