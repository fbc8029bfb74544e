"""Tokens that are met by their names in texts, found in a graph."""

import collections
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from official_nlp.data.tokenization.added_tokens import AddedToken

# The id of what is no name.
TEXT = -1

# What Python's regular expressions and `str.split` call white space.
WHITE_SPACE = [c for c in map(chr, range(0x10000)) if c.isspace()]

# No byte of UTF-8.
_MARK = b"\xff"


class Parts(NamedTuple):
    """What texts are cut into, one part after another.

    Attributes:
      texts: `[parts]`; of a name nothing is left.
      ids: `[parts]`: the names' ids, and `TEXT`.
      rows: int64 `[parts]`: number of the text that each is of.
    """

    texts: tf.Tensor
    ids: tf.Tensor
    rows: tf.Tensor

    @classmethod
    def of(cls, texts: tf.Tensor) -> "Parts":
        """Texts that are not cut yet."""
        count = tf.size(texts, tf.int64)
        return cls(texts, tf.fill([count], TEXT), tf.range(count))

    def cut(self, find) -> "Parts":
        """These parts, with the names in their texts that `find` finds."""
        texts, ids, sources = find(self.texts)
        known = tf.gather(self.ids, sources)
        return Parts(texts, tf.where(known == TEXT, ids, known), tf.gather(self.rows, sources))


class WholeWords(tf.Module):
    """Finds words that stand between white space.

    Call:
      texts: `[N]`, UTF-8.
      Returns them as `Parts`.
    """

    def __init__(self, ids: Mapping[str, int], lowers: bool):
        """Makes a finder.

        Args:
          ids: of the words, which have no white space in them.
          lowers: what becomes one of them by `str.lower` counts as that.
        """
        super().__init__()
        self._ids = _table(ids)
        patterns = {word: _spellings(word) if lowers else _spelt(word) for word in ids}
        self._others = [(patterns[word], id) for word, id in ids.items()] if lowers else []
        space = one_of(WHITE_SPACE)
        self._pattern = f"(^|{space})({'|'.join(patterns.values())})({space}|$)"

    def __call__(self, texts: tf.Tensor) -> Parts:
        # A space between two words is part of one match only: the other word is found then.
        for _ in range(2):
            texts = tf.strings.regex_replace(
                texts, self._pattern, rb"\1" + _MARK + rb"\2" + _MARK + rb"\3"
            )
        parts = _split(texts)
        return _parts(parts, self._id_of(parts.flat_values))

    def _id_of(self, words: tf.Tensor) -> tf.Tensor:
        found = self._ids.lookup(words)
        for pattern, id in self._others:
            fits = (found == TEXT) & tf.strings.regex_full_match(words, pattern)
            found = tf.where(fits, id, found)
        return found


class Names(tf.Module):
    """Finds added tokens.

    Call:
      texts: `[N]`, UTF-8.
      Returns them as `Parts`.
    """

    def __init__(self, tokens: Sequence[tuple[str, AddedToken]], space: str, word: str):
        """Makes a finder.

        Args:
          tokens: what is looked for, and the token that it is; of equal ones the first counts.
          space: a pattern for a white space character.
          word: a pattern for a character that must not touch a `single_word` token.
        """
        super().__init__()
        by_name = dict(reversed(tokens))
        self._ids = _table({name: token.id for name, token in by_name.items()})
        # The first that fits is taken.
        longest_first = sorted(by_name, key=len, reverse=True)
        self._pattern = f"({'|'.join(map(_spelt, longest_first))})"
        self._space, self._word = space, word
        self._single = [name for name, token in by_name.items() if token.single_word]
        self._left = [name for name, token in by_name.items() if token.lstrip]
        self._right = [name for name, token in by_name.items() if token.rstrip]

    def __call__(self, texts: tf.Tensor) -> Parts:
        parts = _split(tf.strings.regex_replace(texts, self._pattern, _MARK + rb"\1" + _MARK))
        if self._single:
            parts = self._without_touched(parts)
        if self._left or self._right:
            parts = self._stripped(parts)
        return _parts(parts, self._ids.lookup(parts.flat_values))

    def _without_touched(self, parts: tf.RaggedTensor) -> tf.RaggedTensor:
        """Makes text again of single words that something touches."""
        texts = parts.flat_values
        starts = tf.strings.regex_full_match(texts, f"{self._word}(?s:.*)")
        ends = tf.strings.regex_full_match(texts, f"(?s:.*){self._word}")
        empty = texts == ""
        # Names follow one another with an empty text between them.
        before = tf.where(_near(parts, empty, -1), _near(parts, ends, -2), _near(parts, ends, -1))
        behind = tf.where(_near(parts, empty, 1), _near(parts, starts, 2), _near(parts, starts, 1))
        touched = (before | behind) & _is_one_of(texts, self._single)
        marked = tf.where(_is_name(parts) & ~touched, _MARK + texts + _MARK, texts)
        return _split(tf.strings.reduce_join(parts.with_flat_values(marked), axis=-1))

    def _stripped(self, parts: tf.RaggedTensor) -> tf.RaggedTensor:
        """Takes off the white space that belongs to names."""
        texts = parts.flat_values
        at_end = _is_name(parts) & _is_one_of(texts, self._left)
        at_start = _is_name(parts) & _is_one_of(texts, self._right)
        cut = tf.strings.regex_replace(texts, f"{self._space}+$", "")
        texts = tf.where(_near(parts, at_end, 1), cut, texts)
        cut = tf.strings.regex_replace(texts, f"^{self._space}+", "")
        return parts.with_flat_values(tf.where(_near(parts, at_start, -1), cut, texts))


def one_of(characters: Collection[str]) -> str:
    """A pattern for one of many characters."""
    points = sorted(map(ord, characters))
    runs: list[list[int]] = []
    for point in points:
        if runs and point == runs[-1][1] + 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "[" + "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in runs) + "]"


def _spelt(name: str) -> str:
    """A pattern for a name and nothing else."""
    return "".join(map(one_of, name))


def _spellings(word: str) -> str:
    """A pattern for what `str.lower` makes a word of, and for the word."""
    if word != word.lower():
        return _spelt(word)
    pattern = ""
    for place, letter in enumerate(word):
        # A sigma's small letter depends on what is around it, so the whole word is tried.
        others = [word[:place] + x + word[place + 1 :] for x in _capitals()[letter]]
        fit = [other[place] for other in others if other.lower() == word]
        pattern += one_of([letter, *fit])
    # The only capital of which two small letters are made.
    dotted, two = _spelt("İ"), one_of("iI") + one_of("\u0307")
    return pattern.replace(two, f"(?:{two}|{dotted})")


@functools.cache
def _capitals() -> Mapping[str, list[str]]:
    capitals = collections.defaultdict(list, {"ς": ["Σ"]})
    for letter in map(chr, range(0x110000)):
        if letter.lower() != letter:
            capitals[letter.lower()].append(letter)
    return capitals


def _split(texts: tf.Tensor) -> tf.RaggedTensor:
    """The parts between marks, `[N, parts]`: texts and names by turns, texts first and last."""
    return tf.strings.split(texts, _MARK)


def _parts(parts: tf.RaggedTensor, ids: tf.Tensor) -> Parts:
    """The parts, of which the names have these ids."""
    names = _is_name(parts)
    texts = tf.where(names, "", parts.flat_values)
    return Parts(texts, tf.where(names, ids, TEXT), parts.value_rowids())


def _is_name(parts: tf.RaggedTensor) -> tf.Tensor:
    return _places(parts) % 2 == 1


def _places(parts: tf.RaggedTensor) -> tf.Tensor:
    """The number of each part in its row."""
    starts = tf.gather(parts.row_starts(), parts.value_rowids())
    return tf.range(tf.size(starts, tf.int64)) - starts


def _near(parts: tf.RaggedTensor, flags: tf.Tensor, distance: int) -> tf.Tensor:
    """The flags of the parts so far behind; False where the row has none."""
    place = _places(parts) + distance
    there = (place >= 0) & (place < tf.gather(parts.row_lengths(), parts.value_rowids()))
    return there & tf.roll(flags, -distance, 0)


def _is_one_of(texts: tf.Tensor, names: list[str]) -> tf.Tensor:
    return tf.reduce_any(texts[:, tf.newaxis] == tf.constant(names, tf.string), axis=1)


def _table(ids: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    names, values = tf.constant(list(ids), tf.string), tf.constant(list(ids.values()), tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, values), TEXT)
