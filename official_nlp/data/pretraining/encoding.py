"""Encode lines of text as token ids, with a cache of words."""

import itertools
from collections.abc import Sequence

import numpy as np

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

# At most about 50 MB.
_CACHED_WORDS = 200_000
_LONGEST_CACHED = 24


class LineEncoder:
    """Encodes lines as `ElectraTokenizer.encode_ids` does, with a cache of words.

    Most words of a text are frequent ones, so looking them up is several times as fast as encoding
    them. The ids of a line are those of its words unless the tokenizer has rules that apply across
    a space; lines of such a tokenizer are encoded whole.
    """

    def __init__(self, tokenizer: ElectraTokenizer) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, tuple[int, ...]] = {}

    def encode(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode lines.

        Args:
          lines: N lines of text.

        Returns:
          The ids of all lines, one after another, int32 `[tokens]`; the number of tokens of each
          line, int64 `[N]`.
        """
        by_words = self._tokenizer.words_are_apart
        words = [line.split(" ") if by_words else [line] for line in lines]
        every = list(itertools.chain.from_iterable(words))
        cache = self._cache
        new = list(set(every).difference(cache))
        for word, ids in zip(new, self._tokenizer.encode_ids(new), strict=True):
            cache[word] = tuple(ids.tolist())
        pieces = list(map(cache.__getitem__, every))
        flat = np.fromiter(itertools.chain.from_iterable(pieces), np.int32)
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
        ends = np.concatenate([[0], np.cumsum(sizes)])
        bounds = ends[np.concatenate([[0], np.cumsum([len(line) for line in words])]).astype(int)]
        self._evict(new)
        return flat, np.diff(bounds)

    def _evict(self, new: list[str]) -> None:
        if len(self._cache) > _CACHED_WORDS:
            # Starting again is simpler than finding rare words, and frequent ones soon return.
            self._cache.clear()
            return
        # In text without spaces a word is a whole line, which hardly ever occurs again.
        for word in new:
            if len(word) > _LONGEST_CACHED:
                del self._cache[word]
