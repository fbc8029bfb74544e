"""Pieces of texts with the characters that they cover, in a graph."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class LocatedPieces(NamedTuple):
    """Pieces of texts or spans; all ragged `[texts, pieces]`.

    Attributes:
      ids: int32.
      starts, ends: int64, first character of each piece in its text and the one after its last.
      begins: bool, whether a piece is the first one of a word.
    """

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor
    begins: tf.RaggedTensor

    def map(self, function: Callable[[tf.RaggedTensor], tf.RaggedTensor]) -> "LocatedPieces":
        """Return the results of a function of each of the four."""
        return LocatedPieces(*map(function, self))


def is_first(rows: tf.Tensor) -> tf.Tensor:
    """Return which elements have another row than the element before them."""
    return tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], 0)
