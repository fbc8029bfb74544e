"""Token sequences of texts and pairs: truncated to a length, or divided into windows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.data.text_windows import cut
from official_nlp.errors import InputError

# Texts that are tokenized in one call: more would only need more memory.
_TEXTS_PER_CALL = 1000


class Encoded(NamedTuple):
    """Sequences of tokens.

    Attributes:
      ids, type_ids: integers of each sequence.
      examples: int64 `[sequences]`, number of the text of each sequence, ascending.
      truncated: number of texts that did not fit.
    """

    ids: list[np.ndarray]
    type_ids: list[np.ndarray]
    examples: np.ndarray
    truncated: int


def truncated(
    tokenizer: ElectraTokenizer, texts: Sequence[tuple[str, str | None]], length: int
) -> Encoded:
    """Return a sequence for each text or pair, cut to `length` tokens from the longer text.

    Args:
      tokenizer: tokenizer of the network.
      texts: texts with their second text, or None.
      length: largest number of tokens of a sequence, special tokens included.
    """
    ids: list[np.ndarray] = []
    type_ids: list[np.ndarray] = []
    count = 0
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        part = texts[start : start + _TEXTS_PER_CALL]
        firsts = [text for text, _ in part]
        # An empty second text is none.
        seconds = [pair or "" for _, pair in part] if any(pair for _, pair in part) else None
        encoded = tokenizer(firsts, seconds)
        long = [n for n, each in enumerate(encoded["input_ids"]) if len(each) > length]
        count += len(long)
        # Only long texts are encoded twice: the full length is for the count.
        for n in long:
            pair = None if seconds is None else seconds[n]
            shorter = tokenizer(firsts[n], pair, max_length=length, truncation=True)
            for name in ("input_ids", "token_type_ids"):
                encoded[name][n] = shorter[name]
        ids += encoded["input_ids"]
        type_ids += encoded["token_type_ids"]
    return Encoded(ids, type_ids, np.arange(len(texts)), count)


def in_windows(
    tokenizer: ElectraTokenizer, texts: Sequence[tuple[str, str | None]], length: int
) -> Encoded:
    """Return one sequence for a text that fits, else overlapping windows over it.

    Neighbouring windows share a quarter of their tokens.

    Args:
      tokenizer, texts, length: see `truncated`.

    Raises:
      InputError: there are second texts.
    """
    if any(pair for _, pair in texts):
        raise InputError(
            "LONG_TEXTS=windows is for one text; of a pair, it is unclear which text to divide: "
            "use LONG_TEXTS=truncate"
        )
    room = length - 2  # [CLS] and [SEP]
    ids: list[np.ndarray] = []
    examples = []
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        part = [text for text, _ in texts[start : start + _TEXTS_PER_CALL]]
        for number, sequence in enumerate(tokenizer(part)["input_ids"], start=start):
            tokens = sequence[1:-1]
            # A text without tokens is one sequence too.
            windows = cut(len(tokens), room, room // 4)
            spans = [(each.start, each.stop) for each in windows] or [(0, 0)]
            for first, stop in spans:
                inner = tokens[first:stop]
                ids.append(np.concatenate([sequence[:1], inner, sequence[-1:]]))
                examples.append(number)
    type_ids = [np.zeros_like(each) for each in ids]
    return Encoded(ids, type_ids, np.array(examples, np.int64), 0)
