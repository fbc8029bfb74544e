"""Token sequences of sentences of words: one for each sentence, or windows over a long one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.data.text_windows import cut

# Sentences that are tokenized in one call: more would only need more memory.
_SENTENCES_PER_CALL = 1000
# In `EncodedWords.words`: not the first token of a word that counts here.
NO_WORD = -1


class EncodedWords(NamedTuple):
    """Sequences of tokens, with the words that they classify.

    Attributes:
      ids: token ids of each sequence, special tokens included.
      words: integers like `ids`: number of the word within its sentence at its first token, and
        `NO_WORD` at all other tokens. Every word of a sentence occurs in exactly one sequence.
      sentences: int64 `[sequences]`, number of the sentence of each sequence, ascending.
    """

    ids: list[np.ndarray]
    words: list[np.ndarray]
    sentences: np.ndarray


def in_windows(
    tokenizer: ElectraTokenizer, sentences: Sequence[Sequence[str]], length: int
) -> EncodedWords:
    """Return one sequence for a sentence that fits, else overlapping windows over it.

    Neighbouring windows share a quarter of their tokens. A word that both contain counts in the one
    that sees it with more context. A word of which the tokenizer leaves nothing, such as a control
    character, is an unknown token, so that every word has a token.

    Args:
      tokenizer: tokenizer of the network.
      sentences: the words of each sentence; at least one.
      length: largest number of tokens of a sequence, special tokens included.
    """
    room = length - 2  # [CLS] and [SEP]
    ids: list[np.ndarray] = []
    words: list[np.ndarray] = []
    numbers = []
    for start in range(0, len(sentences), _SENTENCES_PER_CALL):
        part = [list(each) for each in sentences[start : start + _SENTENCES_PER_CALL]]
        encoded = tokenizer(part, is_split_into_words=True, return_word_ids=True)
        columns = zip(part, encoded["input_ids"], encoded["word_ids"])
        for number, (sentence, framed, word_ids) in enumerate(columns, start=start):
            tokens, owners = _complete(
                framed[1:-1], word_ids[1:-1], len(sentence), tokenizer.unk_token_id
            )
            firsts = np.flatnonzero(np.diff(owners, prepend=-1))
            for window in cut(len(tokens), room, room // 4):
                own = firsts[(firsts >= window.own_start) & (firsts < window.own_stop)]
                # A word may be longer than a window. A window inside it classifies nothing.
                if not len(own):
                    continue
                inner = tokens[window.start : window.stop]
                ids.append(np.concatenate([framed[:1], inner, framed[-1:]]))
                words.append(np.full(len(inner) + 2, NO_WORD))
                words[-1][own - window.start + 1] = owners[own]
                numbers.append(number)
    return EncodedWords(ids, words, np.array(numbers, np.int64))


def _complete(
    tokens: np.ndarray, owners: np.ndarray, count: int, unknown: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and their words, with an unknown token for each word without any."""
    missing = np.setdiff1d(np.arange(count), owners)
    places = np.searchsorted(owners, missing)
    return np.insert(tokens, places, unknown), np.insert(owners, places, missing)
