"""Embed texts with the encoder of any model."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.inputs import TextPair
from official_nlp.modeling.networks import ElectraEncoder

POOLINGS = ("cls", "mean", "tokens")
# Texts whose vectors are in memory at once. A text has many token vectors.
_CHUNK, _TOKENS_CHUNK = 1024, 64


@dataclasses.dataclass(frozen=True)
class Embedding(Prediction):
    """The vector of a text.

    Attributes:
      embedding: `hidden_size` numbers: output of the last layer at [CLS], or its mean over the
        tokens.
    """

    embedding: list[float]


@dataclasses.dataclass(frozen=True, eq=False)  # Arrays have no equality of one truth value.
class TokenEmbeddings(Prediction):
    """The tokens of a text and their vectors.

    Attributes:
      tokens: tokens of the sequence, [CLS] and [SEP] included.
      vectors: output of the last layer at each token, float32 `[tokens, hidden_size]`.
    """

    tokens: list[str]
    vectors: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "vectors": self.vectors.tolist()}


class TextEmbedder:
    """Return vectors of texts or pairs of texts.

    The pooling decides on the vectors: `cls` is the output of the last layer at [CLS], `mean` its
    mean over all tokens of the sequence, [CLS] and [SEP] included, and `tokens` the outputs of all
    tokens. Padding is never included.

    Args:
      states: function of a dict of `input_word_ids`, `input_mask` and `input_type_ids` int32
        `[batch, length]` that returns the output of the last layer `[batch, length, width]`.
      width: width of the output.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence; longer inputs are truncated, with a warning.
      batch_size: largest number of sequences in a batch.
      is_causal: whether a token attends to earlier tokens only, so that [CLS], the first one, has
        the same output in every text.

    Attributes:
      width: width of a vector.
    """

    def __init__(
        self,
        states: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
        width: int,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
        is_causal: bool = False,
    ):
        self.width = width
        self._tokenizer = tokenizer
        self._length = length
        self._is_causal = is_causal

        def pooled(batch, pooling):
            outputs = tf.cast(states(batch), tf.float32)  # [B, L, H]
            if pooling == "cls":
                outputs = outputs[:, 0]
            elif pooling == "mean":
                mask = tf.cast(batch["input_mask"], tf.float32)[..., tf.newaxis]
                outputs = tf.reduce_sum(outputs * mask, axis=1) / tf.reduce_sum(mask, axis=1)
            return {"embeddings": outputs}

        self._runner = BatchRunner(pooled, tokenizer.pad_token_id, length, batch_size)

    def check(self, pooling: str) -> None:
        """Check the name of a pooling.

        Raises:
          InputError: it is none of `POOLINGS`, or [CLS] of this model sees no other token.
        """
        ranges.Choice(POOLINGS).require("pooling", pooling)
        if pooling == "cls" and self._is_causal:
            raise InputError(
                "the pooling cls needs a model in which [CLS] attends to the whole text, but this "
                "is a decoder: use mean"
            )

    def embed(
        self, texts: Sequence[TextPair], pooling: str = "mean"
    ) -> np.ndarray | list[TokenEmbeddings]:
        """Return the vectors of texts or pairs.

        Returns:
          For `cls` and `mean` float32 `[texts, width]`; for `tokens` a `TokenEmbeddings` each.

        Raises:
          InputError: as `check`.
        """
        self.check(pooling)
        rows = sequences.truncated(self._tokenizer, texts, self._length)
        if pooling == "tokens":
            return list(self.token_vectors(rows))
        chunks = list(self.vectors(rows, pooling))
        return np.concatenate([np.zeros([0, self.width], np.float32), *chunks])

    def tokenize(self, texts: Sequence[TextPair]) -> list[TokenSequence]:
        """Return the sequence of each text or pair, truncated where necessary."""
        return sequences.truncated(self._tokenizer, texts, self._length)

    def vectors(self, rows: Sequence[TokenSequence], pooling: str) -> Iterator[np.ndarray]:
        """Yield float32 `[some rows, width]` by `cls` or `mean`, in order."""
        for start in range(0, len(rows), _CHUNK):
            outputs = self._runner.run(rows[start : start + _CHUNK], pooling=pooling)
            yield np.stack([output["embeddings"] for output in outputs])

    def token_vectors(self, rows: Sequence[TokenSequence]) -> Iterator[TokenEmbeddings]:
        """Yield the tokens of each row and their vectors, in order."""
        for start in range(0, len(rows), _TOKENS_CHUNK):
            part = rows[start : start + _TOKENS_CHUNK]
            for row, output in zip(part, self._runner.run(part, pooling="tokens")):
                tokens = [self._tokenizer.vocab[token] for token in row.ids]
                yield TokenEmbeddings(tokens, output["embeddings"][: len(tokens)])


class TextEncoder(Head):
    """Embed texts or pairs of texts with an encoder without a head, by the output at [CLS].

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
        self._embedder = TextEmbedder(
            lambda batch: model(batch, training=False)["sequence_output"],
            model.config.hidden_size,
            tokenizer,
            length,
            batch_size,
        )

    def parse(self, value: Any) -> TextPair | None:
        return inputs.parse_text_or_pair(value)

    def predict(self, texts: Sequence[TextPair]) -> list[Embedding]:
        """Return the vector of each text or pair."""
        rows = sequences.truncated(self.tokenizer, texts, self.length)
        chunks = self._embedder.vectors(rows, "cls")
        return [Embedding(vector.tolist()) for chunk in chunks for vector in chunk]
