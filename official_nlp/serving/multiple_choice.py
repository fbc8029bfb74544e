"""Multiple choice as a signature."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.inference.multiple_choice import ChoiceRanker
from official_nlp.serving.served_head import DEFAULT, SAMPLES, STRINGS, Samples, ServedHead
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding


class ServedChoiceRanker(ServedHead):
    """Choose one of several texts as the second segment to a first.

    Call of the signature:
      text: strings `[batch]`.
      choices: strings `[batch, choices]`; all texts of a request have the same number.

      Returns `choice` int32 `[batch]`, from 0; `scores` float32 `[batch, choices]`; and `truncated`
      bool `[batch]`, whether a sequence of one of the choices was shortened.

    Args:
      head: the head in Python.
      network: a network with inputs `[batch, choices, length]` and the output `logits`.
    """

    def __init__(self, head: ChoiceRanker, network: ServedNetwork):
        super().__init__()
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)

    def signatures(self) -> dict[str, Any]:
        choices = tf.TensorSpec([None, None], tf.string)
        return {DEFAULT: traced(self._choose, {"text": STRINGS, "choices": choices})}

    def samples(self) -> dict[str, Samples]:
        # Some continuations differ in nothing else, and an empty one is a choice too.
        choices = [["It was old.", "No.", "Zwei"], ["Ja.", "", "Nein, nicht."]]
        texts = list(SAMPLES[:2])
        inputs = [{"text": text, "choices": each} for text, each in zip(texts, choices)]
        return {DEFAULT: Samples({"text": texts, "choices": choices}, inputs)}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        rows = zip(outputs["choice"].tolist(), outputs["scores"].tolist())
        return [{"choice": choice, "scores": scores} for choice, scores in rows]

    def _choose(self, text: tf.Tensor, choices: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(choices)
        texts = tf.repeat(text, shape[1])
        inputs, truncated = self._encoding.encode(texts, tf.reshape(choices, [-1]))
        # [batch * choices, length] becomes [batch, choices, length].
        inputs = {
            name: tf.reshape(each, tf.concat([shape, tf.shape(each)[1:]], 0))
            for name, each in inputs.items()
        }
        logits = self.networks[""](inputs)["logits"]
        # As in `Predictor`, probabilities are computed in float64.
        scores = tf.nn.softmax(tf.cast(logits, tf.float64))
        return {
            "choice": tf.argmax(scores, axis=1, output_type=tf.int32),
            "scores": tf.cast(scores, tf.float32),
            "truncated": tf.reduce_any(tf.reshape(truncated, shape), axis=1),
        }
