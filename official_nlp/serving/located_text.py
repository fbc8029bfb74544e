"""Texts as sequences whose tokens are known by their characters, in a graph."""

import functools
from typing import NamedTuple

import tensorflow as tf

from official_nlp.data.tokenization.graph.name_finders import WHITE_SPACE, one_of
from official_nlp.serving.text_encoding import TextEncoding


class LocatedText(NamedTuple):
    """Texts, and the pieces of their sequences as flat vectors.

    Attributes:
      texts: strings `[batch]`, valid UTF-8.
      framed: ids of the sequences [CLS] pieces [SEP], ragged int32 `[batch, tokens]`.
      rows: int64 `[pieces]`, number of the text of each piece, ascending.
      starts, ends: int64 `[pieces]`, first character of each piece and the one after its last.
      begins: bool `[pieces]`, whether a piece is the first one of a word.
      truncated: bool `[batch]`, whether a text has more pieces.
    """

    texts: tf.Tensor
    framed: tf.RaggedTensor
    rows: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    begins: tf.Tensor
    truncated: tf.Tensor

    def of_pieces(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the outputs of a network at the pieces, without special tokens and padding.

        Args:
          outputs: `[batch, length, ...]`.

        Returns:
          `[pieces, ...]`.
        """
        sizes = self.framed.row_lengths() - 2
        return tf.RaggedTensor.from_tensor(outputs[:, 1:], lengths=sizes).values

    def by_text(self, values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Return flat values by the number of their text, padded: `[batch, values of a text]`."""
        values = tf.cast(values, tf.int32) if values.dtype == tf.int64 else values
        count = tf.size(self.texts, tf.int64)
        return tf.RaggedTensor.from_value_rowids(values, rows, count, validate=False).to_tensor()

    def count(self, rows: tf.Tensor) -> tf.Tensor:
        """Return how many of these rows each text has, int32 `[batch]`."""
        return tf.math.bincount(tf.cast(rows, tf.int32), minlength=tf.size(self.texts))


def locate(encoding: TextEncoding, texts: tf.Tensor) -> LocatedText:
    """Return the first pieces of texts `[batch]`, as many as a sequence has room for."""
    texts, cut = encoding.bounded(texts)
    pieces = encoding.graph.located(texts)
    room = encoding.length - 2
    truncated = cut | (pieces.ids.row_lengths() > room)
    pieces = pieces.map(lambda values: values[:, :room])
    return LocatedText(
        texts,
        encoding.framed(pieces.ids),
        pieces.ids.value_rowids(),
        pieces.starts.values,
        pieces.ends.values,
        pieces.begins.values,
        truncated,
    )


def substring(texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Return spans of characters of texts.

    Args:
      texts: strings `[batch]`, valid UTF-8.
      rows: number of the text of each span, `[spans]`.
      starts, ends: int64 `[spans]`.
    """
    return tf.strings.substr(tf.gather(texts, rows), starts, ends - starts, "UTF8_CHAR")


def stripped(
    texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return spans without the white space at their ends, as `text_windows.stripped_span` does."""
    parts = substring(texts, rows, starts, ends)
    kept = tf.strings.regex_replace(parts, f"^{_space()}+", "")
    starts += _size(parts) - _size(kept)
    return starts, starts + _size(tf.strings.regex_replace(kept, f"{_space()}+$", ""))


@functools.cache
def _space() -> str:
    return one_of(WHITE_SPACE)


def _size(texts: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(texts, "UTF8_CHAR"), tf.int64)
