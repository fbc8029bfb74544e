"""Tokens of a text with their characters, and windows over a text that does not fit."""

from typing import NamedTuple

import numpy as np

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer


class TextTokens(NamedTuple):
    """The tokens of a text, without special tokens around it.

    Attributes:
      ids: int32 `[length]`.
      offsets: int32 `[length, 2]`: first character of each token and the one after its last.
      words: int32 `[length]`: number of the tokenizer's word that each token belongs to.
    """

    ids: np.ndarray
    offsets: np.ndarray
    words: np.ndarray


class Window(NamedTuple):
    """A range of a text's tokens that fits into a sequence.

    Attributes:
      start, stop: the range.
      own_start, own_stop: the part of it whose results count: neighbouring windows share tokens,
        and each counts those that it sees with more context.
    """

    start: int
    stop: int
    own_start: int
    own_stop: int


def tokenize(tokenizer: ElectraTokenizer, text: str) -> TextTokens:
    """Return all tokens of a text."""
    encoded = tokenizer(text, return_offsets_mapping=True, return_word_ids=True)
    return TextTokens(
        encoded["input_ids"][1:-1], encoded["offset_mapping"][1:-1], encoded["word_ids"][1:-1]
    )


def cut(count: int, size: int, stride: int = 0) -> list[Window]:
    """Return the windows over a text; every token counts in exactly one of them.

    Args:
      count: number of the text's tokens; no windows for 0.
      size: largest number of tokens in a window.
      stride: number of tokens that neighbouring windows share, less than `size`.
    """
    windows: list[Window] = []
    # A window that started within the last `stride` tokens would hold nothing new. The inner
    # minimum keeps one window for a text of fewer tokens than that.
    for start in range(0, max(count - stride, min(count, 1)), size - stride):
        stop = min(start + size, count)
        # Two neighbours divide the tokens that they share in the middle.
        own_start = start + stride // 2 if start else 0
        own_stop = count if stop == count else stop - (stride - stride // 2)
        windows.append(Window(start, stop, own_start, own_stop))
    return windows


def stripped_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without the white space at its ends, which SentencePiece includes in tokens."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return int(start), int(start + len(part.strip()))
