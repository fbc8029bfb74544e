"""Tag the words of a text, and find the entities in it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer, text_windows
from official_nlp.data.text_windows import TextTokens
from official_nlp.inference import entities, inputs, sequences
from official_nlp.inference.batches import BatchRunner
from official_nlp.inference.head import Head, Prediction, label_names
from official_nlp.modeling.models import ElectraForTokenClassification
from official_nlp.tasks.probabilities import softmax


@dataclasses.dataclass(frozen=True)
class Entity:
    """A name or another span of words.

    Attributes:
      label: type of the entity, without B- or I-.
      start, end: its span in characters, `text[start:end]`.
      text: the characters of the span.
      score: mean probability of the tags of its words.
    """

    label: str
    start: int
    end: int
    text: str
    score: float


@dataclasses.dataclass(frozen=True)
class TokenClassification(Prediction):
    """The tags of a text.

    Attributes:
      entities: all entities in order.
      tags: the most probable label of each word. Words are those of the tokenizer, which splits
        at white space and punctuation.
    """

    entities: list[Entity]
    tags: list[str]


class TokenClassifier(Head):
    """Tag the words of plain texts; the first token of a word decides on its label.

    A text that does not fit into a sequence is cut into windows that share a quarter of their
    tokens. A token near the border of one window is classified in the next, with context on both
    sides.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.
    """

    expects = inputs.TEXT

    def __init__(
        self,
        model: ElectraForTokenClassification,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length
        self.labels = label_names(model.config)
        self._runner = BatchRunner(
            lambda batch: {"logits": model(batch, training=False)["logits"]},
            tokenizer.pad_token_id,
            length,
            batch_size,
        )

    def parse(self, value: Any) -> str | None:
        return inputs.parse_text(value)

    def predict(self, texts: Sequence[str]) -> list[TokenClassification]:
        """Return the tags and the entities of each text."""
        tokens = [text_windows.tokenize(self.tokenizer, text) for text in texts]
        room = self.length - 2
        parts = [
            (number, window)
            for number, each in enumerate(tokens)
            for window in text_windows.cut(len(each.ids), room, stride=room // 4)
        ]
        outputs = self._runner.run(
            [
                sequences.framed(self.tokenizer, tokens[number].ids[window.start : window.stop])
                for number, window in parts
            ]
        )
        # Every token belongs to exactly one window, so the zeros are all overwritten.
        logits = [np.zeros([len(each.ids), len(self.labels)], np.float32) for each in tokens]
        for (number, window), output in zip(parts, outputs):
            # Position 0 is [CLS], so that token t is at position t - start + 1.
            shift = 1 - window.start
            own = slice(window.own_start, window.own_stop)
            in_row = slice(window.own_start + shift, window.own_stop + shift)
            logits[number][own] = output["logits"][in_row]
        return [self._decode(*each) for each in zip(texts, tokens, logits)]

    def _decode(self, text: str, tokens: TextTokens, logits: np.ndarray) -> TokenClassification:
        if not len(tokens.ids):
            return TokenClassification([], [])
        # Word numbers ascend, so `unique` returns the first token of each word in order. A word
        # stops where the next one starts.
        _, first = np.unique(tokens.words, return_index=True)
        stops = [*first[1:], len(tokens.ids)]
        probabilities = softmax(logits[first])  # [words, labels]
        best = probabilities.argmax(axis=-1)
        scores = probabilities.max(axis=-1)
        tags = [self.labels[number] for number in best]
        found = []
        for label, word, stop in entities.decode(tags, self.labels):
            # From the first character of the first word's first token to the end of the last word's
            # last token.
            start, end = text_windows.stripped_span(
                text, tokens.offsets[first[word], 0], tokens.offsets[stops[stop - 1] - 1, 1]
            )
            score = float(scores[word:stop].mean())
            found.append(Entity(label, start, end, text[start:end], score))
        return TokenClassification(found, tags)
