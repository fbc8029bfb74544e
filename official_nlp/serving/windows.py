"""Windows over texts that are longer than a sequence, in a graph: see `data.text_windows`."""

from typing import NamedTuple

import tensorflow as tf

from official_nlp.serving.text_encoding import dense

# Windows of a text that are computed. More would let one request take any amount of memory: these,
# with sequences of 512 tokens, are the largest batch that `electra serve` computes at once.
MOST_WINDOWS = 32


class Windows(NamedTuple):
    """Windows over the tokens of texts. The windows of a text are consecutive.

    Attributes:
      rows: int64 `[windows]`, number of the text of each window, ascending.
      starts, stops: int64 `[windows]`, the range of the text's tokens in each window.
      firsts, counts: int64 `[batch]`, number of the first window of each text and how many it has,
        at least one.
      steps, overlaps: int64 `[batch]`, number of tokens between the starts of two windows, and how
        many tokens they share.
      reach: int64 `[batch]`, number of tokens of each text that are in a window.
      truncated: bool `[batch]`, whether a text has more tokens.
    """

    rows: tf.Tensor
    starts: tf.Tensor
    stops: tf.Tensor
    firsts: tf.Tensor
    counts: tf.Tensor
    steps: tf.Tensor
    overlaps: tf.Tensor
    reach: tf.Tensor
    truncated: tf.Tensor

    def tokens(self, values: tf.RaggedTensor) -> tf.RaggedTensor:
        """Return the tokens of each window.

        Args:
          values: one value for each token, `[batch, tokens]`.

        Returns:
          `[windows, tokens]`.
        """
        shift = tf.gather(values.row_starts(), self.rows)
        return _slices(values.values, shift + self.starts, shift + self.stops)

    def reached(self, values: tf.RaggedTensor) -> tf.RaggedTensor:
        """Return the values `[batch, tokens]` of the tokens that are in a window."""
        return _slices(values.values, values.row_starts(), values.row_starts() + self.reach)

    def position(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """Return the window in which a token counts, and its position among the window's tokens.

        A token that two windows share counts in the one that shows more of its context.

        Args:
          rows: number of the text of each token, int64 `[tokens]`.
          tokens: its number in the text, less than `reach`, int64 `[tokens]`.

        Returns:
          int64 `[tokens, 2]`.
        """
        step, overlap = tf.gather(self.steps, rows), tf.gather(self.overlaps, rows)
        number = (tokens - overlap // 2) // step
        number = tf.clip_by_value(number, 0, tf.gather(self.counts, rows) - 1)
        return tf.stack([tf.gather(self.firsts, rows) + number, tokens - number * step], 1)

    def lowest(self, values: tf.Tensor) -> tf.Tensor:
        """Return the window with the lowest value of each text, of equal ones the first.

        Args:
          values: `[windows]`.

        Returns:
          int64 `[batch]`.
        """
        by_text = tf.RaggedTensor.from_row_lengths(values, self.counts, validate=False)
        return self.firsts + tf.argmin(dense(by_text, values.dtype.max), axis=1)


def cut(
    sizes: tf.Tensor, room: tf.Tensor | int, overlap: tf.Tensor | int, most: int = MOST_WINDOWS
) -> Windows:
    """Return the windows over texts.

    Args:
      sizes: number of tokens of each text, int64 `[batch]`.
      room: largest number of tokens of a window, one number or int64 `[batch]`.
      overlap: number of tokens that neighbouring windows share, less than `room`, likewise.
      most: largest number of windows of a text.
    """
    room, overlap = tf.zeros_like(sizes) + room, tf.zeros_like(sizes) + overlap
    steps = room - overlap
    # A window that started within the last `overlap` tokens would hold nothing new. A text without
    # tokens has a window, too: every text has a result.
    needed = tf.maximum(-((overlap - sizes) // steps), 1)
    counts = tf.minimum(needed, most)
    rows = tf.repeat(tf.range(tf.size(sizes, tf.int64)), counts)
    starts = tf.ragged.range(counts).values * tf.gather(steps, rows)
    stops = tf.minimum(starts + tf.gather(room, rows), tf.gather(sizes, rows))
    return Windows(
        rows=rows,
        starts=starts,
        stops=stops,
        firsts=tf.cumsum(counts, exclusive=True),
        counts=counts,
        steps=steps,
        overlaps=overlap,
        reach=tf.minimum((counts - 1) * steps + room, sizes),
        truncated=needed > counts,
    )


def _slices(values: tf.Tensor, starts: tf.Tensor, stops: tf.Tensor) -> tf.RaggedTensor:
    """Return the values `[values]` between each start and stop, ragged `[slices, values]`."""
    indices = tf.ragged.range(starts, stops)
    return indices.with_values(tf.gather(values, indices.values))
