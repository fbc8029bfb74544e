"""Multi-head attention."""

import functools
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import fused, ops
from official_nlp.modeling.keras_types import Constraint, Initializer, Regularizer, Shape, Size
from official_nlp.modeling.layers.relative_key_embedding import RelativeKeyEmbedding
from official_nlp.modeling.refused import drop_refused

POSITION_TYPES = ("absolute", "relative_key", "relative_key_query")
# Arguments of tfnlp's classes of this name: the default, and why ELECTRA does not support others.
REFUSED = {
    "num_kv_heads": (None, "every head has a key and a value of its own, as in every checkpoint"),
    "src_block_size": (None, "attention covers whole sequences; packed sequences use a mask"),
    "tgt_block_size": (None, "attention covers whole sequences; packed sequences use a mask"),
    "use_sigmoid_attn": (False, "the probabilities of a query are a softmax and sum to 1"),
    "sigmoid_attn_bias": (None, "the probabilities of a query are a softmax and sum to 1"),
}
# Keys and values of the tokens before the current ones, by name.
Cache = dict[str, tf.Tensor]


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultiHeadAttention(tf_keras.layers.Layer):
    """Compute scaled dot-product attention, with the arguments and variable shapes of tf_keras.

    Call: `query` `[batch, to, width]`, `value` and optional `key` `[batch, from, width]` to
    `[batch, to, output width]`. With `return_attention_scores` or a `cache`, return a tuple:
    output, then the probabilities `[batch, heads, to, from]` if requested, then the cache if given.
    Further arguments:
      `attention_mask`: `[batch, from]`, `[batch, 1 or to, from]` or `[batch, heads, to, from]`, 1
        where attention is allowed. A position that may attend nowhere attends to all positions
        equally.
      `use_causal_mask`: forbid attention to later positions.
      `head_mask`: `[heads]`, `[batch, heads]` or `[batch, heads, 1 or to, 1 or from]`, multiplied
        by the probabilities after dropout.
      `cache`: keys and values of earlier tokens, a dict of `key` and `value` `[batch, slots, heads,
        head width]`, as returned by `init_cache` and by the previous call. The keys and values of
        this call are appended; or, with `cache_index`, an integer or a scalar tensor, written from
        that slot on, which keeps shapes static. Slots not yet written are masked. The axis `from`
        counts all slots.
      `value` may be the dict that `project` returns. The states of an encoder are then projected
        once instead of at every step of a decoder.

    Softmax is computed in float32. Dropout draws from the current random stream. Other arguments
    of tfnlp's classes of this name raise, unless they have tfnlp's default value.

    Args:
      num_heads: number of heads, N.
      key_dim: width of the query and the key of a head, D.
      value_dim: width of the value of a head; None for `key_dim`.
      dropout: dropout rate of the attention probabilities, in training.
      use_bias: whether the four linear transformations have biases.
      output_shape: width of the output; None for the width of the query.
      attention_axes: None or 1, the axis of the sequence.
      kernel_initializer: initializer of the query, key and value kernels `[width, N, D]` and of the
        output kernel `[N, D, width]`.
      bias_initializer: initializer of the biases `[N, D]` and `[width]`.
      kernel_regularizer, bias_regularizer: regularizers of these variables.
      activity_regularizer: regularizer of the output.
      kernel_constraint, bias_constraint: constraints of these variables.
      position_embedding_type: `absolute`, which adds nothing to the scores; or `relative_key` or
        `relative_key_query`, which add scores of distances, see `RelativeKeyEmbedding`.
      max_length: number of positions, required if they are relative.

    Raises:
      InputError: `attention_axes` is another axis, a mask has an unsupported rank,
        `position_embedding_type` is unknown, `max_length` is missing or exceeded, the cache is
        full, or an argument of tfnlp is not supported.

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
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        attention_axes: int | tuple[int] | list[int] | None = None,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        position_embedding_type: str = "absolute",
        max_length: int | None = None,
        **kwargs: Any,
    ):
        drop_refused("MultiHeadAttention", kwargs, REFUSED)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if attention_axes not in (None, 1, (1,), [1]):
            raise InputError(
                f"attention_axes must be None or 1, was {attention_axes!r}; move the axis of the "
                "sequence to position 1 before the call"
            )
        if position_embedding_type not in POSITION_TYPES:
            raise InputError(
                f"position_embedding_type must be one of {', '.join(POSITION_TYPES)}, was "
                f"{position_embedding_type!r}"
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
        self.position_embedding_type = position_embedding_type
        self.max_length = max_length
        self.relative_key = None
        if position_embedding_type != "absolute":
            self.relative_key = RelativeKeyEmbedding(
                max_length,
                position_embedding_type,
                initializer=ops.copy_initializer(self.kernel_initializer),
                dtype=self.dtype_policy,
                name="relative_key",
            )

    def build(self, input_shape: Shape | list[Shape]) -> None:
        """Create the variables.

        Args:
          input_shape: shape of the query, if key and value have the same width; or a list of the
            shapes of query, value and, if it differs from the value, key.
        """
        shapes = list(input_shape)
        # The first element of a single shape is a size, that of a list of shapes is a shape.
        if not isinstance(shapes[0], (list, tuple, tf.TensorShape)):
            shapes = [shapes, shapes]
        query_width, value_width = shapes[0][-1], shapes[1][-1]
        key_width = shapes[2][-1] if len(shapes) > 2 else value_width
        heads, key_dim, value_dim = self.num_heads, self.key_dim, self.value_dim
        self.query_kernel, self.query_bias = self._kernel_and_bias(
            "query", query_width, [heads, key_dim]
        )
        self.key_kernel, self.key_bias = self._kernel_and_bias("key", key_width, [heads, key_dim])
        self.value_kernel, self.value_bias = self._kernel_and_bias(
            "value", value_width, [heads, value_dim]
        )
        self.output_kernel, self.output_bias = self._kernel_and_bias(
            "attention_output", [heads, value_dim], self.output_size or query_width
        )
        if self.relative_key is not None:
            self.relative_key.build([None, None, heads, key_dim])
        super().build(input_shape)

    def _kernel_and_bias(
        self, name: str, inputs: int | list[int], outputs: int | list[int]
    ) -> tuple[tf.Variable, tf.Variable | None]:
        """Create a kernel `[*inputs, *outputs]` and, with `use_bias`, a bias `outputs`."""
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

    def __call__(
        self,
        query: tf.Tensor,
        value: tf.Tensor | Cache | None = None,
        key: tf.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        # Keras builds a layer from the shape of the first argument alone, but key and value may
        # have other widths. `init_scope` lifts the variables out of a function being traced.
        value = query if value is None else value
        if not self.built:
            tensors: tuple = (query, value, key)
            shapes = [x.shape for x in tensors if x is not None]
            with tf.init_scope(), tf.name_scope(self.name):
                self.build(shapes)
        return super().__call__(query, value, key=key, **kwargs)

    def call(
        self,
        query: tf.Tensor,
        value: tf.Tensor | Cache,
        key: tf.Tensor | None = None,
        attention_mask: tf.Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
        head_mask: tf.Tensor | None = None,
        cache: Cache | None = None,
        cache_index: Size | None = None,
    ) -> tf.Tensor | tuple:
        # B batch, T queries, S keys, N heads, D head width: [B, N, T, D] and twice [B, N, S, D].
        query_heads, key_heads, value_heads = self._project_heads(query, value, key)
        offset: Size = 0  # position of the first query among the keys
        if cache is not None:
            # From here on S counts the slots of the cache, written or not.
            offset = tf.shape(cache["key"])[1] if cache_index is None else cache_index
            cache = {
                "key": _extend(cache["key"], _swapped(key_heads), cache_index),
                "value": _extend(cache["value"], _swapped(value_heads), cache_index),
            }
            key_heads, value_heads = _swapped(cache["key"]), _swapped(cache["value"])
        scores = self._scores(query_heads, key_heads, offset)  # [B, N, T, S]
        allowed = _merge_masks(attention_mask, use_causal_mask, cache_index, offset, scores)
        with randomness.scope(training=bool(training) and self.dropout > 0):
            probabilities, dropped = fused.masked_softmax(
                scores, allowed, self.dropout, tf.as_dtype(self.compute_dtype), training
            )
        if head_mask is not None:
            # The returned probabilities are masked, but never dropped out.
            head_mask = tf.cast(_broadcast_head_mask(head_mask), self.compute_dtype)
            probabilities, dropped = probabilities * head_mask, dropped * head_mask
        mixed = _swapped(tf.matmul(dropped, value_heads))  # [B, T, N, D]
        output = self._linear(mixed, self.output_kernel, self.output_bias, axes=2)  # [B, T, H]
        extra = [probabilities] if return_attention_scores else []
        extra += [] if cache is None else [cache]
        return (output, *extra) if extra else output

    def _project_heads(
        self, query: tf.Tensor, value: tf.Tensor | Cache, key: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return query `[B, N, T, D]`, key and value `[B, N, S, D]`."""
        # Tensors are compared by identity: their contents are unknown while tracing.
        self_attention = query is value and (key is None or key is value)
        if self_attention and self.key_dim == self.value_dim:
            # One product is faster than three. The variables stay separate, as in tf_keras, so
            # that weights copy across.
            kernel = tf.stack([self.query_kernel, self.key_kernel, self.value_kernel], axis=1)
            bias = None
            if self.use_bias:
                bias = tf.stack([self.query_bias, self.key_bias, self.value_bias])
            # [H, 3, N, D] gives [B, T, 3, N, D]; parts of the first axis need not be copied.
            heads = tf.transpose(self._linear(query, kernel, bias), [2, 0, 3, 1, 4])
            query, key, value = tf.unstack(heads)
            return query, key, value
        # `project` may have computed keys and values before.
        projected = value if isinstance(value, dict) else self.project(value, key)
        query = self._linear(query, self.query_kernel, self.query_bias)
        return _swapped(query), _swapped(projected["key"]), _swapped(projected["value"])

    def _linear(
        self, x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable | None, axes: int = 1
    ) -> tf.Tensor:
        """Multiply the last `axes` axes of `x` by the kernel, and add the bias."""
        kernel = tf.cast(kernel, self.compute_dtype)
        x = tf.tensordot(tf.cast(x, self.compute_dtype), kernel, axes=axes)
        return x if bias is None else x + tf.cast(bias, self.compute_dtype)

    def _scores(self, query_heads: tf.Tensor, key_heads: tf.Tensor, offset: Size) -> tf.Tensor:
        """Return the scores before masking and softmax, `[B, N, T, S]`."""
        # softmax(Q K^T / sqrt(D)), Vaswani et al. equation 1. The query is scaled rather than the
        # larger product, as in tf_keras.
        scale = self.key_dim**-0.5
        scores = tf.matmul(query_heads * scale, key_heads, transpose_b=True)
        if self.relative_key is not None:
            # The query is not scaled here, because one part of these scores holds the key alone;
            # Hugging Face, too, divides the sum of all scores.
            distance_scores = self.relative_key(
                _swapped(query_heads), _swapped(key_heads), query_offset=offset
            )
            scores = tf.cast(scores, tf.float32)
            scores += tf.cast(distance_scores, tf.float32) * scale
        return scores

    def project(self, value: tf.Tensor, key: tf.Tensor | None = None) -> Cache:
        """Project keys and values once, for several calls with the same states.

        Args:
          value: states `[B, S, width]`.
          key: states `[B, S, width]`; None for `value`.

        Returns:
          Dict of `key` and `value` `[B, S, N, D]`, which the call accepts as `value`.
        """
        key = value if key is None else key
        return {
            "key": self._linear(key, self.key_kernel, self.key_bias),
            "value": self._linear(value, self.value_kernel, self.value_bias),
        }

    def init_cache(self, batch_size: Size, length: int = 0) -> Cache:
        """Return the cache for the first call.

        Args:
          batch_size: number of sequences.
          length: number of slots, to be written with `cache_index`; 0 for a cache that grows.

        Returns:
          Dict of `key` and `value`, zeros `[batch_size, length, N, D]` in the compute dtype.
        """
        return {
            name: tf.zeros([batch_size, length, self.num_heads, width], self.compute_dtype)
            for name, width in (("key", self.key_dim), ("value", self.value_dim))
        }

    def get_config(self) -> dict[str, Any]:
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
            "position_embedding_type": self.position_embedding_type,
            "max_length": self.max_length,
        }


def _swapped(heads: tf.Tensor) -> tf.Tensor:
    """Return `[B, N, T, D]` as `[B, T, N, D]`, or the reverse."""
    return tf.transpose(heads, [0, 2, 1, 3])


def _extend(past: tf.Tensor, new: tf.Tensor, index: Size | None) -> tf.Tensor:
    """Append `new` `[B, T, N, D]` to `past` `[B, S, N, D]`, or write it from slot `index` on.

    Raises:
      InputError: the sizes are static and the slots after `index` are too few.
    """
    if index is None:
        return tf.concat([past, new], axis=1)
    # A full cache can be detected only if the sizes are known while tracing.
    length, count = past.shape[1], new.shape[1]
    first = tf.get_static_value(index)
    if None not in (length, count, first) and first + count > length:
        raise InputError(
            f"cache_index must leave room for {count} more tokens in a cache of {length} slots, "
            f"was {first}; make a longer cache with init_cache"
        )
    # For each slot, the token that belongs there: slots outside the written range keep the past.
    # A gather and `tf.where` are cheaper than a scatter, and their shapes are static under XLA.
    steps = tf.range(tf.shape(past)[1]) - tf.cast(index, tf.int32)  # [S]
    count = tf.shape(new)[1]
    candidates = tf.gather(new, tf.clip_by_value(steps, 0, count - 1), axis=1)  # [B, S, N, D]
    written = (steps >= 0) & (steps < count)
    return tf.where(written[:, tf.newaxis, tf.newaxis], candidates, past)


def _merge_masks(
    attention_mask: tf.Tensor | None,
    use_causal_mask: bool,
    cache_index: Size | None,
    offset: Size,
    scores: tf.Tensor,
) -> tf.Tensor | None:
    """Return the allowed pairs as bool, broadcastable to `[B, N, T, S]`; None if all are."""
    masks = []
    if attention_mask is not None:
        masks.append(_broadcast_attention_mask(attention_mask))
    to_length, from_length = tf.shape(scores)[2], tf.shape(scores)[3]  # T and S
    keys, offset = tf.range(from_length), tf.cast(offset, tf.int32)
    if use_causal_mask:
        masks.append(keys <= tf.range(to_length)[:, tf.newaxis] + offset)
    elif cache_index is not None:
        # Slots after the last token are not written yet. A causal mask excludes them as well.
        masks.append(keys < to_length + offset)
    return functools.reduce(tf.logical_and, masks) if masks else None


def _broadcast_attention_mask(attention_mask: tf.Tensor) -> tf.Tensor:
    """Return the mask as bool, broadcastable to `[B, N, T, S]`.

    Raises:
      InputError: the rank is none of 2, 3 and 4.
    """
    rank = len(attention_mask.shape)
    if rank not in (2, 3, 4):
        raise InputError(
            "attention_mask must be [batch, from], [batch, to, from] or [batch, heads, to, "
            f"from], had {rank} axes"
        )
    mask = tf.cast(attention_mask, tf.bool)
    if rank == 2:
        # Converters to LiteRT refuse the same by strides, in a graph of unknown sizes.
        return tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, S]
    return tf.expand_dims(mask, 1) if rank == 3 else mask  # [B, 1, T, S] or [B, N, T, S]


def _broadcast_head_mask(head_mask: tf.Tensor) -> tf.Tensor:
    """Return the mask with axes added, broadcastable to `[B, N, T, S]`.

    Raises:
      InputError: the rank is none of 1, 2 and 4.
    """
    head_mask = tf.convert_to_tensor(head_mask)
    rank = len(head_mask.shape)
    if rank not in (1, 2, 4):
        raise InputError(
            "head_mask must be [heads], [batch, heads] or [batch, heads, 1 or to, 1 or from], had "
            f"{rank} axes"
        )
    # [N, 1, 1] or [B, N, 1, 1]: one number for all pairs of a head.
    return head_mask if rank == 4 else head_mask[..., tf.newaxis, tf.newaxis]
