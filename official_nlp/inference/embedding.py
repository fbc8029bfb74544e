"""Embed texts with an encoder without a head."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.inputs import TextPair
from official_nlp.modeling.networks import ElectraEncoder


@dataclasses.dataclass(frozen=True)
class Embedding(Prediction):
    """The vector of a text.

    Attributes:
      embedding: output of the last layer at [CLS], `hidden_size` numbers.
    """

    embedding: list[float]


class TextEncoder(Head):
    """Embed texts or pairs of texts.

    Args:
      model: the encoder.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence; longer inputs are truncated, with a warning.
      batch_size: largest number of sequences in a batch.
    """

    expects = inputs.TEXT_OR_PAIR

    def __init__(
        self,
        model: ElectraEncoder,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length

        def first_states(batch):
            states = model(batch, training=False)["sequence_output"][:, 0]
            return {"embeddings": tf.cast(states, tf.float32)}

        self._runner = BatchRunner(first_states, tokenizer.pad_token_id, length, batch_size)

    def parse(self, value: Any) -> TextPair | None:
        return inputs.parse_text_or_pair(value)

    def predict(self, texts: Sequence[TextPair]) -> list[Embedding]:
        """Return the vector of each text or pair."""
        rows = sequences.truncated(self.tokenizer, texts, self.length)
        return [Embedding(output["embeddings"].tolist()) for output in self._runner.run(rows)]
