"""One layer of a Transformer encoder."""

import functools

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.layers import multi_head_attention
from official_nlp.modeling.layers.multi_head_attention import MultiHeadAttention
from official_nlp.modeling.recomputation import recompute as recomputed
from official_nlp.modeling.refused import drop_refused

_LINFORMER = "keys and values keep the length of the row, which caches and relative positions need"
# Arguments of tfnlp's class, each with its default and why ELECTRA has no use for it.
REFUSED = {
    **multi_head_attention.REFUSED,
    "use_rms_norm": (False, "ELECTRA is normalized with LayerNorm, as its checkpoints are"),
    "linformer_dim": (None, _LINFORMER),
    "linformer_shared_kv_projection": (True, _LINFORMER),
}


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class TransformerEncoderBlock(tf_keras.layers.Layer):
    """Self-attention and a feed-forward network, each with a residual and LayerNorm.

    With `add_cross_attention` a third part stands between the two: attention to the states of an
    encoder, with its own residual and LayerNorm, as a decoder has it.

    Call: `[batch, length, width]`, or the list `[x, attention_mask]`, or `[x, key_value,
    attention_mask]`, to `[batch, length, width]`. Further, by keyword:
      `output_range`: compute this many of the first positions only.
      `encoder_hidden_states` `[batch, from, width]` and `encoder_attention_mask` `[batch, from]`:
        what the cross-attention attends to; without them it is left out.
      `head_mask`, `use_causal_mask`, `cache`, `cache_index`: of the self-attention, as
        `MultiHeadAttention` takes them and all masks; the head mask is also the cross-attention's.
        A cache holds an encoder's states, too, as `cross_key` and `cross_value`: once projected
        they are not asked for again.
      `return_attention_scores`: in place of the constructor's.
    With scores or a cache a tuple: output, then the probabilities `[batch, heads, length, from]`
    of the self-attention, then those of the cross-attention if it ran, then the cache.

    LayerNorm computes in float32. Other arguments that tfnlp's class has raise, unless they ask
    for nothing.

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
      return_attention_scores: return the probabilities of the attention, too.
      position_embedding_type, max_length: of the self-attention; see `MultiHeadAttention`.
      add_cross_attention: attend to the states of an encoder.
      recompute: in training keep the inputs alone, and compute all else again in the backward
        pass: less memory, about a third more time, the same numbers.

    Raises:
      InputError: the width is not a multiple of the heads, the arguments exclude each other, an
        argument of tfnlp's is not supported, or states are given that nothing attends to.

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
        position_embedding_type="absolute",
        max_length=None,
        add_cross_attention=False,
        recompute=False,
        **kwargs,
    ):
        drop_refused("TransformerEncoderBlock", kwargs, REFUSED)
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
        self.position_embedding_type = position_embedding_type
        self.max_length = max_length
        self.add_cross_attention = add_cross_attention
        self.recompute = recompute

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
        self.attention = self._attention(
            width,
            "self_attention",
            value_dim=self.value_dim,
            output_shape=self.output_last_dim,
            position_embedding_type=self.position_embedding_type,
            max_length=self.max_length,
        )
        output_width = self.output_last_dim or width
        self.attention.build([[None, None, width], [None, None, key_value_width]])
        self.attention_norm = self._norm("self_attention_layer_norm")
        self.attention_norm.build([None, None, width if self.norm_first else output_width])
        self.key_value_norm = None
        if self.diff_q_kv_att_layer_norm:
            self.key_value_norm = self._norm("self_attention_layer_norm_kv")
            self.key_value_norm.build([None, None, key_value_width])
        self.cross_attention = None
        if self.add_cross_attention:
            self.cross_attention = self._attention(output_width, "cross_attention")
            self.cross_attention.build([None, None, output_width])
            self.cross_norm = self._norm("cross_attention_layer_norm")
            self.cross_norm.build([None, None, output_width])
        self.intermediate = self._dense(self.inner_dim, "intermediate")
        self.intermediate.build([None, None, output_width])
        self.output_dense = self._dense(output_width, "output")
        self.output_dense.build([None, None, self.inner_dim])
        self.output_norm = self._norm("output_layer_norm")
        self.output_norm.build([None, None, output_width])
        super().build(input_shape)

    def _attention(self, width, name, **options):
        return MultiHeadAttention(
            num_heads=self.num_attention_heads,
            key_dim=self.key_dim or width // self.num_attention_heads,
            dropout=self.attention_dropout,
            use_bias=self.use_bias,
            attention_axes=self.attention_axes,
            kernel_initializer=self.attention_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self._dtype_policy,
            name=name,
            **self._variable_options(),
            **options,
        )

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

    def call(
        self,
        inputs,
        output_range=None,
        training=None,
        return_attention_scores=None,
        head_mask=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        use_causal_mask=False,
        cache=None,
        cache_index=None,
    ):
        x, key_value, mask = self._unpack(inputs)
        self._check_states(encoder_hidden_states)
        if return_attention_scores is None:
            return_attention_scores = self.return_attention_scores
        tensors = {
            "x": x,
            "key_value": key_value,
            "head_mask": head_mask,
            "states": encoder_hidden_states,
            "cache": cache,
        }
        compute = functools.partial(
            self._compute,
            mask=mask,
            states_mask=encoder_attention_mask,
            cache_index=cache_index,
            use_causal_mask=use_causal_mask,
            output_range=output_range or self.output_range,
            return_attention_scores=return_attention_scores,
            training=training,
        )
        if self.recompute and training:
            outputs = recomputed(compute, tensors)
        else:
            with randomness.scope(training=bool(training)):
                outputs = compute(tensors)
        return outputs if len(outputs) > 1 else outputs[0]

    def _compute(
        self,
        tensors,
        mask,
        states_mask,
        cache_index,
        use_causal_mask,
        output_range,
        return_attention_scores,
        training,
    ):
        """Returns the tuple of output and what else is asked for."""
        cache = tensors["cache"]
        options = {"head_mask": tensors["head_mask"], "training": training}
        x, *scores_and_cache = self._attend(
            tensors["x"],
            tensors["key_value"],
            output_range,
            attention_mask=_first_queries(mask, output_range),
            use_causal_mask=use_causal_mask,
            cache=cache,
            cache_index=cache_index,
            **options,
        )
        scores, kept = scores_and_cache[:1], scores_and_cache[1:]
        states = self._projected_states(tensors["states"], cache)
        if states is not None:
            states_mask = _first_queries(states_mask, output_range)
            x, cross_scores = self._cross_attend(x, states, attention_mask=states_mask, **options)
            scores.append(cross_scores)
            kept = [part | _cross(states) for part in kept]
        output = self._feed_forward(x, training)
        return (output, *(scores if return_attention_scores else ()), *kept)

    def _attend(self, x, key_value, output_range, training, **options):
        residual = x
        if self.norm_first:
            key_norm = self.key_value_norm or self.attention_norm
            x = self.attention_norm(x)
            key_value = None if key_value is None else key_norm(key_value)
        key_value = x if key_value is None else key_value
        if output_range:
            x, residual = x[:, :output_range], residual[:, :output_range]
        attended, *rest = self.attention(
            x, key_value, return_attention_scores=True, training=training, **options
        )
        attended = ops.apply_dropout(attended, self.output_dropout, training)
        if self.use_query_residual:
            attended = tf.cast(residual, attended.dtype) + attended
        return (attended if self.norm_first else self.attention_norm(attended), *rest)

    def _projected_states(self, states, cache):
        """Returns keys and values of the encoder's states, or None."""
        if cache is not None and "cross_key" in cache:
            return {"key": cache["cross_key"], "value": cache["cross_value"]}
        return None if states is None else self.cross_attention.project(states)

    def _cross_attend(self, x, states, training, **options):
        query = self.cross_norm(x) if self.norm_first else x
        attended, scores = self.cross_attention(
            query, states, return_attention_scores=True, training=training, **options
        )
        attended = ops.apply_dropout(attended, self.output_dropout, training)
        attended = tf.cast(x, attended.dtype) + attended
        return attended if self.norm_first else self.cross_norm(attended), scores

    def _feed_forward(self, x, training):
        inner = self.intermediate(self.output_norm(x) if self.norm_first else x)
        inner = self.inner_activation(inner)
        inner = ops.apply_dropout(inner, self.inner_dropout, training)
        output = ops.apply_dropout(self.output_dense(inner), self.output_dropout, training)
        output = tf.cast(x, output.dtype) + output
        if not self.norm_first:
            output = self.output_norm(output)
        return tf.cast(output, self.compute_dtype)

    def _check_states(self, states):
        if states is None:
            return
        if self.cross_attention is None:
            raise InputError(
                "encoder_hidden_states must be left out where there is no cross-attention: build "
                "with add_cross_attention=True"
            )
        width = self.cross_attention.key_kernel.shape[0]
        if states.shape[-1] != width:
            raise InputError(
                f"encoder_hidden_states must be {width} wide, as the block is, were "
                f"{states.shape[-1]}; project them first"
            )

    def init_cache(self, batch_size, length=0, encoder_hidden_states=None):
        """Returns a cache for the call.

        Args:
          batch_size: number of rows.
          length: number of places, to be written with `cache_index`; 0 for one that grows.
          encoder_hidden_states: None; or what the cross-attention attends to, which the cache then
            holds, projected.
        """
        self._check_states(encoder_hidden_states)
        cache = self.attention.init_cache(batch_size, length)
        states = self._projected_states(encoder_hidden_states, cache)
        return cache if states is None else cache | _cross(states)

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
            "position_embedding_type": self.position_embedding_type,
            "max_length": self.max_length,
            "add_cross_attention": self.add_cross_attention,
            "recompute": self.recompute,
        }


def _cross(states):
    """Returns keys and values of an encoder's states under the names a cache has for them."""
    return {"cross_key": states["key"], "cross_value": states["value"]}


def _first_queries(mask, count):
    """Returns the rows of a mask that belong to the first `count` queries; None is all."""
    if not count or mask is None or len(mask.shape) < 3 or mask.shape[-2] == 1:
        return mask
    return mask[..., :count, :]
