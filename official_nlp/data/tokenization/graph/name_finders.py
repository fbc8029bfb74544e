"""Find added tokens, and words that are never split, by their names in texts, in a graph."""

import collections
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from official_nlp.data.tokenization.added_tokens import AddedToken

# The id of text that is not a name.
TEXT = -1

# The white space of Python's regular expressions and of `str.split`.
WHITE_SPACE = [c for c in map(chr, range(0x10000)) if c.isspace()]

# A byte that does not occur in UTF-8.
_MARK = b"\xff"


class Spans(NamedTuple):
    """Consecutive spans of texts: names, and the text between them.

    Attributes:
      texts: string `[spans]`; empty for names.
      ids: int32 `[spans]`: the ids of names, and `TEXT` for others.
      rows: int64 `[spans]`: index of the text that each comes from.
      sizes: int64 `[spans]`: number of characters of the original text that each covers; white
        space that a name includes is part of the text beside it.
      skipped: int64 `[spans]`: how many of these precede the text of a span.
    """

    texts: tf.Tensor
    ids: tf.Tensor
    rows: tf.Tensor
    sizes: tf.Tensor
    skipped: tf.Tensor

    @classmethod
    def of(cls, texts: tf.Tensor) -> "Spans":
        """Return one span for each text `[B]`."""
        count = tf.size(texts, tf.int64)
        sizes = _characters(texts)
        return cls(texts, tf.fill([count], TEXT), tf.range(count), sizes, tf.zeros_like(sizes))

    def split(self, find: "Callable[[tf.Tensor], Spans]") -> "Spans":
        """Return these spans, split where a finder finds names in their texts."""
        texts, ids, sources, sizes, skipped = find(self.texts)
        # A name is an empty text here, in which nothing is found.
        known = tf.gather(self.ids, sources)
        ids = tf.where(known == TEXT, ids, known)
        sizes = tf.where(known == TEXT, sizes, tf.gather(self.sizes, sources))
        return Spans(texts, ids, tf.gather(self.rows, sources), sizes, skipped)

    def starts(self) -> tf.Tensor:
        """Return the index of the first character of each span in its text, int64 `[spans]`."""
        before = tf.cumsum(self.sizes, exclusive=True)
        # Texts are in order, and each has at least one span.
        first = tf.gather(tf.math.segment_min(before, self.rows), self.rows)
        return before - first + self.skipped


class WholeWordFinder(tf.Module):
    """Finds words that stand between white space.

    Call:
      texts: UTF-8 `[N]`.
      Returns their `Spans`.
    """

    def __init__(self, ids: Mapping[str, int], lowers: bool):
        """Make a finder.

        Args:
          ids: ids by the words, which contain no white space.
          lowers: whether words that `str.lower` maps to one of these match too.
        """
        super().__init__()
        self._ids = _table(ids)
        patterns = {word: _any_case(word) if lowers else _exactly(word) for word in ids}
        self._others = [(patterns[word], id) for word, id in ids.items()] if lowers else []
        space = one_of(WHITE_SPACE)
        self._pattern = f"(^|{space})({'|'.join(patterns.values())})({space}|$)"

    def __call__(self, texts: tf.Tensor) -> Spans:
        # A match includes the space after a word. A second word that shares that space with the
        # first does not match then, and is found the second time.
        for _ in range(2):
            texts = tf.strings.regex_replace(
                texts, self._pattern, rb"\1" + _MARK + rb"\2" + _MARK + rb"\3"
            )
        parts = _split(texts)
        sizes = _characters(parts.flat_values)
        return _spans(parts, self._id_of(parts.flat_values), sizes, tf.zeros_like(sizes))

    def _id_of(self, words: tf.Tensor) -> tf.Tensor:
        found = self._ids.lookup(words)
        for pattern, id in self._others:
            fits = (found == TEXT) & tf.strings.regex_full_match(words, pattern)
            found = tf.where(fits, id, found)
        return found


class AddedTokenFinder(tf.Module):
    """Finds added tokens.

    Call:
      texts: UTF-8 `[N]`.
      Returns their `Spans`.
    """

    def __init__(self, tokens: Sequence[tuple[str, AddedToken]], space: str, word: str):
        """Make a finder.

        Args:
          tokens: pairs of the text to match and its token; of equal texts the first counts.
          space: pattern for a white space character.
          word: pattern for a character that must not touch a `single_word` token.
        """
        super().__init__()
        by_name = dict(reversed(tokens))
        self._ids = _table({name: token.id for name, token in by_name.items()})
        # The first alternative of a pattern that matches wins.
        longest_first = sorted(by_name, key=len, reverse=True)
        self._pattern = f"({'|'.join(map(_exactly, longest_first))})"
        self._space, self._word = space, word
        self._single = [name for name, token in by_name.items() if token.single_word]
        self._left = [name for name, token in by_name.items() if token.lstrip]
        self._right = [name for name, token in by_name.items() if token.rstrip]

    def __call__(self, texts: tf.Tensor) -> Spans:
        parts = _split(tf.strings.regex_replace(texts, self._pattern, _MARK + rb"\1" + _MARK))
        if self._single:
            parts = self._without_touched(parts)
        sizes = _characters(parts.flat_values)
        skipped = tf.zeros_like(sizes)
        if self._left or self._right:
            parts, skipped = self._stripped(parts)
        return _spans(parts, self._ids.lookup(parts.flat_values), sizes, skipped)

    def _without_touched(self, parts: tf.RaggedTensor) -> tf.RaggedTensor:
        """Turn `single_word` names that a word character touches back into text.

        RE2 has no look-around, so the parts before and after each name are inspected.
        """
        texts = parts.flat_values
        starts = tf.strings.regex_full_match(texts, f"{self._word}(?s:.*)")
        ends = tf.strings.regex_full_match(texts, f"(?s:.*){self._word}")
        empty = texts == ""
        # Between consecutive names there is an empty text.
        before = tf.where(_near(parts, empty, -1), _near(parts, ends, -2), _near(parts, ends, -1))
        after = tf.where(_near(parts, empty, 1), _near(parts, starts, 2), _near(parts, starts, 1))
        touched = (before | after) & _is_one_of(texts, self._single)
        marked = tf.where(_is_name(parts) & ~touched, _MARK + texts + _MARK, texts)
        return _split(tf.strings.reduce_join(parts.with_flat_values(marked), axis=-1))

    def _stripped(self, parts: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Remove the white space that `lstrip` and `rstrip` names include.

        Returns:
          The parts, and the number of characters that each of them lost at its start.
        """
        texts = parts.flat_values
        at_end = _is_name(parts) & _is_one_of(texts, self._left)
        at_start = _is_name(parts) & _is_one_of(texts, self._right)
        stripped = tf.strings.regex_replace(texts, f"{self._space}+$", "")
        texts = tf.where(_near(parts, at_end, 1), stripped, texts)
        stripped = tf.strings.regex_replace(texts, f"^{self._space}+", "")
        kept = tf.where(_near(parts, at_start, -1), stripped, texts)
        return parts.with_flat_values(kept), _characters(texts) - _characters(kept)


def one_of(characters: Collection[str]) -> str:
    """Return a pattern for one of these characters, with ranges of code points."""
    points = sorted(map(ord, characters))
    runs: list[list[int]] = []
    for point in points:
        if runs and point == runs[-1][1] + 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "[" + "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in runs) + "]"


def _exactly(name: str) -> str:
    """Return a pattern for this text only."""
    return "".join(map(one_of, name))


def _any_case(word: str) -> str:
    """Return a pattern for a word and everything that `str.lower` maps to it."""
    if word != word.lower():
        return _exactly(word)
    pattern = ""
    for position, letter in enumerate(word):
        # The lower case of sigma depends on the letters around it, so the whole word is tested.
        others = [word[:position] + x + word[position + 1 :] for x in _capitals()[letter]]
        fit = [other[position] for other in others if other.lower() == word]
        pattern += one_of([letter, *fit])
    # The only capital whose lower case is two characters.
    dotted, two = _exactly("İ"), one_of("iI") + one_of("\u0307")
    return pattern.replace(two, f"(?:{two}|{dotted})")


@functools.cache
def _capitals() -> Mapping[str, list[str]]:
    """Return the characters that are not lower case, by their lower case."""
    capitals = collections.defaultdict(list, {"ς": ["Σ"]})
    for letter in map(chr, range(0x110000)):
        if letter.lower() != letter:
            capitals[letter.lower()].append(letter)
    return capitals


def _split(texts: tf.Tensor) -> tf.RaggedTensor:
    """Split texts at marks: `[N, parts]`, alternately text and name, text first and last."""
    return tf.strings.split(texts, _MARK)


def _spans(parts: tf.RaggedTensor, ids: tf.Tensor, sizes: tf.Tensor, skipped: tf.Tensor) -> Spans:
    """Return the parts as spans; `ids` are those of names, and not used for text."""
    names = _is_name(parts)
    texts = tf.where(names, "", parts.flat_values)
    return Spans(texts, tf.where(names, ids, TEXT), parts.value_rowids(), sizes, skipped)


def _characters(texts: tf.Tensor) -> tf.Tensor:
    """Return the number of characters of texts, int64."""
    return tf.cast(tf.strings.length(texts, "UTF8_CHAR"), tf.int64)


def _is_name(parts: tf.RaggedTensor) -> tf.Tensor:
    return _positions(parts) % 2 == 1


def _positions(parts: tf.RaggedTensor) -> tf.Tensor:
    """Return the position of each part in its row."""
    starts = tf.gather(parts.row_starts(), parts.value_rowids())
    return tf.range(tf.size(starts, tf.int64)) - starts


def _near(parts: tf.RaggedTensor, flags: tf.Tensor, distance: int) -> tf.Tensor:
    """Return for each part the flag of the part at a distance; False outside of the row."""
    position = _positions(parts) + distance
    exists = (position >= 0) & (position < tf.gather(parts.row_lengths(), parts.value_rowids()))
    # Rolling crosses the borders of rows and of the batch; `exists` excludes these.
    return exists & tf.roll(flags, -distance, 0)


def _is_one_of(texts: tf.Tensor, names: list[str]) -> tf.Tensor:
    return tf.reduce_any(texts[:, tf.newaxis] == tf.constant(names, tf.string), axis=1)


def _table(ids: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    names, values = tf.constant(list(ids), tf.string), tf.constant(list(ids.values()), tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, values), TEXT)
