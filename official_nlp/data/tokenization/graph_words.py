"""Text to words in a graph."""

import tensorflow as tf

from official_nlp.data.tokenization.character_table import (
    BREAK_AFTER,
    BREAK_BEFORE,
    DROPPED,
    MOST,
    PAGE,
    PAGE_BITS,
    POINT,
    RANK,
    RANK_SHIFT,
    VANISHING,
    CharacterTable,
)


class GraphWords(tf.Module):
    """Normalises texts and cuts them into words, as a `CharacterTable` says.

    Call:
      texts: UTF-8 `[N]`; what is none counts as U+FFFD.
      Returns the words as code points, ragged int32 `[N, words, characters]`.
    """

    def __init__(self, table: CharacterTable):
        """Makes one.

        Args:
          table: what becomes of characters.
        """
        super().__init__()
        self._pages = tf.constant(table.pages)
        self._entries = tf.constant(table.entries)
        # Not empty, so that there is something to look up.
        self._several = tf.constant([*table.several, 0])
        self._in_order = table.in_order

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        points = tf.strings.unicode_decode(texts, "UTF-8")
        rows, points = points.value_rowids(), points.flat_values
        page = tf.gather(self._pages, tf.bitwise.right_shift(points, PAGE_BITS))
        found = tf.gather(self._entries, page * PAGE + (points & (PAGE - 1)))
        several = found < 0
        entries = tf.where(several, found, found & ~POINT | (points + found) & POINT)
        entries, rows = tf.cond(
            tf.reduce_any(several),
            lambda: self._expanded(entries, rows),
            lambda: (entries, rows),
        )
        if self._in_order:
            ranks = entries & RANK
            entries, rows = tf.cond(
                tf.reduce_any((ranks != 0) & (ranks != VANISHING)),
                lambda: _in_order(entries, rows),
                lambda: (entries, rows),
            )
        return _cut(entries, rows, tf.size(texts, tf.int64))

    def _expanded(self, entries, rows) -> tuple[tf.Tensor, tf.Tensor]:
        """Puts what becomes several characters in its place."""
        number = tf.where(entries < 0, -entries % MOST, 1)
        source = tf.repeat(tf.range(tf.size(entries)), number)
        within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(number, exclusive=True), source)
        entries, rows = tf.gather(entries, source), tf.gather(rows, source)
        place = tf.where(entries < 0, -entries // MOST + within, 0)
        return tf.where(entries < 0, tf.gather(self._several, place), entries), rows


def _in_order(entries, rows) -> tuple[tf.Tensor, tf.Tensor]:
    """Sorts the marks between two other characters by rank."""
    remain = entries & RANK != VANISHING
    entries, rows = tf.boolean_mask(entries, remain), tf.boolean_mask(rows, remain)
    ranks = tf.bitwise.right_shift(entries & RANK, RANK_SHIFT)
    run = tf.cumsum(tf.cast((ranks == 0) | _first(rows), tf.int64))
    order = tf.argsort(run * (RANK + 1) + tf.cast(ranks, tf.int64), stable=True)
    return tf.gather(entries, order), tf.gather(rows, order)


def _cut(entries, rows, texts) -> tf.RaggedTensor:
    """The words of `texts` texts, of which the characters are in these rows."""
    before = tf.cast((entries & BREAK_BEFORE != 0) | _first(rows), tf.int32)
    after = tf.cast(entries & BREAK_AFTER != 0, tf.int32)
    word = tf.cumsum(before) + tf.cumsum(after, exclusive=True)
    kept = tf.where(entries & DROPPED == 0)[:, 0]
    starts = tf.where(_first(tf.gather(word, kept)))[:, 0]
    words = tf.RaggedTensor.from_row_starts(
        tf.gather(entries & POINT, kept), starts, validate=False
    )
    rows = tf.gather(rows, tf.gather(kept, starts))
    return tf.RaggedTensor.from_value_rowids(words, rows, nrows=texts, validate=False)


def _first(rows) -> tf.Tensor:
    """Which elements are not in the row of the element before them."""
    return tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], 0)
