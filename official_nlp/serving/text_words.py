"""Divide texts into words as `data.text_words` does, for all texts of a batch in a graph.

Every rule of that module looks at a part of the tokenizer and the parts beside it, or at the word
before it. So one pass over flat vectors applies the rules to all parts at once.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp.data.text_words import APOSTROPHES
from official_nlp.data.tokenization.graph.character_table import ASKED
from official_nlp.data.tokenization.graph.located_pieces import LocatedPieces
from official_nlp.data.tokenization.words import is_in_word
from official_nlp.serving.located_text import stripped

_IN_WORD, _ALPHABETIC = 1, 2


class WordSpans(NamedTuple):
    """Spans of characters in texts, all int64 `[spans]`.

    Attributes:
      rows: number of the text, ascending.
      starts, ends: first character and the one after the last.
    """

    rows: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


class TextWords(tf.Module):
    """Finds the words of texts.

    Call:
      texts: strings `[batch]`, valid UTF-8.
      pieces: their pieces.
      Returns the `WordSpans`.
    """

    def __init__(self):
        super().__init__()
        self._kinds = tf.constant(_kinds())

    def __call__(self, texts: tf.Tensor, pieces: LocatedPieces) -> WordSpans:
        parts = _parts(texts, pieces)
        characters = _Characters(texts, parts.rows, self._kinds)
        joins = _continues(parts, characters)
        joins |= _is_abbreviation(parts, characters, joins)
        return _merged(parts, joins)


class _Characters:
    """The characters of texts, looked up by flat positions.

    Attributes:
      points: code points `[characters + 1]`; the last is no character, so that every position that
        is looked up exists.
      kinds: `_IN_WORD` and `_ALPHABETIC` of each.
      shift: position of the first character of the text of each part, int64 `[parts]`.
    """

    def __init__(self, texts: tf.Tensor, rows: tf.Tensor, kinds: tf.Tensor):
        decoded = tf.strings.unicode_decode(texts, "UTF-8")
        self.points = tf.concat([decoded.values, [0]], 0)
        self.kinds = tf.gather(kinds, self.points)
        self.shift = tf.gather(decoded.row_starts(), rows)

    def point(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the code point at an index in the text of each part."""
        return tf.gather(self.points, self._positions(indices))

    def is_kind(self, indices: tf.Tensor, kind: int) -> tf.Tensor:
        """Return whether the character at an index in the text of each part is of a kind."""
        return tf.gather(self.kinds, self._positions(indices)) & kind > 0

    def periods_before(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the number of periods in all texts before an index in the text of each part."""
        periods = tf.cast(self.points == ord("."), tf.int64)
        return tf.gather(tf.cumsum(periods, exclusive=True), self._positions(indices))

    def _positions(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(indices + self.shift, 0, tf.size(self.points, tf.int64) - 1)


def _parts(texts: tf.Tensor, pieces: LocatedPieces) -> WordSpans:
    """Return the words of the tokenizer."""
    begins = pieces.begins.values
    rows = tf.boolean_mask(pieces.ids.value_rowids(), begins)
    starts = tf.boolean_mask(pieces.starts.values, begins)
    # A piece ends a word if the next one begins another.
    ends = tf.boolean_mask(pieces.ends.values, _next(begins, True))
    return WordSpans(rows, *stripped(texts, rows, starts, ends))


def _continues(parts: WordSpans, characters: _Characters) -> tf.Tensor:
    """Return which parts continue the word of the part before them, by rules 1 and 3."""
    rows, starts, ends = parts
    before, after = _previous(ends, 0), _next(starts, 0)
    # A part between two others of its text, with nothing between them.
    between = (_previous(rows, -1) == rows) & (_next(rows, -1) == rows)
    between &= (before == starts) & (after == ends) & (ends - starts == 1)
    point = characters.point(starts)
    follows_word = characters.is_kind(before - 1, _IN_WORD)
    # An apostrophe between a word and an s that ends it.
    next_point, next_size = characters.point(after), _next(ends - starts, 0)
    is_s = (next_size == 1) & _is_one_of(next_point, "sS")
    possessive = between & _is_one_of(point, APOSTROPHES) & is_s & follows_word
    joins = between & ~possessive & follows_word
    joins &= ~characters.is_kind(starts, _IN_WORD) & characters.is_kind(after, _IN_WORD)
    # A part that joins continues the word before it, and the part after it continues that.
    return joins | _previous(joins | possessive, False)


def _is_abbreviation(parts: WordSpans, characters: _Characters, joins: tf.Tensor) -> tf.Tensor:
    """Return which parts are the period after a word that has one inside: rule 2."""
    rows, starts, ends = parts
    is_period = (characters.point(starts) == ord(".")) & (ends - starts == 1)
    follows = (_previous(rows, -1) == rows) & (_previous(ends, -1) == starts) & ~joins
    # The word before is that of the part before.
    first = tf.gather(starts, tf.where(~joins)[:, 0])
    word = tf.cumsum(tf.cast(~joins, tf.int64)) - 1
    begin = tf.gather(first, tf.maximum(_previous(word, 0), 0))
    has_period = characters.periods_before(starts) > characters.periods_before(begin)
    return is_period & follows & has_period & characters.is_kind(starts - 1, _ALPHABETIC)


def _merged(parts: WordSpans, joins: tf.Tensor) -> WordSpans:
    """Return the words, given which parts continue the word of the part before them."""
    return WordSpans(
        tf.boolean_mask(parts.rows, ~joins),
        tf.boolean_mask(parts.starts, ~joins),
        tf.boolean_mask(parts.ends, _next(~joins, True)),
    )


def _previous(values: tf.Tensor, first: int | bool) -> tf.Tensor:
    """Return the value before each one, and `first` before the first one."""
    return tf.concat([tf.cast([first], values.dtype), values[:-1]], 0)[: tf.size(values)]


def _next(values: tf.Tensor, last: int | bool) -> tf.Tensor:
    """Return the value after each one, and `last` after the last one."""
    return tf.concat([values[1:], tf.cast([last], values.dtype)], 0)[: tf.size(values)]


def _is_one_of(points: tf.Tensor, characters: str) -> tf.Tensor:
    return tf.reduce_any(points[:, tf.newaxis] == [ord(each) for each in characters], axis=1)


@functools.cache
def _kinds() -> np.ndarray:
    """Return the kinds of all characters by code point, uint8."""
    kinds = np.zeros(0x110000, np.uint8)
    # The others are unassigned or for private use.
    for point in ASKED.tolist():
        character = chr(point)
        kinds[point] = is_in_word(character) * _IN_WORD + character.isalpha() * _ALPHABETIC
    return kinds
