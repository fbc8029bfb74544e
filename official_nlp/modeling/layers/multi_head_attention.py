"""Attention with several heads."""

import functools

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.layers.relative_key_embedding import RelativeKeyEmbedding
from official_nlp.modeling.refused import drop_refused

POSITION_TYPES = ("absolute", "relative_key", "relative_key_query")
# Of tfnlp's own classes of this name, each with its default and why ELECTRA has no use for it.
REFUSED = {
    "num_kv_heads": (None, "every head has a key and a value of its own, as in every checkpoint"),
    "src_block_size": (None, "attention is over whole rows; packed rows have a mask in blocks"),
    "tgt_block_size": (None, "attention is over whole rows; packed rows have a mask in blocks"),
    "use_sigmoid_attn": (False, "the probabilities of a query are a softmax, and add up to 1"),
    "sigmoid_attn_bias": (None, "the probabilities of a query are a softmax, and add up to 1"),
}


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultiHeadAttention(tf_keras.layers.Layer):
    """Scaled dot-product attention, with the arguments and variable shapes of tf_keras.

    Call: `query` `[batch, to, width]`, `value` and optional `key` `[batch, from, width]` to
    `[batch, to, output width]`; with `return_attention_scores` or a `cache` to the tuple of
    output, then probabilities `[batch, heads, to, from]`, then cache, as far as asked for.
      `attention_mask`: `[batch, from]`, `[batch, 1 or to, from]` or `[batch, heads, to, from]`, 1
        where attention is allowed; a position that may attend nowhere attends everywhere alike.
      `use_causal_mask`: forbids later positions.
      `head_mask`: `[heads]`, `[batch, heads]` or `[batch, heads, 1 or to, 1 or from]`, multiplied
        with the probabilities after dropout.
      `cache`: keys and values of earlier tokens, a dict of `key` and `value` `[batch, places,
        heads, width of a head]`, as `init_cache` makes it and as the last call returned it. Those
        of this call are appended; or, with `cache_index`, an integer or a scalar, put at that
        place and after it, so that shapes stay as they are. Places not yet written count as
        forbidden; from is all places.
      `value` may be the dict that `project` returns, in place of what it was made of: an encoder's
        states are then projected once and not at every step of a decoder.

    Softmax is computed in float32. Dropout takes its bits from the current random stream. Other
    arguments that tfnlp's classes of this name have raise, unless they ask for nothing.

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
      position_embedding_type: `absolute`: nothing is added here; `relative_key` or
        `relative_key_query`: scores of distances are, see `RelativeKeyEmbedding`.
      max_length: number of positions, where these are relative.

    Raises:
      InputError: `attention_axes` names another axis, a mask has another rank, the type of
        positions is not known, `max_length` is missing or exceeded, the cache is full, or an
        argument of tfnlp's is not supported.

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
        position_embedding_type="absolute",
        max_length=None,
        **kwargs,
    ):
        drop_refused("MultiHeadAttention", kwargs, REFUSED)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if attention_axes not in (None, 1, (1,), [1]):
            raise InputError(
                f"attention_axes must be None or 1, was {attention_axes!r}; move the axis of the "
                "sequence to place 1 before the call"
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
                dtype=self._dtype_policy,
                name="relative_key",
            )

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
        if self.relative_key is not None:
            self.relative_key.build([None, None, heads, key_dim])
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
        head_mask=None,
        cache=None,
        cache_index=None,
    ):
        query_heads, key_heads, value_heads = self._project(query, value, key)
        offset = 0  # place of the first query among the keys
        if cache is not None:
            offset = tf.shape(cache["key"])[1] if cache_index is None else cache_index
            key_heads = _extend(cache["key"], key_heads, cache_index)
            value_heads = _extend(cache["value"], value_heads, cache_index)
            cache = {"key": key_heads, "value": value_heads}
        scores = self._scores(query_heads, key_heads, offset)
        allowed = _merge_masks(attention_mask, use_causal_mask, cache_index, offset, scores)
        if allowed is not None:
            scores = tf.where(allowed, scores, tf.float32.min)
        probabilities = tf.cast(tf.nn.softmax(scores), self.compute_dtype)
        with randomness.scope(training=bool(training) and self.dropout > 0):
            dropped = ops.apply_dropout(probabilities, self.dropout, training)
        if head_mask is not None:
            head_mask = tf.cast(_of_heads(head_mask), self.compute_dtype)
            probabilities, dropped = probabilities * head_mask, dropped * head_mask
        mixed = tf.einsum("BNTS,BSND->BTND", dropped, value_heads)
        output = self._linear(mixed, self.output_kernel, self.output_bias, axes=2)
        asked = [probabilities] if return_attention_scores else []
        asked += [] if cache is None else [cache]
        return (output, *asked) if asked else output

    def _project(self, query, value, key):
        """Returns query, key and value as `[B, T or S, N, D]`."""
        if isinstance(value, dict):
            query = self._linear(query, self.query_kernel, self.query_bias)
            return query, value["key"], value["value"]
        self_attention = query is value and (key is None or key is value)
        if self_attention and self.key_dim == self.value_dim:
            # One product instead of three; the variables stay apart, as tf_keras has them.
            kernel = tf.concat([self.query_kernel, self.key_kernel, self.value_kernel], axis=1)
            bias = None
            if self.use_bias:
                bias = tf.concat([self.query_bias, self.key_bias, self.value_bias], axis=0)
            return tf.split(self._linear(query, kernel, bias), 3, axis=2)
        projected = self.project(value, key)
        query = self._linear(query, self.query_kernel, self.query_bias)
        return query, projected["key"], projected["value"]

    def _linear(self, x, kernel, bias, axes=1):
        kernel = tf.cast(kernel, self.compute_dtype)
        x = tf.tensordot(tf.cast(x, self.compute_dtype), kernel, axes=axes)
        return x if bias is None else x + tf.cast(bias, self.compute_dtype)

    def _scores(self, query_heads, key_heads, offset):
        """Returns float32 `[B, N, T, S]`."""
        scale = self.key_dim**-0.5
        scores = tf.einsum("BTND,BSND->BNTS", query_heads * scale, key_heads)
        scores = tf.cast(scores, tf.float32)
        if self.relative_key is not None:
            of_distances = self.relative_key(query_heads, key_heads, query_offset=offset)
            scores += tf.cast(of_distances, tf.float32) * scale
        return scores

    def project(self, value, key=None):
        """Returns a dict of `key` and `value` `[B, S, N, D]`, to be used again and again.

        Args:
          value: `[B, S, width]`.
          key: None for `value`; or `[B, S, width]`.
        """
        key = value if key is None else key
        return {
            "key": self._linear(key, self.key_kernel, self.key_bias),
            "value": self._linear(value, self.value_kernel, self.value_bias),
        }

    def init_cache(self, batch_size, length=0):
        """Returns a cache: empty; or with `length` places, to be written with `cache_index`."""
        return {
            name: tf.zeros([batch_size, length, self.num_heads, width], self.compute_dtype)
            for name, width in (("key", self.key_dim), ("value", self.value_dim))
        }

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
            "position_embedding_type": self.position_embedding_type,
            "max_length": self.max_length,
        }


def _extend(past, new, index):
    """Returns `past` `[B, S, N, D]` with `new` `[B, T, N, D]` appended, or put at place `index`."""
    if index is None:
        return tf.concat([past, new], axis=1)
    length, count = past.shape[1], new.shape[1]
    first = tf.get_static_value(index)
    if None not in (length, count, first) and first + count > length:
        raise InputError(
            f"cache_index must leave room for {count} more in a cache of {length} places, was "
            f"{first}; make a longer one with init_cache"
        )
    # A gather and a choice instead of a scatter: cheap, and static under XLA.
    steps = tf.range(tf.shape(past)[1]) - tf.cast(index, tf.int32)  # [S]
    count = tf.shape(new)[1]
    here = tf.gather(new, tf.clip_by_value(steps, 0, count - 1), axis=1)  # [B, S, N, D]
    written = (steps >= 0) & (steps < count)
    return tf.where(written[:, tf.newaxis, tf.newaxis], here, past)


def _merge_masks(attention_mask, use_causal_mask, cache_index, offset, scores):
    """Returns bool, broadcastable to `[B, N, T, S]`, or None where everything is allowed."""
    masks = []
    if attention_mask is not None:
        masks.append(_of_pairs(attention_mask))
    to_length, from_length = tf.shape(scores)[2], tf.shape(scores)[3]
    keys, offset = tf.range(from_length), tf.cast(offset, tf.int32)
    if use_causal_mask:
        masks.append(keys <= tf.range(to_length)[:, tf.newaxis] + offset)
    elif cache_index is not None:
        masks.append(keys < to_length + offset)
    return functools.reduce(tf.logical_and, masks) if masks else None


def _of_pairs(attention_mask):
    """Returns bool, broadcastable to `[B, N, T, S]`."""
    rank = len(attention_mask.shape)
    if rank not in (2, 3, 4):
        raise InputError(
            "attention_mask must be [batch, from], [batch, to, from] or [batch, heads, to, "
            f"from], had {rank} axes"
        )
    mask = tf.cast(attention_mask, tf.bool)
    if rank == 2:
        return mask[:, tf.newaxis, tf.newaxis, :]
    return mask[:, tf.newaxis, :, :] if rank == 3 else mask


def _of_heads(head_mask):
    """Returns what broadcasts to `[B, N, T, S]`."""
    head_mask = tf.convert_to_tensor(head_mask)
    rank = len(head_mask.shape)
    if rank not in (1, 2, 4):
        raise InputError(
            "head_mask must be [heads], [batch, heads] or [batch, heads, 1 or to, 1 or from], had "
            f"{rank} axes"
        )
    return head_mask if rank == 4 else head_mask[..., tf.newaxis, tf.newaxis]
