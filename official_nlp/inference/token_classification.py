"""Tag the words of a text, and find the entities in it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer, text_words
from official_nlp.inference import entities, inputs
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction, label_names
from official_nlp.inference.inputs import Words
from official_nlp.modeling.models import ElectraForTokenClassification
from official_nlp.tasks.finetuning import word_windows
from official_nlp.tasks.probabilities import softmax


@dataclasses.dataclass(frozen=True)
class Entity:
    """A name or another span of words.

    Attributes:
      label: type of the entity, without B- or I-.
      start, end: its span in characters, `text[start:end]`; in words that are joined by spaces if
        words were given.
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
      tags: the most probable label of each word: of those that were given, or of those into which
        `text_words.spans` divides a text.
    """

    entities: list[Entity]
    tags: list[str]


class TokenClassifier(Head):
    """Tag the words of sentences; the first token of a word decides on its label.

    Words are encoded as in training and evaluation, see `word_windows.in_windows`: a sentence that
    does not fit into a sequence is divided into overlapping windows, and each word is tagged in the
    one that shows more of its context. A plain text is divided into words first, as tagged files
    divide it.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.
    """

    expects = inputs.WORDS

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

    def parse(self, value: Any) -> Words | None:
        return inputs.parse_words(value)

    def predict(self, texts: Sequence[Words]) -> list[TokenClassification]:
        """Return the tags and the entities of each text."""
        divided = [
            text_words.spans(self.tokenizer, text) if spans is None else spans
            for text, spans in texts
        ]
        sentences = [
            [text[start:end] for start, end in spans] for (text, _), spans in zip(texts, divided)
        ]
        logits = self._logits(sentences)
        return [
            self._decode(text, spans, each)
            for (text, _), spans, each in zip(texts, divided, logits)
        ]

    def _logits(self, sentences: Sequence[list[str]]) -> list[np.ndarray]:
        """Return the logits of the words of each sentence, `[words, labels]`."""
        logits = [np.zeros([len(words), len(self.labels)], np.float32) for words in sentences]
        filled = [number for number, words in enumerate(sentences) if words]
        encoded = word_windows.in_windows(
            self.tokenizer, [sentences[number] for number in filled], self.length
        )
        outputs = self._runner.run([TokenSequence(ids) for ids in encoded.ids])
        for number, words, output in zip(encoded.sentences.tolist(), encoded.words, outputs):
            own = np.flatnonzero(words != word_windows.NO_WORD)  # Outputs are padded at the end.
            # Every word is in exactly one window, so that the zeros are all overwritten.
            logits[filled[number]][words[own]] = output["logits"][own]
        return logits

    def _decode(
        self, text: str, spans: Sequence[tuple[int, int]], logits: np.ndarray
    ) -> TokenClassification:
        probabilities = softmax(logits)  # [words, labels]
        best, scores = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
        tags = [self.labels[number] for number in best]
        found = []
        for label, word, stop in entities.decode(tags, self.labels):
            start, end = spans[word][0], spans[stop - 1][1]
            score = float(scores[word:stop].mean())
            found.append(Entity(label, start, end, text[start:end], score))
        return TokenClassification(found, tags)
