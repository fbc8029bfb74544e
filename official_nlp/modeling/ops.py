"""Pure functions on tensors that the layers and models share.

B batch, L length, P predictions, V vocabulary.
"""

import functools

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.randomness import random_bits

__all__ = [
    "activation",
    "apply_dropout",
    "check_output",
    "copy_initializer",
    "dense",
    "gather_positions",
    "packed_attention_mask",
    "packed_positions",
    "random_bits",
    "sample_tokens",
    "scatter_tokens",
    "shape_list",
]


_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")
# Tokens of a block in sampling: near the square root of a usual vocabulary.
_BLOCK = 256


def activation(identifier):
    """Returns the function for a name as Hugging Face means it, a Keras name or a callable.

    `gelu` is the exact one (erf), as is `gelu_python`; `gelu_new` is its tanh approximation, as
    are `gelu_fast`, `gelu_accurate`, `gelu_pytorch_tanh` and `gelu_python_tanh`; None or an empty
    name is linear.
    """
    if identifier in _TANH_GELU:
        return gelu_new
    if identifier == "gelu_python":
        identifier = "gelu"
    return tf_keras.activations.get(identifier or None)


@tf_keras.utils.register_keras_serializable(package="official_nlp")
def gelu_new(x):
    """The tanh approximation of GELU (Hendrycks and Gimpel 2016)."""
    return tf_keras.activations.gelu(x, approximate=True)


def copy_initializer(initializer):
    """Returns a twin: Keras warns where one unseeded initializer makes several variables."""
    return initializer.__class__.from_config(initializer.get_config())


def dense(units: int, initializer, dtype, name: str) -> tf_keras.layers.Dense:
    """Returns a linear map of a head; float32 for `dtype` where it gives logits."""
    return tf_keras.layers.Dense(
        units, kernel_initializer=copy_initializer(initializer), dtype=dtype, name=name
    )


def check_output(output: str):
    """Raises InputError unless a head's argument `output` is `logits` or `predictions`."""
    if output not in ("logits", "predictions"):
        raise InputError(
            f'Unknown `output` value "{output}": output must be "logits" or "predictions"'
        )


def shape_list(tensor) -> list:
    """Returns the shape: integers where static, scalar tensors elsewhere."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def apply_dropout(x, rate: float, training) -> tf.Tensor:
    """Zeroes a share `rate` of the elements and scales the others up, when training.

    The mask comes from 16 bits an element of the current random stream (`randomness.stream`), so
    that the rate is met to 2^-17 and a row's mask depends on its place in the stream alone.

    Args:
      x: float `[B, ...]`.
      rate: share of the elements to drop, in [0, 1).
      training: Python bool; None counts as False.
    """
    if not training or not rate:
        return x
    dropped = round(rate * 2**16)
    rows, *row_shape = shape_list(x)
    size = functools.reduce(lambda a, b: a * b, row_shape, 1)
    bits = randomness.draw([(size + 1) // 2], rows)  # [B, size / 2]
    halves = tf.reshape(tf.bitcast(bits, tf.uint16), tf.stack([rows, (size + 1) // 2 * 2]))
    halves = tf.cast(halves[:, :size], tf.int32)
    keep = tf.reshape(halves >= dropped, tf.stack([rows, *row_shape]))
    scaled = x * tf.cast(2.0**16 / (2**16 - dropped), x.dtype)
    return tf.where(keep, scaled, tf.zeros([], x.dtype))


def gather_positions(sequence, positions) -> tf.Tensor:
    """Returns `[B, P, ...]`: for each row the elements of `[B, L, ...]` at `positions` `[B, P]`."""
    return tf.gather(sequence, positions, batch_dims=1)


def packed_attention_mask(document_ids) -> tf.Tensor:
    """Returns bool `[B, L, L]`: in a row of several documents each token attends to its own.

    Args:
      document_ids: integer `[B, L]`: one positive number for all tokens of a document, 0 for
        padding, which attends to nothing and is attended by nothing.

    Example:
      >>> packed_attention_mask([[7, 7, 3, 0]]).numpy().astype(int)
      array([[[1, 1, 0, 0],
              [1, 1, 0, 0],
              [0, 0, 1, 0],
              [0, 0, 0, 0]]])
    """
    ids = tf.convert_to_tensor(document_ids)
    same = ids[:, :, tf.newaxis] == ids[:, tf.newaxis, :]  # [B, L, L]
    return same & (ids > 0)[:, tf.newaxis, :]


def packed_positions(document_ids) -> tf.Tensor:
    """Returns int32 `[B, L]`: how many tokens of its own document stand before each token.

    So positions restart at 0 in every document; padding has 0.

    Args:
      document_ids: integer `[B, L]`, see `packed_attention_mask`.

    Example:
      >>> packed_positions([[7, 7, 3, 0]])
      <tf.Tensor: shape=(1, 4), dtype=int32, numpy=array([[0, 1, 0, 0]], dtype=int32)>
    """
    mask = packed_attention_mask(document_ids)
    places = tf.range(tf.shape(mask)[1])
    earlier = places < places[:, tf.newaxis]  # [L, L]
    return tf.reduce_sum(tf.cast(mask & earlier, tf.int32), axis=-1)


def scatter_tokens(ids, positions, updates, active, average_duplicates=False) -> tf.Tensor:
    """Returns a copy of `ids` with `updates` put at `positions`.

    Where several active slots name one position, the first counts; the result does not depend on
    the order in which a device happens to write.

    Args:
      ids: integer `[B, L]`.
      positions: integer `[B, P]`, in [0, L).
      updates: integer `[B, P]`.
      active: bool `[B, P]`; slots that are not active change nothing.
      average_duplicates: as the original does: duplicates become the floor of their mean.
    """
    batch, length = shape_list(ids)
    slots = shape_list(positions)[1]
    rows = tf.range(batch)[:, tf.newaxis]
    updates = tf.cast(updates, ids.dtype)
    # Inactive slots write to a bin past the end, which is cut off again.
    bins = tf.where(active, rows * length + tf.cast(positions, tf.int32), batch * length)
    if average_duplicates:
        sums = tf.math.unsorted_segment_sum(updates, bins, batch * length + 1)[:-1]
        counts = tf.math.unsorted_segment_sum(tf.ones_like(updates), bins, batch * length + 1)[:-1]
        written = tf.reshape(sums // tf.maximum(counts, 1), [batch, length])
        found = tf.reshape(counts > 0, [batch, length])
    else:
        slot = tf.range(slots) + tf.zeros_like(bins)
        first = tf.math.unsorted_segment_min(slot, bins, batch * length + 1)[:-1]
        first = tf.reshape(first, [batch, length])
        found = first < slots  # an empty segment holds the largest integer
        written = tf.gather(updates, tf.minimum(first, slots - 1), batch_dims=1)
    return tf.where(found, written, ids)


def sample_tokens(logits, key, first_row=0, temperature=1.0, disallowed=None) -> tf.Tensor:
    """Draws one token a position from `softmax(logits / temperature)`; int32 `[B, P]`.

    Inverts the cumulative distribution at one uniform number a position: nothing of the size of
    the vocabulary is drawn, and no one-hot vector is made. First the block of 256 tokens is found,
    then the token in it, so that beside the probabilities nothing of that size is held, and few
    sums differ in rounding between executors. No gradient flows through.

    Args:
      logits: float `[B, P, V]`.
      key: `randomness.Key`.
      first_row: place in the stream of the first row.
      temperature: positive number.
      disallowed: None, or integer `[B, P]`: tokens that may not be drawn.
    """
    logits = tf.stop_gradient(tf.cast(logits, tf.float32))
    if temperature != 1:
        logits /= temperature
    batch, slots, vocab = shape_list(logits)
    blocks = -(-vocab // _BLOCK)
    padding = [[0, 0], [0, 0], [0, blocks * _BLOCK - vocab]]
    logits = tf.pad(logits, padding, constant_values=logits.dtype.min)
    if disallowed is not None:
        disallowed = tf.maximum(tf.cast(disallowed, tf.int32), 0)  # an unused slot may hold -100
        logits = _lowered(logits, disallowed)
    probabilities = tf.reshape(
        tf.nn.softmax(logits, axis=-1), tf.stack([batch, slots, blocks, _BLOCK])
    )
    uniform = tf.cast(randomness.uniform(key, [batch, slots, 1], first_row), tf.float64)
    of_blocks = tf.reduce_sum(probabilities, axis=-1)  # [B, P, blocks]
    total = tf.reduce_sum(tf.cast(of_blocks, tf.float64), axis=-1, keepdims=True)
    block, rest = _inverted(of_blocks, uniform * total)
    inside = tf.gather(probabilities, block, axis=2, batch_dims=2)  # [B, P, 256]
    token, _ = _inverted(inside, rest)
    drawn = block * _BLOCK + token
    if disallowed is not None:
        # Nor may a compiled sum, added in another order, step over a token of probability 0.
        beside = tf.where(disallowed + 1 < vocab, disallowed + 1, disallowed - 1)
        drawn = tf.where(drawn == disallowed, beside, drawn)
    return tf.minimum(drawn, vocab - 1)


def _inverted(weights, threshold):
    """Returns int32 `[B, P]`, the part of `[B, P, n]` in which the sums of `weights` reach beyond
    `threshold` `[B, P, 1]`, and float64 `[B, P, 1]`, how far into that part the threshold lies."""
    weights = tf.cast(weights, tf.float64)
    sums = tf.cumsum(weights, axis=-1)
    # Rounding must not lift the threshold to the total, behind parts of weight 0.
    threshold = tf.minimum(threshold, sums[..., -1:] * (1 - 2.0**-23))
    part = tf.searchsorted(sums, threshold, side="right")
    part = tf.minimum(part, shape_list(weights)[-1] - 1)  # sums that are no numbers
    before = tf.gather(sums - weights, part, axis=2, batch_dims=2)
    return part[..., 0], tf.maximum(threshold - before, 0)


def _lowered(logits, ids):
    """Returns `[B, P, V]`: the logits, with float32's lowest at `ids` `[B, P]`."""
    batch, slots, _ = shape_list(logits)
    rows, columns = tf.meshgrid(tf.range(batch), tf.range(slots), indexing="ij")
    places = tf.stack([rows, columns, ids], axis=-1)  # [B, P, 3]
    lowest = tf.fill([batch, slots], logits.dtype.min)
    return tf.tensor_scatter_nd_update(logits, places, lowest)
