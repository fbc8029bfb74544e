"""Normalize texts and split them into words, in a graph."""

import tensorflow as tf

from official_nlp.data.tokenization.graph.character_table import (
    BREAK_AFTER,
    BREAK_BEFORE,
    DROPPED,
    MAX_EXPANSION,
    PAGE,
    PAGE_BITS,
    POINT,
    RANK,
    RANK_SHIFT,
    VANISHING,
    CharacterTable,
)


class WordSplitter(tf.Module):
    """Normalizes texts and splits them into words, by the rules of a `CharacterTable`.

    Call:
      texts: UTF-8 `[N]`; invalid bytes count as U+FFFD.
      Returns the words as code points, ragged int32 `[N, words, characters]`.
    """

    def __init__(self, table: CharacterTable):
        """Make a splitter.

        Args:
          table: the rules for all characters.
        """
        super().__init__()
        self._pages = tf.constant(table.pages)
        self._entries = tf.constant(table.entries)
        # Gathering from an empty tensor would fail, even where nothing is gathered.
        self._expansions = tf.constant([*table.expansions, 0])
        self._sorts_marks = table.sorts_marks

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        # All characters of all texts are one flat vector here, with the index of their text.
        # Rare cases (expansions, marks to sort) are computed only if they occur.
        points = tf.strings.unicode_decode(texts, "UTF-8")
        rows, points = points.value_rowids(), points.flat_values
        page = tf.gather(self._pages, tf.bitwise.right_shift(points, PAGE_BITS))
        found = tf.gather(self._entries, page * PAGE + (points & (PAGE - 1)))
        expands = found < 0
        # The entry holds the difference of the code points modulo 2**21, so that one addition maps
        # changed and unchanged characters alike.
        entries = tf.where(expands, found, found & ~POINT | (points + found) & POINT)
        entries, rows = tf.cond(
            tf.reduce_any(expands),
            lambda: self._expanded(entries, rows),
            lambda: (entries, rows),
        )
        if self._sorts_marks:
            ranks = entries & RANK
            entries, rows = tf.cond(
                tf.reduce_any((ranks != 0) & (ranks != VANISHING)),
                lambda: _sort_marks(entries, rows),
                lambda: (entries, rows),
            )
        return _split(entries, rows, tf.size(texts, tf.int64))

    def _expanded(self, entries: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Replace each character that becomes several by these."""
        number = tf.where(entries < 0, -entries % MAX_EXPANSION, 1)
        source = tf.repeat(tf.range(tf.size(entries)), number)
        within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(number, exclusive=True), source)
        entries, rows = tf.gather(entries, source), tf.gather(rows, source)
        index = tf.where(entries < 0, -entries // MAX_EXPANSION + within, 0)
        return tf.where(entries < 0, tf.gather(self._expansions, index), entries), rows


def _sort_marks(entries: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sort the marks between two other characters by rank."""
    remain = entries & RANK != VANISHING
    entries, rows = tf.boolean_mask(entries, remain), tf.boolean_mask(rows, remain)
    ranks = tf.bitwise.right_shift(entries & RANK, RANK_SHIFT)
    # A stable sort by (run, rank), where a run is a character and the marks after it.
    run = tf.cumsum(tf.cast((ranks == 0) | _is_first(rows), tf.int64))
    order = tf.argsort(run * (RANK + 1) + tf.cast(ranks, tf.int64), stable=True)
    return tf.gather(entries, order), tf.gather(rows, order)


def _split(entries: tf.Tensor, rows: tf.Tensor, num_texts: tf.Tensor) -> tf.RaggedTensor:
    """Return the words of texts; `rows` are the indices of the characters' texts."""
    before = tf.cast((entries & BREAK_BEFORE != 0) | _is_first(rows), tf.int32)
    after = tf.cast(entries & BREAK_AFTER != 0, tf.int32)
    # Number of the word: a break before a character counts from this character on, one after it
    # from the next.
    word = tf.cumsum(before) + tf.cumsum(after, exclusive=True)
    # Dropped characters are removed only now, because they can end words.
    remaining = tf.where(entries & DROPPED == 0)[:, 0]
    starts = tf.where(_is_first(tf.gather(word, remaining)))[:, 0]
    words = tf.RaggedTensor.from_row_starts(
        tf.gather(entries & POINT, remaining), starts, validate=False
    )
    rows = tf.gather(rows, tf.gather(remaining, starts))
    return tf.RaggedTensor.from_value_rowids(words, rows, nrows=num_texts, validate=False)


def _is_first(rows: tf.Tensor) -> tf.Tensor:
    """Return which elements have another row than the element before them."""
    return tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], 0)
