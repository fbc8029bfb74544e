"""Classify texts or pairs of texts, or predict numbers for them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.inference import inputs, sequences
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction, label_names
from official_nlp.inference.inputs import TextPair
from official_nlp.modeling.models import ElectraForSequenceClassification
from official_nlp.tasks.finetuning import encoding, predicted_texts
from official_nlp.tasks.probabilities import sigmoid, softmax


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
      labels: labels whose probability reaches their threshold.
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

    What fine-tuning fitted on its development set is read from the configuration: a temperature
    that calibrates the probabilities, a threshold for each of several labels, and whether a long
    text is divided into windows, whose probabilities are averaged. The numbers of a regression are
    within the range that its configuration states.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence; longer inputs are truncated, with a warning,
        unless the model was trained on windows.
      batch_size: largest number of sequences in a batch.

    Attributes:
      labels: names of the labels in order.
      problem_type: kind of prediction, as in the configuration.
      temperature: divisor of the logits of one label.
      divides: whether a text that is longer than a sequence is divided into windows.
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
        self.problem_type = config.problem_type or default
        self.temperature = predicted_texts.fitted_value(
            config.extra, predicted_texts.TEMPERATURE, 1.0
        )
        self._thresholds = predicted_texts.thresholds_of(config.extra, self.labels)
        self.value_range = predicted_texts.fitted_value(
            config.extra, predicted_texts.VALUE_RANGE, None
        )
        long_texts = predicted_texts.fitted_value(config.extra, predicted_texts.LONG_TEXTS, None)
        self.divides = long_texts == predicted_texts.WINDOWS
        self._runner = BatchRunner(
            lambda batch: {"logits": model(batch, training=False)["logits"]},
            tokenizer.pad_token_id,
            length,
            batch_size,
        )

    def parse(self, value: Any) -> TextPair | None:
        return inputs.parse_text_or_pair(value)

    def predict(
        self, texts: Sequence[TextPair], *, threshold: float | None = None
    ) -> list[Classification] | list[MultiLabelClassification] | list[Regression]:
        """Return the label, the labels or the number of each text or pair.

        Args:
          texts: texts or pairs.
          threshold: smallest probability of a predicted label in multi-label classification; None
            for the thresholds that were fitted for each label, or 0.5 without any.

        Raises:
          InputError: `threshold` is not a probability.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold must be a probability from 0 to 1, got {threshold!r}")
        # A model that was trained on windows divides single texts, and truncates pairs.
        divided = [n for n, (_, pair) in enumerate(texts) if self.divides and not pair]
        numbers = [n for n, (_, pair) in enumerate(texts) if pair or not self.divides]
        rows = sequences.truncated(self.tokenizer, [texts[n] for n in numbers], self.length)
        encoded = encoding.in_windows(self.tokenizer, [texts[n] for n in divided], self.length)
        rows += [TokenSequence(*each) for each in zip(encoded.ids, encoded.type_ids)]
        numbers += [divided[n] for n in encoded.examples]
        logits = self._logits(rows, numbers, len(texts))
        if self.problem_type == "regression":
            means = [
                predicted_texts.limited(each.mean(axis=0), self.value_range) for each in logits
            ]
            return [Regression(_number_or_numbers(mean)) for mean in means]
        if self.problem_type == "multi_label_classification":
            limits = self.limits(threshold)
            return [self._multi_label(sigmoid(each).mean(axis=0), limits) for each in logits]
        return [self._single_label(softmax(each).mean(axis=0)) for each in logits]

    def _logits(
        self, rows: Sequence[TokenSequence], numbers: Sequence[int], count: int
    ) -> list[np.ndarray]:
        """Return the logits of each of `count` texts, `[windows, labels]`.

        Args:
          rows: the sequences.
          numbers: number of the text of each sequence.
          count: number of texts.
        """
        outputs: list[list[np.ndarray]] = [[] for _ in range(count)]
        for number, output in zip(numbers, self._runner.run(rows)):
            outputs[number].append(output["logits"])
        return [np.stack(each) for each in outputs]

    def limits(self, threshold: float | None = None) -> dict[str, float]:
        """Return the smallest probability of each label in multi-label classification.

        Args:
          threshold: as in `predict`.
        """
        if threshold is None and self._thresholds is not None:
            return self._thresholds
        return dict.fromkeys(self.labels, 0.5 if threshold is None else threshold)

    def _single_label(self, probabilities: np.ndarray) -> Classification:
        probabilities = predicted_texts.calibrated(probabilities, self.temperature)
        best = int(probabilities.argmax())
        scores = dict(zip(self.labels, probabilities.tolist()))
        return Classification(self.labels[best], float(probabilities[best]), scores)

    def _multi_label(
        self, probabilities: np.ndarray, limits: Mapping[str, float]
    ) -> MultiLabelClassification:
        scores = dict(zip(self.labels, probabilities.tolist()))
        labels = [label for label, score in scores.items() if score >= limits[label]]
        return MultiLabelClassification(labels, scores)


def _number_or_numbers(values: np.ndarray) -> float | list[float]:
    return float(values[0]) if len(values) == 1 else values.tolist()
