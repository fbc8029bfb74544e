"""Determine which pieces of a vocabulary form a word together."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

WORDPIECE_MARK = "##"
SENTENCEPIECE_MARK = "\u2581"

# Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, kana, ideographs.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x323AF),
)


class WordJoins(NamedTuple):
    """The pieces of a vocabulary that may be joined to form a word; special tokens never are.

    Two consecutive pieces belong to one word if the first joins to the right and the second to the
    left.

    Attributes:
      left: bool `[V]`: whether a piece may continue the word before it.
      right: bool `[V]`: whether a piece may be continued.
    """

    left: np.ndarray
    right: np.ndarray

    def continues(self, ids: np.ndarray) -> np.ndarray:
        """Return which of consecutive tokens `[N]` continue a word, bool `[N]`; never the first."""
        result = np.zeros(len(ids), bool)
        result[1:] = self.left[ids[1:]] & self.right[ids[:-1]]
        return result


def wordpiece_joins(
    vocab: Sequence[str], special: Collection[int], prefix: str = WORDPIECE_MARK
) -> WordJoins:
    """Return the joins of a WordPiece vocabulary, where a prefix marks continuations.

    Args:
      vocab: the tokens.
      special: ids of special tokens.
      prefix: the mark of pieces that continue a word.
    """
    left = np.array([token.startswith(prefix) for token in vocab], bool)
    right = np.ones(len(vocab), bool)
    return _without(left, right, special)


def sentencepiece_joins(
    vocab: Sequence[str], special: Collection[int], joining: Iterable[int]
) -> WordJoins:
    """Return the joins of a SentencePiece vocabulary, where a mark replaces each space.

    As for WordPiece, a word also ends between letters and other characters. In scripts without
    spaces between words each piece is a word, as nothing marks the end of a word.

    Args:
      vocab: the pieces.
      special: ids of special tokens.
      joining: ids of pieces that always join, whatever their names are: bytes and the unknown
        piece.
    """
    left = np.array([is_in_word(piece[:1]) for piece in vocab], bool)
    right = np.array(
        [is_in_word(piece[-1:]) or piece == SENTENCEPIECE_MARK for piece in vocab], bool
    )
    left[list(joining)] = right[list(joining)] = True
    return _without(left, right, special)


def _without(left: np.ndarray, right: np.ndarray, special: Collection[int]) -> WordJoins:
    left[list(special)] = right[list(special)] = False
    return WordJoins(left, right)


def is_in_word(character: str) -> bool:
    """Return whether a character can be inside a word of a script that has spaces between words."""
    if not character or any(first <= ord(character) <= last for first, last in _UNSPACED):
        return False
    # Category M: combining marks belong to the letter before them.
    return character.isalnum() or unicodedata.category(character).startswith("M")
