"""Classifiers and regressions as signatures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.inference.sequence_classification import SequenceClassifier
from official_nlp.serving import windows as text_windows
from official_nlp.serving.served_head import (
    DEFAULT,
    Samples,
    ServedHead,
    long_sample,
    pair_samples,
    pair_signatures,
)
from official_nlp.serving.served_network import ServedNetwork
from official_nlp.serving.text_encoding import TextEncoding
from official_nlp.tasks.finetuning.predicted_texts import LEAST


class ServedTextClassifier(ServedHead):
    """Classify texts (`serving_default`) or pairs of texts (`pairs`).

    Call of the signatures:
      text: strings `[batch]`.
      text_pair: second texts `[batch]` of `pairs`; an empty string is none.

      All return `truncated`, bool `[batch]`. Besides, a model of one label returns `label` string
      `[batch]`, `score` float32 `[batch]`, `scores` float32 `[batch, labels]` and their names
      `classes`, string `[batch, labels]`. A model of several labels returns `predicted`, bool
      `[batch, labels]`, `scores` and `classes`. A regression returns `value`, float32 `[batch]`, or
      `[batch, outputs]`. If the model was trained on windows, the results of a long text are means
      over its windows; pairs are truncated.

    Args:
      head: the head in Python.
      network: a network with the output `logits`.
      windows: largest number of windows of a text, for a model that was trained on windows.
    """

    def __init__(self, head: SequenceClassifier, network: ServedNetwork, windows: int):
        super().__init__()
        self.windows = windows if head.divides else 1
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._problem_type = head.problem_type
        self._labels = list(head.labels)
        self._temperature = head.temperature
        self._value_range = head.value_range and tuple(head.value_range)
        limits = head.limits()
        self._limits = [limits[label] for label in self._labels]

    def signatures(self) -> dict[str, Any]:
        return pair_signatures(self._classify)

    def samples(self) -> dict[str, Samples]:
        samples = pair_samples()
        if self.windows > 1:
            texts = [*samples[DEFAULT].inputs, long_sample(self._encoding.length)]
            samples[DEFAULT] = Samples({"text": texts}, texts)
        return samples

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        if "value" in outputs:
            return [{"value": value} for value in outputs["value"].tolist()]
        names = [list(row) for row in outputs["classes"]]
        scores = [dict(zip(*each)) for each in zip(names, outputs["scores"].tolist())]
        if "predicted" in outputs:
            return [
                {"labels": [name for name, is_one in zip(row, predicted) if is_one], "scores": each}
                for row, predicted, each in zip(names, outputs["predicted"], scores)
            ]
        rows = zip(outputs["label"], outputs["score"].tolist(), scores)
        return [{"label": label, "score": score, "scores": each} for label, score, each in rows]

    def _classify(self, text: tf.Tensor, text_pair: tf.Tensor | None) -> dict[str, tf.Tensor]:
        if text_pair is None and self.windows > 1:
            return self._classify_windows(text)
        inputs, truncated = self._encoding.encode(text, text_pair)
        logits = self.networks[""](inputs)["logits"]
        return {**self.outputs(logits), "truncated": truncated}

    def _classify_windows(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs for texts that are divided as `encoding.in_windows` does."""
        text, cut = self._encoding.bounded(text)
        tokens = self._encoding.graph.pieces(text)
        room = self._encoding.length - 2
        parts = text_windows.cut(tokens.row_lengths(), room, room // 4, self.windows)
        framed = self._encoding.framed(parts.tokens(tokens))
        logits = self.networks[""](self._encoding.padded(framed))["logits"]
        return {**self.outputs(logits, parts.rows), "truncated": parts.truncated | cut}

    def outputs(self, logits: tf.Tensor, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return the outputs of the signatures.

        Args:
          logits: float32 `[sequences, labels]`.
          rows: number of the text of each sequence, int64 `[sequences]`, ascending; None for one
            sequence of each text.
        """

        def mean(values: tf.Tensor) -> tf.Tensor:
            return values if rows is None else tf.math.segment_mean(values, rows)

        if self._problem_type == "regression":
            logits = mean(logits)
            if self._value_range is not None:
                logits = tf.clip_by_value(logits, *self._value_range)
            return {"value": logits[:, 0] if logits.shape[1] == 1 else logits}
        names = tf.constant(self._labels)
        # As in `Predictor`, probabilities are computed in float64, which a low temperature needs.
        logits = tf.cast(logits, tf.float64)
        if self._problem_type == "multi_label_classification":
            probabilities = mean(tf.sigmoid(logits))
            classes = _for_each(probabilities, names)
            predicted = probabilities >= tf.constant(self._limits, tf.float64)
            scores = tf.cast(probabilities, tf.float32)
            return {"predicted": predicted, "scores": scores, "classes": classes}
        probabilities = self._calibrated(mean(tf.nn.softmax(logits)))
        scores = tf.cast(probabilities, tf.float32)
        best = tf.argmax(probabilities, axis=1)
        return {
            "label": tf.gather(names, best),
            "score": tf.gather(scores, best, batch_dims=1),
            "scores": scores,
            "classes": _for_each(scores, names),
        }

    def _calibrated(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Return what `predicted_texts.calibrated` does."""
        if self._temperature == 1.0:
            return probabilities
        return tf.nn.softmax(tf.math.log(tf.maximum(probabilities, LEAST)) / self._temperature)


def _for_each(values: tf.Tensor, names: tf.Tensor) -> tf.Tensor:
    """Return the names of the labels for each row of values `[batch, labels]`."""
    return tf.repeat(names[tf.newaxis], tf.shape(values)[0], axis=0)
