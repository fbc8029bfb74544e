"""Generators as signatures: tokens for the blanks of texts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.inference import fillings
from official_nlp.inference.fillings import BlankFiller
from official_nlp.serving.served_head import DEFAULT, STRINGS, Samples, ServedHead
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding, dense

_SAMPLES = ("The ___ bridge.", "A [MASK] on the ______, it is [MASK].")


class ServedBlankFiller(ServedHead):
    """Predict tokens for the blanks of texts, [MASK] or ___.

    Call of the signature:
      text: strings `[batch]`.

      Returns, padded with "" and 0: `token` string and `score` float32
      `[batch, blanks, candidates]`, the best first; `num_blanks` int32 `[batch]`, 0 for a text
      without blanks, and `truncated` bool `[batch]`. A text that is truncated has the blanks of its
      beginning.

    Args:
      head: the head in Python.
      network: a network with the inputs `masked_lm_positions` and the output `logits`.
      part: name of the network's part of the model.
    """

    def __init__(self, head: BlankFiller, network: ServedNetwork, part: str = ""):
        super().__init__()
        self.networks = {part: network}
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._network = network
        self._allowed = tf.constant(head.allowed)
        self._tokens = tf.constant(head.tokenizer.vocab, tf.string)
        self._top = fillings.TOP

    def signatures(self) -> dict[str, Any]:
        return {DEFAULT: traced(self.fill, {"text": STRINGS})}

    def samples(self) -> dict[str, Samples]:
        mask = self._encoding.tokenizer.mask_token
        texts = [text.replace("[MASK]", mask) for text in _SAMPLES]
        return {DEFAULT: Samples({"text": texts}, texts)}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        rows = zip(outputs["token"].tolist(), outputs["score"].tolist(), outputs["num_blanks"])
        return [
            {
                "fillings": [
                    [{"token": token, "score": score} for token, score in zip(*blank)]
                    for blank in zip(tokens[:count], scores[:count])
                ]
            }
            for tokens, scores, count in rows
        ]

    def fill(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs of the signature."""
        mask_token = self._encoding.tokenizer.mask_token.replace("\\", "\\\\")
        text = tf.strings.regex_replace(text, fillings.BLANK.pattern, mask_token)
        inputs, truncated = self._encoding.encode(text)
        is_blank = inputs["input_word_ids"] == self._encoding.tokenizer.mask_token_id
        places = tf.where(is_blank)  # [blanks of all texts, 2]
        count = tf.shape(is_blank, tf.int64)[0]
        positions = tf.RaggedTensor.from_value_rowids(
            tf.cast(places[:, 1], tf.int32), places[:, 0], count, validate=False
        )
        sizes = tf.cast(positions.row_lengths(), tf.int32)
        padded = dense(positions)
        feed = {name: inputs[name] for name in ("input_word_ids", "input_mask")}
        feed["masked_lm_positions"] = padded
        probabilities = tf.nn.softmax(self._network(feed)["logits"])  # [B, P, V]
        best = tf.math.top_k(probabilities * self._allowed, self._top)
        filled = tf.sequence_mask(sizes, tf.shape(padded)[1])[..., tf.newaxis]
        return {
            "token": tf.where(filled, tf.gather(self._tokens, best.indices), ""),
            "score": tf.where(filled, best.values, 0.0),
            "num_blanks": sizes,
            "truncated": truncated,
        }
