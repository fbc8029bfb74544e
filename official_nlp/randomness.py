"""Random bits as a function of seed and position: the only source of randomness.

The generator is Philox4x32-10 (Salmon et al. 2011), chosen explicitly. Only its full-range integers
are used: floats that TensorFlow draws differ between XLA and other executors, integers do not.
Philox maps a 64-bit key and a 128-bit counter to 128 random bits. Here

    key          = the seed of the run
    counter high = the salt, which identifies the use of the bits (a layer, masking, ...)
    counter low  = the number of the example, times the number of 128-bit blocks per example

so the bits of an example depend on (seed, salt, number of the example), and neither on its batch
nor on the replica, host or micro-batch. A training example is numbered by its position in the
endless stream of examples. "Row" below means the row of a batch, which holds one example.

Layers obtain key and row number from a thread-local stream, which the step function opens:

    with randomness.stream(Key(seed).fold(phase), first_row):
        model(batch, training=True)

Inside, every `scope` and every `draw` is numbered by its order in the enclosing scope, or by a
given integer: the structure of the model counts, names do not. Outside a stream every draw takes a
key from TensorFlow's stateful generator. Each call then differs, which suits `fit` and
experiments, but such a run cannot be resumed exactly. (A stream opened implicitly would not do:
its key would be a tensor of one traced function, which other functions of a SavedModel cannot use.)
"""

import contextlib
import dataclasses
import math
import threading
from collections.abc import Iterator, Sequence

import tensorflow as tf

_PHILOX = 1  # the number of the algorithm in TensorFlow
_WORD_64 = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Key:
    """Identify a sequence of random bits by a seed and a salt.

    Attributes:
      seed: 64 bits, a Python integer or a scalar uint64 tensor.
      salt: 64 bits, a Python integer, derived from the integers folded in.
    """

    seed: int | tf.Tensor
    salt: int = 0

    def fold(self, *places: int) -> "Key":
        """Derive the key of a part of the program.

        Args:
          *places: integers that identify the part. Equal integers give equal keys, different ones
            give statistically independent keys.
        """
        salt = self.salt
        for place in places:
            # `_mix(0)` is 0: without the constant (2^64 / golden ratio, the increment of
            # SplitMix64), place 0 would leave the salt 0 unchanged. Mixing the result again makes
            # the order of the places count.
            salt = _mix(salt ^ _mix((place + 0x9E3779B97F4A7C15) & _WORD_64))
        return Key(self.seed, salt)


def random_bits(
    key: Key, shape: Sequence[int | tf.Tensor], first_row: int | tf.Tensor = 0
) -> tf.Tensor:
    """Return independent random words, uniform over all 2^32 values.

    Row i (along the first axis) depends only on the key and on `first_row + i`.

    Args:
      key: a `Key`.
      shape: integers or scalar int32 tensors; at least one axis.
      first_row: number of the first row, an integer or scalar integer tensor, at least 0.

    Returns:
      Tensor of type uint32 and the given shape.
    """
    rows, *row_shape = shape
    words = math.prod(row_shape)
    blocks = -(-words // 4)  # one counter value yields a block of four words
    # Rows start at multiples of `blocks`, so that no two rows share a counter.
    counter_low = tf.cast(first_row, tf.uint64) * tf.cast(blocks, tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.stack([rows, blocks * 4]),
        key=tf.reshape(_uint64(key.seed), [1]),
        # TensorFlow increments the low half, and carries into the high half only after 2^64 blocks.
        counter=tf.stack([counter_low, tf.constant(key.salt, tf.uint64)]),
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    return tf.reshape(bits[:, :words], tf.stack([rows, *row_shape]))


def uniform(
    key: Key, shape: Sequence[int | tf.Tensor], first_row: int | tf.Tensor = 0
) -> tf.Tensor:
    """Return float32 numbers in [0, 1), multiples of 2^-24, equal under every executor.

    The arguments are those of `random_bits`.
    """
    return to_uniform(random_bits(key, shape, first_row))


def to_uniform(bits: tf.Tensor) -> tf.Tensor:
    """Convert uint32 bits to float32 in [0, 1), exactly, by their upper 24 bits."""
    # A float32 holds 24 bits exactly. More bits would be rounded, and the largest values up to 1.
    upper = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.int32)
    return tf.cast(upper, tf.float32) * 2.0**-24


@dataclasses.dataclass
class _Scope:
    """An open stream or a part of it, with the number of draws so far."""

    key: Key
    first_row: int | tf.Tensor
    draws: int = 0


_thread = threading.local()


@contextlib.contextmanager
def stream(key: Key, first_row: int | tf.Tensor = 0) -> Iterator[None]:
    """Open the source of randomness for calls inside, on this thread.

    Args:
      key: a `Key`.
      first_row: position of the batch's first example in the stream of examples, an integer or
        int64 scalar tensor.
    """
    outer = getattr(_thread, "scope", None)
    _thread.scope = _Scope(key, first_row)
    try:
        yield
    finally:
        _thread.scope = outer


@contextlib.contextmanager
def scope(
    place: int | None = None, training: bool = True, rows: int | tf.Tensor | None = None
) -> Iterator[None]:
    """Open a numbered part of the current stream.

    Has no effect outside a stream, or if not `training`.

    Args:
      place: number of the part; None for the next one in order.
      training: whether anything is drawn inside.
      rows: number of rows inside per row of the stream, such as the number of choices per question,
        an integer or a scalar integer tensor: row n of the stream corresponds to the rows from
        n * rows on. None for one.
    """
    outer = getattr(_thread, "scope", None)
    if outer is None or not training:
        yield
        return
    first_row = outer.first_row
    if rows is not None:
        first_row = tf.cast(first_row, tf.int64) * tf.cast(rows, tf.int64)
    with stream(_next_key(outer, place), first_row):
        yield


def draw(row_shape: Sequence[int | tf.Tensor], rows: int | tf.Tensor) -> tf.Tensor:
    """Draw the next bits of the current stream.

    Args:
      row_shape: shape of the bits of one row.
      rows: number of rows.

    Returns:
      Tensor uint32 `[rows, *row_shape]`.
    """
    key, first_row = next_key()
    return random_bits(key, [rows, *row_shape], first_row)


def next_key() -> tuple[Key, int | tf.Tensor]:
    """Take the next key of the current stream, and the number of its first row.

    For code that runs elsewhere or twice, such as a compiled block or recomputation in the backward
    pass, which opens `stream(*next_key())` itself.
    """
    current = getattr(_thread, "scope", None)
    if current is None:
        # Every call has a key of its own here, so the rows need no numbers of a stream.
        return _stateful_key(), 0
    return _next_key(current, None), current.first_row


def _next_key(current: _Scope, place: int | None) -> Key:
    # Odd numbers are explicit places, even ones are in order of the calls: they never collide.
    if place is not None:
        return current.key.fold(2 * place + 1)
    current.draws += 1
    return current.key.fold(2 * (current.draws - 1))


def _stateful_key() -> Key:
    # The one stateful draw of the package. It is int32 because not every device has a kernel for
    # uint64.
    words = tf.random.uniform([2], tf.int32.min, tf.int32.max, dtype=tf.int32)  # noqa: TID251
    return Key(tf.bitcast(words, tf.uint64))


def _uint64(seed: int | tf.Tensor) -> tf.Tensor:
    if isinstance(seed, int):
        return tf.constant(seed & _WORD_64, tf.uint64)
    return tf.cast(seed, tf.uint64)


def _mix(word: int) -> int:
    """Apply the finalizer of SplitMix64, a bijection in which every bit affects every other."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD_64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD_64
    return word ^ (word >> 31)
