"""One layer of a Transformer encoder or decoder."""

import functools
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import fused, ops
from official_nlp.modeling.keras_types import (
    Activation,
    Constraint,
    Initializer,
    Regularizer,
    Shape,
    Size,
)
from official_nlp.modeling.layers import multi_head_attention
from official_nlp.modeling.layers.multi_head_attention import Cache, MultiHeadAttention
from official_nlp.modeling.recomputation import recompute as recomputed
from official_nlp.modeling.refused import drop_refused

_LINFORMER = "keys and values keep the sequence length, which caches and relative positions need"
# Arguments of tfnlp's class: the default, and why ELECTRA does not support others.
REFUSED = {
    **multi_head_attention.REFUSED,
    "use_rms_norm": (False, "ELECTRA is normalized with LayerNorm, as its checkpoints are"),
    "linformer_dim": (None, _LINFORMER),
    "linformer_shared_kv_projection": (True, _LINFORMER),
}


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class TransformerEncoderBlock(tf_keras.layers.Layer):
    """Apply self-attention and a feed-forward network, each with a residual and LayerNorm.

    With `add_cross_attention` the block becomes that of a decoder: attention to the states of an
    encoder, with its own residual and LayerNorm, comes between the two.

    Call: `[batch, length, width]`, or the list `[x, attention_mask]`, or `[x, key_value,
    attention_mask]`, to `[batch, length, width]`. Further arguments, by keyword:
      `output_range`: compute only this many of the first positions.
      `encoder_hidden_states` `[batch, from, width]` and `encoder_attention_mask` `[batch, from]`:
        the states that the cross-attention attends to; without them it is skipped.
      `head_mask`, `use_causal_mask`, `cache`, `cache_index`: arguments of the self-attention, as in
        `MultiHeadAttention`, including all shapes of masks; `head_mask` also applies to the
        cross-attention. A cache may hold the projected states of an encoder too, as `cross_key`
        and `cross_value`: then `encoder_hidden_states` is no longer needed.
      `return_attention_scores`: overrides the constructor's argument.
    With scores or a cache the result is a tuple: output, then the probabilities `[batch, heads,
    length, from]` of the self-attention, then those of the cross-attention if it ran, then the
    cache.

    LayerNorm computes in float32. Other arguments of tfnlp's class raise, unless they have tfnlp's
    default value.

    Args:
      num_attention_heads: number of heads.
      inner_dim: width of the feed-forward network.
      inner_activation: activation of the feed-forward network: a name (`gelu` is exact, `gelu_new`
        tanh) or a callable.
      output_range: number of leading positions to compute; None for all.
      kernel_initializer, bias_initializer: initializers of all linear transformations.
      kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: regularizers and
        constraints of all linear transformations.
      activity_regularizer: regularizer of the output.
      use_bias: whether the linear transformations of the attention have biases.
      norm_first: normalize before each part instead of after it.
      norm_epsilon: number added to the variance in LayerNorm.
      output_dropout: dropout rate after the attention and after the feed-forward network.
      attention_dropout: dropout rate of the attention probabilities.
      inner_dropout: dropout rate inside the feed-forward network.
      attention_initializer: initializer of the attention's kernels; None for `kernel_initializer`.
      attention_axes: None or 1.
      use_query_residual: whether the attention has a residual.
      key_dim: width of a head; None for width / heads.
      value_dim: width of the value of a head; None for `key_dim`.
      output_last_dim: width of the output; None for that of the input.
      diff_q_kv_att_layer_norm: with `norm_first`, give `key_value` a LayerNorm of its own.
      return_attention_scores: also return the probabilities of the attention.
      position_embedding_type, max_length: positions of the self-attention; see
        `MultiHeadAttention`.
      add_cross_attention: attend to the states of an encoder.
      recompute: in training store only the inputs, and compute the rest again in the backward
        pass: less memory, about a third more time, equal results.

    Raises:
      InputError: the width is not a multiple of the number of heads, arguments exclude each other,
        an argument of tfnlp is not supported, or encoder states are given to a block without
        cross-attention.

    Example:
      >>> block = TransformerEncoderBlock(4, inner_dim=64, inner_activation="gelu")
      >>> x, mask = tf.ones([2, 5, 16]), tf.constant([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
      >>> block([x, mask]).shape
      TensorShape([2, 5, 16])

    Reference: Vaswani et al. 2017 section 3.1; Devlin et al. 2018.
    """

    def __init__(
        self,
        num_attention_heads: int,
        inner_dim: int,
        inner_activation: Activation | None,
        output_range: int | None = None,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        use_bias: bool = True,
        norm_first: bool = False,
        norm_epsilon: float = 1e-12,
        output_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        inner_dropout: float = 0.0,
        attention_initializer: Initializer | None = None,
        attention_axes: int | tuple[int] | list[int] | None = None,
        use_query_residual: bool = True,
        key_dim: int | None = None,
        value_dim: int | None = None,
        output_last_dim: int | None = None,
        diff_q_kv_att_layer_norm: bool = False,
        return_attention_scores: bool = False,
        position_embedding_type: str = "absolute",
        max_length: int | None = None,
        add_cross_attention: bool = False,
        recompute: bool = False,
        **kwargs: Any,
    ):
        drop_refused("TransformerEncoderBlock", kwargs, REFUSED)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if diff_q_kv_att_layer_norm and not norm_first:
            raise InputError(
                "diff_q_kv_att_layer_norm=True needs norm_first=True: without it, only the output "
                "of the attention is normalized, not its key and value"
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

    def build(self, input_shape: Shape | list[Shape]) -> None:
        # One shape [B, L, H], or a list of the shapes of the inputs.
        shapes = list(input_shape)
        is_list = isinstance(shapes[0], (list, tuple, tf.TensorShape))
        shape = shapes[0] if is_list else shapes
        if len(shape) != 3:
            raise InputError(
                f"the input must be [batch, length, width], had {len(shape)} axes; merge other "
                "axes into the batch"
            )
        width = shape[-1]
        # Of two inputs the second is the mask, of three it is `key_value`.
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
        # The LayerNorm is before the attention or after it, where the width may be another.
        self.attention_norm.build([None, None, width if self.norm_first else output_width])
        self.key_value_norm = None
        if self.diff_q_kv_att_layer_norm:
            self.key_value_norm = self._norm("self_attention_layer_norm_kv")
            self.key_value_norm.build([None, None, key_value_width])
        self.cross_attention: Any = None
        if self.add_cross_attention:
            # Positions are absolute here whatever the self-attention has, as in Hugging Face's
            # model: queries and keys are of two sequences.
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

    def _attention(self, width: int, name: str, **options: Any) -> MultiHeadAttention:
        return MultiHeadAttention(
            num_heads=self.num_attention_heads,
            key_dim=self.key_dim or width // self.num_attention_heads,
            dropout=self.attention_dropout,
            use_bias=self.use_bias,
            attention_axes=self.attention_axes,
            kernel_initializer=self.attention_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name=name,
            **self._variable_options(),
            **options,
        )

    def _variable_options(self) -> dict[str, Any]:
        return {
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
        }

    def _dense(self, units: int, name: str) -> tf_keras.layers.Dense:
        return tf_keras.layers.Dense(
            units,
            kernel_initializer=ops.copy_initializer(self.kernel_initializer),
            bias_initializer=ops.copy_initializer(self.bias_initializer),
            dtype=self.dtype_policy,
            name=name,
            **self._variable_options(),
        )

    def _norm(self, name: str) -> tf_keras.layers.LayerNormalization:
        # The variance of half precision would be inaccurate, and 1e-12 would vanish in it.
        return tf_keras.layers.LayerNormalization(
            axis=-1, epsilon=self.norm_epsilon, dtype=tf.float32, name=name
        )

    def call(
        self,
        inputs: tf.Tensor | list[tf.Tensor],
        output_range: int | None = None,
        training: bool | None = None,
        return_attention_scores: bool | None = None,
        head_mask: tf.Tensor | None = None,
        encoder_hidden_states: tf.Tensor | None = None,
        encoder_attention_mask: tf.Tensor | None = None,
        use_causal_mask: bool = False,
        cache: Cache | None = None,
        cache_index: Size | None = None,
    ) -> tf.Tensor | tuple:
        x, key_value, mask = self._unpack(inputs)
        self._check_states(encoder_hidden_states)
        if return_attention_scores is None:
            return_attention_scores = self.return_attention_scores
        # Recomputation differentiates by its arguments, so every tensor that may need a gradient is
        # passed in `tensors`; the others are bound to the function.
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
            # `recomputed` opens such a scope itself, so that both paths draw the same bits.
            with randomness.scope(training=bool(training)):
                outputs = compute(tensors)
        return outputs if len(outputs) > 1 else outputs[0]

    def _compute(
        self,
        tensors: dict[str, Any],
        mask: tf.Tensor | None,
        states_mask: tf.Tensor | None,
        cache_index: Size | None,
        use_causal_mask: bool,
        output_range: int | None,
        return_attention_scores: bool,
        training: bool | None,
    ) -> tuple:
        """Return the output and, if requested, the scores and the cache."""
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
        # Lists of one element, or of none: the attention returns a cache only if one was given.
        scores, new_cache = scores_and_cache[:1], scores_and_cache[1:]
        states = self._projected_states(tensors["states"], cache)
        if states is not None:
            states_mask = _first_queries(states_mask, output_range)
            x, cross_scores = self._cross_attend(x, states, attention_mask=states_mask, **options)
            scores.append(cross_scores)
            # The states were projected above, or came from the cache; the next step needs them.
            new_cache = [part | _as_cross_cache(states) for part in new_cache]
        output = self._feed_forward(x, training)
        return (output, *(scores if return_attention_scores else ()), *new_cache)

    def _attend(
        self,
        x: tf.Tensor,
        key_value: tf.Tensor | None,
        output_range: int | None,
        training: bool | None,
        **options: Any,
    ) -> tuple:
        """Apply self-attention with its residual and norm; return output, scores and any cache."""
        residual = x  # before any LayerNorm
        if self.norm_first:
            key_norm = self.key_value_norm or self.attention_norm
            x = self.attention_norm(x)
            key_value = None if key_value is None else key_norm(key_value)
        key_value = x if key_value is None else key_value
        # Only queries are restricted: they attend to the keys and values of all positions.
        if output_range:
            x, residual = x[:, :output_range], residual[:, :output_range]
        attended, *rest = self.attention(
            x, key_value, return_attention_scores=True, training=training, **options
        )
        if self.use_query_residual:
            return (self._add(attended, residual, self.attention_norm, training), *rest)
        attended = ops.apply_dropout(attended, self.output_dropout, training)
        return (attended if self.norm_first else self.attention_norm(attended), *rest)

    def _add(
        self,
        output: tf.Tensor,
        residual: tf.Tensor,
        norm: tf_keras.layers.LayerNormalization,
        training: bool | None,
    ) -> tf.Tensor:
        """Return output, with dropout, plus residual; normalized unless `norm_first`."""
        # ELECTRA is post-LN, LayerNorm(x + f(x)); `norm_first` means x + f(LayerNorm(x)).
        if not self.norm_first:
            return fused.add_and_norm(output, residual, norm, self.output_dropout, training)
        output = ops.apply_dropout(output, self.output_dropout, training)
        return tf.cast(residual, output.dtype) + output

    def _projected_states(self, states: tf.Tensor | None, cache: Cache | None) -> Cache | None:
        """Return the keys and values of the encoder states, from the cache if it holds them."""
        if cache is not None and "cross_key" in cache:
            return {"key": cache["cross_key"], "value": cache["cross_value"]}
        return None if states is None else self.cross_attention.project(states)

    def _cross_attend(
        self, x: tf.Tensor, states: Cache, training: bool | None, **options: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply cross-attention with its residual and norm; return output and scores."""
        query = self.cross_norm(x) if self.norm_first else x
        attended, scores = self.cross_attention(
            query, states, return_attention_scores=True, training=training, **options
        )
        return self._add(attended, x, self.cross_norm, training), scores

    def _feed_forward(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Apply the feed-forward network with its residual and norm."""
        inner = self.intermediate(self.output_norm(x) if self.norm_first else x)
        inner = fused.activated(self.inner_activation, inner, training)
        inner = ops.apply_dropout(inner, self.inner_dropout, training)
        output = self._add(self.output_dense(inner), x, self.output_norm, training)
        # LayerNorm returns float32; the next block takes the compute dtype.
        return tf.cast(output, self.compute_dtype)

    def _check_states(self, states: tf.Tensor | None) -> None:
        if states is None:
            return
        if self.cross_attention is None:
            raise InputError(
                "encoder_hidden_states must be None for a block without cross-attention; build the "
                "block with add_cross_attention=True"
            )
        width = self.cross_attention.key_kernel.shape[0]
        if states.shape[-1] != width:
            raise InputError(
                f"encoder_hidden_states must have the width of the block, {width}, had "
                f"{states.shape[-1]}; project them first"
            )

    def init_cache(
        self,
        batch_size: Size,
        length: int = 0,
        encoder_hidden_states: tf.Tensor | None = None,
    ) -> Cache:
        """Return the cache for the first call.

        Args:
          batch_size: number of sequences.
          length: number of slots, to be written with `cache_index`; 0 for a cache that grows.
          encoder_hidden_states: states `[batch, from, width]` of an encoder, which the cache then
            holds in projected form; None if there is none.

        Returns:
          Dict of `key` and `value`, as in `MultiHeadAttention.init_cache`; with encoder states also
          of `cross_key` and `cross_value`.

        Raises:
          InputError: the block has no cross-attention, or the states have another width.
        """
        self._check_states(encoder_hidden_states)
        cache = self.attention.init_cache(batch_size, length)
        states = self._projected_states(encoder_hidden_states, cache)
        return cache if states is None else cache | _as_cross_cache(states)

    def _unpack(
        self, inputs: tf.Tensor | list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
        """Return x, key_value and attention_mask; None for those not given."""
        if not isinstance(inputs, (list, tuple)):
            return inputs, None, None
        if len(inputs) == 2:
            return inputs[0], None, inputs[1]
        if len(inputs) == 3:
            x, key_value, mask = inputs
            return x, key_value, mask
        raise InputError(
            "inputs must be x, [x, attention_mask] or [x, key_value, attention_mask], was a list "
            f"of {len(inputs)}"
        )

    def get_config(self) -> dict[str, Any]:
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


def _as_cross_cache(states: Cache) -> Cache:
    """Return the projected encoder states under their names in a cache."""
    return {"cross_key": states["key"], "cross_value": states["value"]}


def _first_queries(mask: tf.Tensor | None, count: int | None) -> tf.Tensor | None:
    """Restrict a mask to the first `count` queries; None for all of them."""
    # A mask without an axis of queries, or with one of size 1, holds for each of them.
    if not count or mask is None or len(mask.shape) < 3 or mask.shape[-2] == 1:
        return mask
    return mask[..., :count, :]
