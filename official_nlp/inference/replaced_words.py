"""Score the words of a text with the discriminator: the probability that each was replaced."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data import ElectraTokenizer, text_windows
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction

# An ideograph is a word of its own, as in the tokenizer.
IDEOGRAPH = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
LETTERS = rf"[^\W{IDEOGRAPH}]+"
JOINERS = "'’-"  # between letters, part of a word
_WORD = re.compile(rf"[{IDEOGRAPH}]|{LETTERS}(?:[{JOINERS}]{LETTERS})*")


@dataclasses.dataclass(frozen=True)
class ScoredWord:
    """One word of a text.

    Attributes:
      text: the word.
      start, end: its span in characters, `text[start:end]`.
      replaced: probability that it was replaced; the highest among its tokens.
    """

    text: str
    start: int
    end: int
    replaced: float


@dataclasses.dataclass(frozen=True)
class ReplacedWords(Prediction):
    """The words of a text in order. Punctuation is not scored.

    Attributes:
      words: all words with their probabilities.
    """

    words: list[ScoredWord]


class WordScorer(Head):
    """Score every word of plain texts.

    A text that does not fit into a sequence is cut into several, without overlap.

    Args:
      discriminate: function of ids and mask, int32 `[batch, length]`, that returns logits
        `[batch, length]`, above 0 where a token looks replaced.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.
    """

    expects = inputs.TEXT

    def __init__(
        self,
        discriminate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length

        def probabilities(batch):
            logits = discriminate(batch["input_word_ids"], batch["input_mask"])
            # log P(original) is log(1 - P(replaced)), which would lose the digits of a P near 1.
            log_original = tf.math.log_sigmoid(-logits)
            return {"probabilities": tf.sigmoid(logits), "log_original": log_original}

        self._runner = BatchRunner(probabilities, tokenizer.pad_token_id, length, batch_size)

    def parse(self, value: Any) -> str | None:
        return inputs.parse_text(value)

    def predict(self, texts: Sequence[str]) -> list[ReplacedWords]:
        """Return the scored words of each text."""
        tokens = [text_windows.tokenize(self.tokenizer, text) for text in texts]
        parts = [
            (number, window)
            for number, each in enumerate(tokens)
            for window in text_windows.cut(len(each.ids), self.length - 2)
        ]
        outputs = self._runner.run(
            [
                sequences.framed(self.tokenizer, tokens[number].ids[window.start : window.stop])
                for number, window in parts
            ]
        )
        # If several tokens have one span, such as the bytes of a rare character, the last counts.
        by_span: list[dict[tuple[int, int], float]] = [{} for _ in texts]
        for (number, window), output in zip(parts, outputs):
            spans = tokens[number].offsets[window.start : window.stop].tolist()
            # Position 0 is [CLS]; [SEP] and padding follow the tokens.
            scores = output["probabilities"][1 : 1 + len(spans)].tolist()
            by_span[number].update(zip(map(tuple, spans), scores))
        return [ReplacedWords(_words(text, spans)) for text, spans in zip(texts, by_span)]

    def log_original(self, rows: Sequence[TokenSequence]) -> list[np.ndarray]:
        """Return the log-probability that each token is original, float64 `[tokens]` for each row.

        Args:
          rows: sequences of at most `length` tokens, special tokens included.
        """
        outputs = self._runner.run(rows)
        return [
            output["log_original"][: len(row.ids)].astype(np.float64)
            for row, output in zip(rows, outputs)
        ]

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, special tokens not included."""
        return len(self.tokenizer.tokenize(text))


def find_words(text: str) -> list[tuple[int, int]]:
    """Return the spans of words: letters and digits joined by ' or -, or one Chinese character."""
    return [match.span() for match in _WORD.finditer(text)]


def _words(text: str, probabilities: dict[tuple[int, int], float]) -> list[ScoredWord]:
    """Return the words of a text, given the probabilities of its tokens by their spans."""
    spans = sorted(probabilities)
    words, first = [], 0
    for start, end in find_words(text):
        # Spans and words are both in order: skip the spans that end before this word.
        while first < len(spans) and spans[first][1] <= start:
            first += 1
        # A word may have several tokens, and a token may reach beyond it, so any overlap counts.
        inside, number = [], first
        while number < len(spans) and spans[number][0] < end:
            if spans[number][1] > start:
                inside.append(probabilities[spans[number]])
            number += 1
        words.append(ScoredWord(text[start:end], start, end, max(inside, default=0.0)))
    return words
