"""Pure functions on tensors that layers and models share.

Letters of shapes: B batch, L length, P predictions, V vocabulary.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling.keras_types import Activation, Size
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


_EXACT_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")
# Number of tokens per block in sampling. Near the square root of a usual vocabulary, it makes both
# searches, of the block and inside the block, equally short.
_BLOCK = 256


def activation(identifier: Activation | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the activation function of a name.

    `gelu` and `gelu_python` are exact (erf). `gelu_new`, `gelu_fast`, `gelu_accurate`,
    `gelu_pytorch_tanh` and `gelu_python_tanh` are the tanh approximation.

    Args:
      identifier: a name of Hugging Face or Keras, a serialized function or a callable; None or an
        empty name for the identity.
    """
    if identifier in _TANH_GELU:
        return gelu_new  # A registered function, unlike a lambda, can be serialized.
    if identifier in _EXACT_GELU:
        return gelu
    return tf_keras.activations.get(identifier or None)


@tf_keras.utils.register_keras_serializable(package="official_nlp")
def gelu(x: tf.Tensor) -> tf.Tensor:
    """Apply the exact GELU, x times the normal distribution function (Hendrycks and Gimpel 2016).

    `tf.nn.gelu` is the same by the complementary error function, which converters to other formats
    do not know.
    """
    x = tf.convert_to_tensor(x)
    half, scale = tf.cast(0.5, x.dtype), tf.cast(math.sqrt(0.5), x.dtype)
    return half * x * (1 + tf.math.erf(x * scale))


@tf_keras.utils.register_keras_serializable(package="official_nlp")
def gelu_new(x: tf.Tensor) -> tf.Tensor:
    """Apply the tanh approximation of GELU (Hendrycks and Gimpel 2016)."""
    return tf_keras.activations.gelu(x, approximate=True)


def copy_initializer(
    initializer: tf_keras.initializers.Initializer,
) -> tf_keras.initializers.Initializer:
    """Return a copy of an initializer, for another variable.

    An instance without a seed returns the same values in each call, and Keras warns if one
    instance initializes several variables.
    """
    return initializer.__class__.from_config(initializer.get_config())


def dense(
    units: int, initializer: tf_keras.initializers.Initializer, dtype: Any, name: str
) -> tf_keras.layers.Dense:
    """Return a dense layer of a head, without activation.

    Args:
      units: width of the output.
      initializer: initializer of the kernel, which is copied.
      dtype: dtype or policy; float32 for layers that return logits.
      name: name of the layer.
    """
    return tf_keras.layers.Dense(
        units, kernel_initializer=copy_initializer(initializer), dtype=dtype, name=name
    )


def check_output(output: str) -> None:
    """Raise InputError unless the argument `output` of a head is `logits` or `predictions`."""
    if output not in ("logits", "predictions"):
        raise InputError(
            f'Unknown `output` value "{output}": output must be "logits" or "predictions"'
        )


def shape_list(tensor: tf.Tensor) -> list[Size]:
    """Return the shape: integers for static sizes, scalar tensors for dynamic ones."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def apply_dropout(x: tf.Tensor, rate: float, training: bool | None) -> tf.Tensor:
    """Set a random fraction of the elements to zero and scale up the others, in training.

    The mask takes 16 bits per element from the current random stream (`randomness.stream`): the
    mask of an example depends only on the position of the example in that stream, not on its
    batch, replica or executor. The rate is exact to 2^-17.

    Args:
      x: float `[B, ...]`.
      rate: dropout rate, in [0, 1).
      training: Python bool; None for False.

    Returns:
      Tensor of the shape and dtype of `x`.
    """
    return drop(x, dropout_bits(x, rate, training), rate)


def dropout_bits(x: tf.Tensor, rate: float, training: bool | None) -> tf.Tensor | None:
    """Draw the bits of `drop` from the current random stream; None where nothing is dropped."""
    if not training or not rate:
        return None
    batch, *example_shape = shape_list(x)
    size = functools.reduce(lambda a, b: a * b, example_shape, 1)
    # Each word of 32 bits serves two elements.
    bits = randomness.draw([(size + 1) // 2], batch)  # [B, size / 2]
    halves = tf.reshape(tf.bitcast(bits, tf.uint16), tf.stack([batch, (size + 1) // 2 * 2]))
    if not isinstance(size, int) or size % 2:
        halves = halves[:, :size]
    return tf.reshape(halves, tf.stack([batch, *example_shape]))


def drop(x: tf.Tensor, bits: tf.Tensor | None, rate: float) -> tf.Tensor:
    """Apply dropout with given bits.

    Args:
      x: float `[B, ...]`.
      bits: uint16 of this shape, from `dropout_bits`; None to return `x`.
      rate: dropout rate, in [0, 1).
    """
    if bits is None:
        return x
    dropped = round(rate * 2**16)  # An element is dropped if its 16 bits are below this number.
    # The comparison is exact in integers, which gives the same mask in eager execution, graphs and
    # XLA.
    keep = tf.cast(bits, tf.int32) >= dropped
    # The scale is that of the rounded rate, so that the expected value is preserved.
    scaled = x * tf.cast(2.0**16 / (2**16 - dropped), x.dtype)
    # A product with 0, in place of the selection, would turn an infinite element into NaN.
    return tf.where(keep, scaled, tf.zeros([], x.dtype))


def gather_positions(sequence: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Gather the elements at some positions of each sequence.

    Args:
      sequence: `[B, L, ...]`.
      positions: integer `[B, P]`, in [0, L).

    Returns:
      Tensor `[B, P, ...]`.
    """
    return tf.gather(sequence, positions, batch_dims=1)


def packed_attention_mask(document_ids: tf.Tensor) -> tf.Tensor:
    """Return the mask with which the tokens of a document attend only to each other.

    Args:
      document_ids: integer `[B, L]`: one positive number for all tokens of a document, 0 for
        padding, which neither attends nor is attended to.

    Returns:
      Bool `[B, L, L]`.

    Example:
      >>> packed_attention_mask([[7, 7, 3, 0]]).numpy().astype(int)
      array([[[1, 1, 0, 0],
              [1, 1, 0, 0],
              [0, 0, 1, 0],
              [0, 0, 0, 0]]])
    """
    ids = tf.convert_to_tensor(document_ids)
    same = ids[:, :, tf.newaxis] == ids[:, tf.newaxis, :]  # [B, L, L]
    # Padding equals padding. Excluding it as a key excludes it as a query too, because a query of
    # padding equals no other key.
    return same & (ids > 0)[:, tf.newaxis, :]


def packed_positions(document_ids: tf.Tensor) -> tf.Tensor:
    """Return positions that restart at 0 in each document of a packed sequence.

    Args:
      document_ids: integer `[B, L]`, see `packed_attention_mask`.

    Returns:
      Int32 `[B, L]`: number of earlier tokens of the same document; 0 for padding.

    Example:
      >>> packed_positions([[7, 7, 3, 0]])
      <tf.Tensor: shape=(1, 4), dtype=int32, numpy=array([[0, 1, 0, 0]], dtype=int32)>
    """
    mask = packed_attention_mask(document_ids)
    positions = tf.range(tf.shape(mask)[1])
    earlier = positions < positions[:, tf.newaxis]  # [L, L]
    return tf.reduce_sum(tf.cast(mask & earlier, tf.int32), axis=-1)


def scatter_tokens(
    ids: tf.Tensor,
    positions: tf.Tensor,
    updates: tf.Tensor,
    active: tf.Tensor,
    average_duplicates: bool = False,
) -> tf.Tensor:
    """Return a copy of `ids` with `updates` written at `positions`.

    If several active slots name the same position, the first one counts. The result is
    deterministic, whereas `tf.tensor_scatter_nd_update` leaves the order of duplicate writes to the
    device.

    Args:
      ids: integer `[B, L]`.
      positions: integer `[B, P]`, in [0, L).
      updates: integer `[B, P]`.
      active: bool `[B, P]`; inactive slots change nothing.
      average_duplicates: write the floor of the mean of duplicates instead, as the original does
        (`ReferenceQuirks.average_duplicates`).

    Returns:
      Integer `[B, L]`, of the dtype of `ids`.
    """
    batch, length = shape_list(ids)
    slots = shape_list(positions)[1]
    first_bins = tf.range(batch)[:, tf.newaxis] * length  # [B, 1]
    updates = tf.cast(updates, ids.dtype)
    # One bin per token of the batch. Inactive slots go to an extra bin, which is cut off again.
    bins = tf.where(active, first_bins + tf.cast(positions, tf.int32), batch * length)
    if average_duplicates:
        sums = tf.math.unsorted_segment_sum(updates, bins, batch * length + 1)[:-1]
        counts = tf.math.unsorted_segment_sum(tf.ones_like(updates), bins, batch * length + 1)[:-1]
        written = tf.reshape(sums // tf.maximum(counts, 1), [batch, length])
        found = tf.reshape(counts > 0, [batch, length])
    else:
        # The smallest slot number of a bin is that of the first update.
        slot = tf.range(slots) + tf.zeros_like(bins)  # [B, P]
        first = tf.math.unsorted_segment_min(slot, bins, batch * length + 1)[:-1]
        first = tf.reshape(first, [batch, length])
        found = first < slots  # an empty segment holds the largest integer
        # The minimum only keeps the gather in range: `found` excludes these elements.
        written = tf.gather(updates, tf.minimum(first, slots - 1), batch_dims=1)
    return tf.where(found, written, ids)


def sample_tokens(
    logits: tf.Tensor,
    key: randomness.Key,
    first_row: Size = 0,
    temperature: float = 1.0,
    disallowed: tf.Tensor | None = None,
) -> tf.Tensor:
    """Sample one token per position from `softmax(logits / temperature)`.

    The cumulative distribution is inverted at one uniform number per position: Gumbel noise would
    need one number per token of the vocabulary. The search finds the block of 256 tokens first,
    then the token in the block. So no cumulative sum over the vocabulary is stored, and few sums
    are rounded differently by different executors. No gradient passes.

    Args:
      logits: float `[B, P, V]`.
      key: `randomness.Key` of this sample.
      first_row: position of the first example of the batch in the stream of examples.
      temperature: positive number.
      disallowed: tokens that may not be drawn, integer `[B, P]`; None if all may.

    Returns:
      Token ids, int32 `[B, P]`.
    """
    logits = tf.stop_gradient(tf.cast(logits, tf.float32))
    if temperature != 1:
        logits /= temperature
    batch, slots, vocab = shape_list(logits)
    blocks = -(-vocab // _BLOCK)
    # The vocabulary is padded to whole blocks; the padding has probability 0.
    padding = [[0, 0], [0, 0], [0, blocks * _BLOCK - vocab]]
    logits = tf.pad(logits, padding, constant_values=logits.dtype.min)
    if disallowed is not None:
        disallowed = tf.maximum(tf.cast(disallowed, tf.int32), 0)  # an unused slot may hold -100
        logits = _suppress(logits, disallowed)
    probabilities = tf.reshape(
        tf.nn.softmax(logits, axis=-1), tf.stack([batch, slots, blocks, _BLOCK])
    )
    uniform = tf.cast(randomness.uniform(key, [batch, slots, 1], first_row), tf.float64)
    # The float32 probabilities do not add up to exactly 1, so the threshold is relative to their
    # sum.
    block_probabilities = tf.reduce_sum(probabilities, axis=-1)  # [B, P, blocks]
    total = tf.reduce_sum(tf.cast(block_probabilities, tf.float64), axis=-1, keepdims=True)
    block, rest = _invert(block_probabilities, uniform * total)  # [B, P], [B, P, 1]
    inside = tf.gather(probabilities, block, axis=2, batch_dims=2)  # [B, P, 256]
    token, _ = _invert(inside, rest)
    drawn = block * _BLOCK + token
    if disallowed is not None:
        # A compiled sum, added in another order, may land on a token of probability 0.
        neighbour = tf.where(disallowed + 1 < vocab, disallowed + 1, disallowed - 1)
        drawn = tf.where(drawn == disallowed, neighbour, drawn)
    # Only a sum that rounds differently, or NaN logits, reach the padding of the last block.
    return tf.minimum(drawn, vocab - 1)


def _invert(weights: tf.Tensor, threshold: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Find where the cumulative sum of weights passes a threshold.

    Args:
      weights: `[B, P, n]`.
      threshold: `[B, P, 1]`.

    Returns:
      The index of the weight, int32 `[B, P]`, and the part of the threshold that exceeds the sum of
      the weights before it, float64 `[B, P, 1]`.
    """
    # In float64 the rounding of a sum, which depends on the executor, almost never matters.
    weights = tf.cast(weights, tf.float64)
    sums = tf.cumsum(weights, axis=-1)
    # Rounding must not lift the threshold to the total, past trailing weights of 0.
    threshold = tf.minimum(threshold, sums[..., -1:] * (1 - 2.0**-23))
    # `right` finds the first sum above the threshold, which is never that of a weight of 0.
    index = tf.searchsorted(sums, threshold, side="right")
    index = tf.minimum(index, shape_list(weights)[-1] - 1)  # NaN logits must not index past the end
    before = tf.gather(sums - weights, index, axis=2, batch_dims=2)
    return index[..., 0], tf.maximum(threshold - before, 0)


def _suppress(logits: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Return the logits `[B, P, V]` with float32's lowest number at `ids` `[B, P]`."""
    batch, slots, _ = shape_list(logits)
    rows, columns = tf.meshgrid(tf.range(batch), tf.range(slots), indexing="ij")
    indices = tf.stack([rows, columns, ids], axis=-1)  # [B, P, 3]
    lowest = tf.fill([batch, slots], logits.dtype.min)
    return tf.tensor_scatter_nd_update(logits, indices, lowest)
