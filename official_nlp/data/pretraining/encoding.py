"""Lines of text to ids, fast: a word that was met before is looked up."""

import itertools
from collections.abc import Sequence

import numpy as np

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

# About 50 MB.
_KEPT_WORDS = 200_000
_LONGEST_KEPT = 24


class LineEncoder:
    """Encodes as `ElectraTokenizer.encode_ids` does, remembering words.

    Where no rule of the tokenizer reaches over a space, the ids of a line are those of its words.
    """

    def __init__(self, tokenizer: ElectraTokenizer):
        self._tokenizer = tokenizer
        self._ids: dict[str, tuple[int, ...]] = {}

    def encode(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ids of all lines one after another, int32, and how many each has, int64."""
        apart = self._tokenizer.words_are_apart
        words = [line.split(" ") if apart else [line] for line in lines]
        every = list(itertools.chain.from_iterable(words))
        known = self._ids
        new = list(set(every).difference(known))
        for word, ids in zip(new, self._tokenizer.encode_ids(new), strict=True):
            known[word] = tuple(ids.tolist())
        pieces = list(map(known.__getitem__, every))
        flat = np.fromiter(itertools.chain.from_iterable(pieces), np.int32)
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
        ends = np.concatenate([[0], np.cumsum(sizes)])
        bounds = ends[np.concatenate([[0], np.cumsum([len(line) for line in words])]).astype(int)]
        self._forget(new)
        return flat, np.diff(bounds)

    def _forget(self, new: list[str]):
        if len(self._ids) > _KEPT_WORDS:
            self._ids.clear()
            return
        # Of text without spaces, whole lines would be kept, and hardly ever met again.
        for word in new:
            if len(word) > _LONGEST_KEPT:
                del self._ids[word]
