"""The interface between `ElectraTokenizer` and the engines that split text into pieces."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tokenizers

from official_nlp.data.tokenization.words import WordJoins


class Segment(NamedTuple):
    """The pieces of one text that was split outside the `tokenizers` package.

    Attributes:
      ids: id of each piece.
      offsets: (first character, last character + 1) of each piece; empty if not requested.
      words: index of the word that each piece belongs to; empty if not requested.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    words: list[int]


# The pieces of one text, from either kind of engine.
Pieces = tokenizers.Encoding | Segment


class Engine(Protocol):
    """Splits text into pieces of a vocabulary.

    Attributes:
      words_are_apart: whether the ids of a text are the ids of its words, split at spaces,
        concatenated.
    """

    words_are_apart: bool

    def split(self, texts: Sequence[str], detail: bool) -> Sequence[Pieces]:
        """Return the pieces of each text, with offsets and words if `detail`."""

    def split_words(self, texts: Sequence[Sequence[str]], detail: bool) -> Sequence[Pieces]:
        """Return the pieces of texts given as lists of words; offsets are relative to the word."""

    def encode_plain(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text, int32 `[length]`, treating special tokens' names as text."""

    def join(self, tokens: Sequence[str]) -> str:
        """Return the text of pieces."""

    def word_joins(self, special: Sequence[int]) -> WordJoins:
        """Return which pieces form words together; `special` are ids that carry no text."""

    def file_content(self) -> bytes:
        """Return the content of the vocabulary or model file."""

    def identity(self) -> bytes:
        """Return the bytes that determine the ids of a text, for hashing."""

    def tokenizer_json(self) -> str | None:
        """Return the content of `tokenizer.json`, or None if that format cannot represent it."""


def join_words(words: Iterable[Segment]) -> Segment:
    """Concatenate the segments of words; offsets stay relative to their word."""
    joined = Segment([], [], [])
    for index, word in enumerate(words):
        joined.ids.extend(word.ids)
        joined.offsets.extend(word.offsets)
        joined.words.extend([index] * len(word.words))
    return joined
