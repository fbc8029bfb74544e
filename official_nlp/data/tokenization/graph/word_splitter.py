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
from official_nlp.data.tokenization.graph.located_pieces import is_first


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
        return self.located(texts)[0]

    def located(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Return what a call does, and which characters of the texts the words were made of.

        Args:
          texts: as in a call.

        Returns:
          The words, and for each of their flat values the index of a character in its text, int64
          `[characters]`.
        """
        # All characters of all texts are one flat vector here. Each value has its origin: the index
        # of the character that it was made of, among those of all texts.
        # Rare cases (expansions, marks to sort) are computed only if they occur.
        points = tf.strings.unicode_decode(texts, "UTF-8")
        rows, starts, points = points.value_rowids(), points.row_starts(), points.flat_values
        origins = tf.range(tf.size(points, tf.int64))
        page = tf.gather(self._pages, tf.bitwise.right_shift(points, PAGE_BITS))
        found = tf.gather(self._entries, page * PAGE + (points & (PAGE - 1)))
        expands = found < 0
        # The entry holds the difference of the code points modulo 2**21, so that one addition maps
        # changed and unchanged characters alike.
        entries = tf.where(expands, found, found & ~POINT | (points + found) & POINT)
        entries, origins = tf.cond(
            tf.reduce_any(expands),
            lambda: self._expanded(entries, origins),
            lambda: (entries, origins),
        )
        if self._sorts_marks:
            ranks = entries & RANK
            entries, origins = tf.cond(
                tf.reduce_any((ranks != 0) & (ranks != VANISHING)),
                lambda: _sort_marks(entries, origins, rows),
                lambda: (entries, origins),
            )
        words, origins = _split(entries, origins, rows, tf.size(texts, tf.int64))
        return words, origins - tf.gather(starts, tf.gather(rows, origins))

    def _expanded(self, entries: tf.Tensor, origins: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Replace each character that becomes several by these."""
        number = tf.where(entries < 0, -entries % MAX_EXPANSION, 1)
        source = tf.repeat(tf.range(tf.size(entries)), number)
        within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(number, exclusive=True), source)
        entries, origins = tf.gather(entries, source), tf.gather(origins, source)
        index = tf.where(entries < 0, -entries // MAX_EXPANSION + within, 0)
        return tf.where(entries < 0, tf.gather(self._expansions, index), entries), origins


def _sort_marks(
    entries: tf.Tensor, origins: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sort the marks between two other characters by rank."""
    remain = entries & RANK != VANISHING
    entries, origins = tf.boolean_mask(entries, remain), tf.boolean_mask(origins, remain)
    ranks = tf.bitwise.right_shift(entries & RANK, RANK_SHIFT)
    # A stable sort by (run, rank), where a run is a character and the marks after it.
    is_run_start = (ranks == 0) | is_first(tf.gather(rows, origins))
    run = tf.cumsum(tf.cast(is_run_start, tf.int64))
    order = tf.argsort(run * (RANK + 1) + tf.cast(ranks, tf.int64), stable=True)
    # As in the `tokenizers` package, the origins stay in order.
    return tf.gather(entries, order), origins


def _split(
    entries: tf.Tensor, origins: tf.Tensor, rows: tf.Tensor, num_texts: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Return the words of texts, and the origins of their characters.

    Args:
      entries, origins: those of all characters.
      rows: index of the text by the origin.
      num_texts: number of texts.
    """
    before = tf.cast((entries & BREAK_BEFORE != 0) | is_first(tf.gather(rows, origins)), tf.int32)
    after = tf.cast(entries & BREAK_AFTER != 0, tf.int32)
    # Number of the word: a break before a character counts from this character on, one after it
    # from the next.
    word = tf.cumsum(before) + tf.cumsum(after, exclusive=True)
    # Dropped characters are removed only now, because they can end words.
    remaining = tf.where(entries & DROPPED == 0)[:, 0]
    origins = tf.gather(origins, remaining)
    starts = tf.where(is_first(tf.gather(word, remaining)))[:, 0]
    words = tf.RaggedTensor.from_row_starts(
        tf.gather(entries & POINT, remaining), starts, validate=False
    )
    of_words = tf.gather(rows, tf.gather(origins, starts))
    words = tf.RaggedTensor.from_value_rowids(words, of_words, nrows=num_texts, validate=False)
    return words, origins
