"""Random bits as a function of (seed, place): the only source of randomness.

The generator is Philox4x32-10 (Salmon et al. 2011), named explicitly, and only its full-range
integers are used: floats drawn by TensorFlow differ between XLA and the other executors, integers
do not. Philox maps a 64-bit key and a 128-bit counter to 128 random bits. Here

    key          = the seed of the run
    counter high = the salt: what the bits are for (a layer's place in the model, masking, ...)
    counter low  = the row, times the number of 128-bit blocks a row needs

so a row's bits depend on (seed, salt, row) and neither on the batch it is in nor on the replica,
host or micro-batch that asks. A training row is numbered by its place in the endless stream of
examples.

Layers find key and row in a thread-local stream, which the step function opens:

    with randomness.stream(Key(seed).fold(phase), first_row):
        model(batch, training=True)

Inside, every `scope` and every `draw` is numbered by its order in the enclosing scope, or by the
integer it is given: structure, never names. Outside a stream every draw takes a key from
TensorFlow's stateful generator: each call differs, which suits `fit` and experiments, but such a
run cannot be resumed exactly. (No stream is opened there on the quiet: its key would be a tensor
of one traced function, which a SavedModel's other functions cannot use.)
"""

import contextlib
import dataclasses
import math
import threading

import tensorflow as tf

_PHILOX = 1
_WORD_64 = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Key:
    """Where bits come from: a seed and a salt.

    Attributes:
      seed: 64 bits, a Python integer or a scalar uint64 tensor.
      salt: 64 bits, a Python integer, made of the integers that were folded in.
    """

    seed: int | tf.Tensor
    salt: int = 0

    def fold(self, *places: int) -> "Key":
        """The key of a part: equal places give equal keys, others unrelated ones."""
        salt = self.salt
        for place in places:
            salt = _mix(salt ^ _mix((place + 0x9E3779B97F4A7C15) & _WORD_64))
        return Key(self.seed, salt)


def random_bits(key: Key, shape, first_row=0) -> tf.Tensor:
    """Returns uint32 `shape`: independent, uniform over all 2^32 values.

    Row i (along the first axis) is a function of the key and of `first_row + i` alone.

    Args:
      key: a `Key`.
      shape: list of integers or scalar int32 tensors; at least one axis.
      first_row: integer or scalar integer tensor, at least 0.
    """
    rows, *row_shape = shape
    words = math.prod(row_shape)
    blocks = -(-words // 4)
    counter_low = tf.cast(first_row, tf.uint64) * tf.cast(blocks, tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.stack([rows, blocks * 4]),
        key=tf.reshape(_uint64(key.seed), [1]),
        counter=tf.stack([counter_low, tf.constant(key.salt, tf.uint64)]),
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    return tf.reshape(bits[:, :words], tf.stack([rows, *row_shape]))


def uniform(key: Key, shape, first_row=0) -> tf.Tensor:
    """Returns float32 `shape` in [0, 1): multiples of 2^-24, equal under every executor."""
    return to_uniform(random_bits(key, shape, first_row))


def to_uniform(bits: tf.Tensor) -> tf.Tensor:
    """Maps uint32 bits to float32 in [0, 1) by their upper 24 bits, exactly."""
    upper = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.int32)
    return tf.cast(upper, tf.float32) * 2.0**-24


@dataclasses.dataclass
class _Scope:
    key: Key
    first_row: int | tf.Tensor
    draws: int = 0


_thread = threading.local()


@contextlib.contextmanager
def stream(key: Key, first_row=0):
    """Opens the source of randomness for what is called inside, on this thread.

    Args:
      key: a `Key`.
      first_row: place in the stream of examples of the batch's first row, integer or int64 scalar.
    """
    outer = getattr(_thread, "scope", None)
    _thread.scope = _Scope(key, first_row)
    try:
        yield
    finally:
        _thread.scope = outer


@contextlib.contextmanager
def scope(place: int | None = None, training: bool = True, rows=None):
    """Opens the numbered part of the current stream: `place`, or the next in order.

    Does nothing outside a stream, or when not `training`.

    Args:
      place: integer, or None.
      training: whether anything is drawn.
      rows: None; or how many rows inside belong to one row of the stream, such as the choices of a
        question: an integer or a scalar integer tensor. Row n becomes the rows from n * rows on.
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


def draw(row_shape, rows) -> tf.Tensor:
    """Returns uint32 `[rows, *row_shape]` from the current stream, the next in order."""
    key, first_row = next_key()
    return random_bits(key, [rows, *row_shape], first_row)


def next_key() -> tuple[Key, int | tf.Tensor]:
    """Takes the next key of the current stream, with the first row it is for.

    For code that runs elsewhere, or twice: a compiled block, or recomputation in the backward
    pass, which opens `stream(*next_key())` itself.
    """
    current = getattr(_thread, "scope", None)
    if current is None:
        return _fresh_key(), 0
    return _next_key(current, None), current.first_row


def _next_key(current: _Scope, place: int | None) -> Key:
    # Odd and even keep explicit places apart from those given by order.
    if place is not None:
        return current.key.fold(2 * place + 1)
    current.draws += 1
    return current.key.fold(2 * (current.draws - 1))


def _fresh_key() -> Key:
    # The one stateful draw of the package. int32 because uint64 has no kernel on every device.
    words = tf.random.uniform([2], tf.int32.min, tf.int32.max, dtype=tf.int32)  # noqa: TID251
    return Key(tf.bitcast(words, tf.uint64))


def _uint64(seed) -> tf.Tensor:
    if isinstance(seed, int):
        return tf.constant(seed & _WORD_64, tf.uint64)
    return tf.cast(seed, tf.uint64)


def _mix(word: int) -> int:
    """The finaliser of SplitMix64: a bijection of 64 bits whose every output bit is mixed."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD_64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD_64
    return word ^ (word >> 31)
