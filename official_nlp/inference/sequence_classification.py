"""Classify texts or pairs of texts, or predict numbers for them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner
from official_nlp.inference.head import Head, Prediction, label_names
from official_nlp.inference.inputs import TextPair
from official_nlp.inference.probabilities import sigmoid, softmax
from official_nlp.modeling.models import ElectraForSequenceClassification


@dataclasses.dataclass(frozen=True)
class Classification(Prediction):
    """One of several labels.

    Attributes:
      label: the most probable label.
      score: its probability.
      scores: probability of every label; they add up to 1.
    """

    label: str
    score: float
    scores: dict[str, float]


@dataclasses.dataclass(frozen=True)
class MultiLabelClassification(Prediction):
    """Any number of labels.

    Attributes:
      labels: labels whose probability reaches the threshold.
      scores: probability of every label, each independent of the others.
    """

    labels: list[str]
    scores: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Regression(Prediction):
    """A number, or a list of numbers from a model with several outputs."""

    value: float | list[float]


class SequenceClassifier(Head):
    """Classify texts or pairs of texts.

    `config.problem_type` decides on the kind of prediction. Without it, a model of one output is
    a regression, and a model of several chooses one label.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence; longer inputs are truncated, with a warning.
      batch_size: largest number of sequences in a batch.
    """

    expects = inputs.TEXT_OR_PAIR

    def __init__(
        self,
        model: ElectraForSequenceClassification,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        config = model.config
        self.tokenizer = tokenizer
        self.length = length
        self.labels = label_names(config)
        default = "regression" if config.num_labels == 1 else "single_label_classification"
        # The model can also decide by the labels, but there are none in prediction.
        self._problem_type = config.problem_type or default
        self._runner = BatchRunner(
            lambda batch: {"logits": model(batch, training=False)["logits"]},
            tokenizer.pad_token_id,
            length,
            batch_size,
        )

    def parse(self, value: Any) -> TextPair | None:
        return inputs.parse_text_or_pair(value)

    def predict(
        self, texts: Sequence[TextPair], *, threshold: float = 0.5
    ) -> list[Classification] | list[MultiLabelClassification] | list[Regression]:
        """Return the label, the labels or the number of each text or pair.

        Args:
          texts: texts or pairs.
          threshold: smallest probability of a predicted label in multi-label classification.

        Raises:
          InputError: `threshold` is not a probability.
        """
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold must be a probability from 0 to 1, got {threshold!r}")
        rows = sequences.truncated(self.tokenizer, texts, self.length)
        logits = [output["logits"] for output in self._runner.run(rows)]
        if self._problem_type == "regression":
            return [Regression(_number_or_numbers(each)) for each in logits]
        if self._problem_type == "multi_label_classification":
            return [self._multi_label(sigmoid(each), threshold) for each in logits]
        return [self._single_label(softmax(each)) for each in logits]

    def _single_label(self, probabilities: np.ndarray) -> Classification:
        best = int(probabilities.argmax())
        scores = dict(zip(self.labels, probabilities.tolist()))
        return Classification(self.labels[best], float(probabilities[best]), scores)

    def _multi_label(self, probabilities: np.ndarray, threshold: float) -> MultiLabelClassification:
        scores = dict(zip(self.labels, probabilities.tolist()))
        labels = [label for label, score in scores.items() if score >= threshold]
        return MultiLabelClassification(labels, scores)


def _number_or_numbers(values: np.ndarray) -> float | list[float]:
    return float(values[0]) if len(values) == 1 else values.tolist()
