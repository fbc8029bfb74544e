"""Texts as sequences whose tokens are known by their characters, in a graph."""

import functools
from typing import NamedTuple

import tensorflow as tf

from official_nlp.data.tokenization.graph.name_finders import WHITE_SPACE, one_of
from official_nlp.serving import windows
from official_nlp.serving.text_encoding import TextEncoding


class LocatedText(NamedTuple):
    """Texts, and the pieces of their sequences as flat vectors.

    Attributes:
      texts: strings `[batch]`, valid UTF-8.
      framed: ids of the sequences [CLS] pieces [SEP], ragged int32 `[sequences, tokens]`. A long
        text has several.
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
          outputs: `[sequences, length, ...]`.

        Returns:
          `[pieces, ...]`.
        """
        sizes = self.framed.row_lengths() - 2
        return tf.RaggedTensor.from_tensor(outputs[:, 1:], lengths=sizes).values


def locate(encoding: TextEncoding, texts: tf.Tensor, most: int) -> LocatedText:
    """Return the pieces of texts `[batch]`, in at most `most` sequences of each without overlap."""
    texts, cut = encoding.bounded(texts)
    pieces = encoding.graph.located(texts)
    parts = windows.cut(pieces.ids.row_lengths(), encoding.length - 2, 0, most)
    framed = encoding.framed(parts.tokens(pieces.ids))
    pieces = pieces.map(parts.reached)
    return LocatedText(
        texts,
        framed,
        pieces.ids.value_rowids(),
        pieces.starts.values,
        pieces.ends.values,
        pieces.begins.values,
        parts.truncated | cut,
    )


def by_text(values: tf.Tensor, rows: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
    """Return flat values as a list of each text, padded with 0 or "".

    Args:
      values: `[values]`; int64 becomes int32.
      rows: number of the text of each value, int64 `[values]`, ascending.
      texts: strings `[batch]`.

    Returns:
      `[batch, values of a text]`.
    """
    values = tf.cast(values, tf.int32) if values.dtype == tf.int64 else values
    count = tf.size(texts, tf.int64)
    return tf.RaggedTensor.from_value_rowids(values, rows, count, validate=False).to_tensor()


def count_by_text(rows: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
    """Return how many of the rows belong to each text, int32 `[batch]`; see `by_text`."""
    return tf.math.bincount(tf.cast(rows, tf.int32), minlength=tf.size(texts))


def substring(texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Return spans of characters of texts.

    Args:
      texts: strings `[batch]`, valid UTF-8.
      rows: number of the text of each span, `[spans]`.
      starts, ends: int64 `[spans]`.
    """
    # `tf.strings.substr` would count the characters of the text once for each span.
    points = tf.strings.unicode_decode(texts, "UTF-8")
    shift = tf.gather(points.row_starts(), rows)
    inside = tf.ragged.range(starts + shift, ends + shift)
    spans = inside.with_values(tf.gather(points.values, inside.values))
    return tf.strings.unicode_encode(spans, "UTF-8")


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
