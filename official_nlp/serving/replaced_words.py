"""Discriminators as signatures: the probability that each word was replaced."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.inference import replaced_words
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.serving.located_text import (
    LocatedText,
    by_text,
    count_by_text,
    locate,
    substring,
)
from official_nlp.serving.served_head import (
    DEFAULT,
    SAMPLES,
    STRINGS,
    Samples,
    ServedHead,
    long_sample,
)
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding

# Kinds of characters.
_OTHER, _LETTER, _IDEOGRAPH, _JOINER = range(4)


class ServedWordScorer(ServedHead):
    """Score the words of texts by the probability that they were replaced.

    Call of the signature:
      text: strings `[batch]`.

      Returns, padded with "" and 0: `word` string, `start`, `end` int32, the span in characters,
      and `replaced` float32, all `[batch, words]`; `num_words` int32 `[batch]` and `truncated` bool
      `[batch]`. A text that is truncated has the words of its beginning.

    Args:
      head: the head in Python.
      network: a network with the output `logits`.
      part: name of the network's part of the model.
      windows: largest number of sequences of a text.
    """

    def __init__(self, head: WordScorer, network: ServedNetwork, part: str, windows: int):
        super().__init__()
        self.windows = windows
        self.networks = {part: network}
        self._network = network
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._finder = WordFinder()

    def signatures(self) -> dict[str, Any]:
        return {DEFAULT: traced(self.score, {"text": STRINGS})}

    def samples(self) -> dict[str, Samples]:
        texts = [*SAMPLES, long_sample(self._encoding.length)]
        return {DEFAULT: Samples({"text": texts}, texts)}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        names = {"text": "word", "start": "start", "end": "end", "replaced": "replaced"}
        columns = [outputs[name].tolist() for name in names.values()]
        return [
            {"words": [dict(zip(names, each)) for each in list(zip(*rows))[:count]]}
            for count, *rows in zip(outputs["num_words"], *columns)
        ]

    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs of the signature."""
        located = locate(self._encoding, text, self.windows)
        logits = self._network(self._encoding.padded(located.framed))["logits"]
        rows, starts, ends = self._words(located)
        scores = _highest(located, located.of_pieces(tf.sigmoid(logits)), rows, starts, ends)
        return {
            "word": by_text(substring(located.texts, rows, starts, ends), rows, located.texts),
            "start": by_text(starts, rows, located.texts),
            "end": by_text(ends, rows, located.texts),
            "replaced": by_text(scores, rows, located.texts),
            "num_words": count_by_text(rows, located.texts),
            "truncated": located.truncated,
        }

    def _words(self, located: LocatedText) -> list[tf.Tensor]:
        """Return text, start and end of the words, without those that a truncated text lacks."""
        rows, starts, ends = self._finder(located.texts)
        count = tf.size(located.texts, tf.int64)
        last = tf.math.unsorted_segment_max(located.ends, located.rows, count)
        scored = ~tf.gather(located.truncated, rows) | (starts < tf.gather(last, rows))
        return [tf.boolean_mask(each, scored) for each in (rows, starts, ends)]


def _highest(
    located: LocatedText, scores: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tf.Tensor:
    """Return the highest score of the pieces that overlap each word, 0 if none does, `[words]`.

    Args:
      located: the texts.
      scores: float32 `[pieces]`.
      rows, starts, ends: text and characters of each word, `[words]`.
    """
    # Texts are put behind one another, so that pieces and words are ascending in one coordinate.
    sizes = tf.cast(tf.strings.length(located.texts, "UTF8_CHAR"), tf.int64) + 1
    shifts = tf.cumsum(sizes, exclusive=True)
    begin = located.starts + tf.gather(shifts, located.rows)
    end = located.ends + tf.gather(shifts, located.rows)
    # If several pieces have one span, such as the bytes of a rare character, the last counts.
    differs = (begin[1:] != begin[:-1]) | (end[1:] != end[:-1])
    is_last = tf.concat([differs, tf.ones_like(begin[:1], tf.bool)], 0)[: tf.size(begin)]
    begin, end, scores = (tf.boolean_mask(each, is_last) for each in (begin, end, scores))
    shift = tf.gather(shifts, rows)
    first = tf.searchsorted(end, starts + shift, side="right")
    stop = tf.maximum(first, tf.searchsorted(begin, ends + shift, side="left"))
    of_words = tf.ragged.range(first, stop)
    highest = tf.reduce_max(of_words.with_values(tf.gather(scores, of_words.values)), axis=1)
    return tf.maximum(highest, 0.0)


class WordFinder(tf.Module):
    """Finds the words of `replaced_words.find_words`, for all texts of a batch at once.

    Call:
      texts: strings `[batch]`.
      Returns int64 `[words]`: number of the text, first character, and the one after the last.
    """

    def __init__(self):
        super().__init__()
        self._kinds = tf.constant(_kinds())

    def __call__(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        points = tf.strings.unicode_decode(texts, "UTF-8")
        rows, starts = points.value_rowids(), points.row_starts()
        kinds = tf.gather(self._kinds, points.flat_values)
        # Whether the character before, and the one after, is of the same text.
        same = rows[1:] == rows[:-1]
        letter, ideograph = kinds == _LETTER, kinds == _IDEOGRAPH
        joined = (kinds == _JOINER) & _before(letter, same) & _after(letter, same)
        inside = letter | joined
        continues = inside & _before(inside, same)
        first = tf.where(ideograph | (inside & ~continues))[:, 0]
        last = tf.where(ideograph | (inside & ~_after(inside, same)))[:, 0]
        of = tf.gather(rows, first)
        shift = tf.gather(starts, of)
        return of, first - shift, last + 1 - shift


def _before(flags: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """Return the flag of the character before each one; False at the start of a text.

    Args:
      flags: bool `[characters]`.
      same: bool `[characters - 1]`, whether a character and the next are of one text.
    """
    return tf.concat([tf.zeros_like(flags[:1]), flags[:-1] & same], 0)


def _after(flags: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """Return the flag of the character after each one; False at the end of a text."""
    return tf.concat([flags[1:] & same, tf.zeros_like(flags[:1])], 0)


def _kinds() -> np.ndarray:
    """Return the kind of every character by its code point, uint8."""
    kinds = np.full(0x110000, _OTHER, np.uint8)
    # The pattern itself decides, so that both have one version of Unicode. Code points that are
    # no characters, surrogates, occur in no text.
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    for kind, pattern in (
        (_LETTER, replaced_words.LETTERS),
        (_IDEOGRAPH, f"[{replaced_words.IDEOGRAPH}]+"),
        (_JOINER, f"[{replaced_words.JOINERS}]+"),
    ):
        for match in re.finditer(pattern, text):
            kinds[[ord(character) for character in match[0]]] = kind
    return kinds
