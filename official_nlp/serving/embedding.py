"""Encoders without a head as signatures: vectors of texts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.inference.embedding import TextEncoder
from official_nlp.serving.served_head import (
    Samples,
    ServedHead,
    pair_samples,
    pair_signatures,
)
from official_nlp.serving.served_network import ServedNetwork
from official_nlp.serving.text_encoding import TextEncoding


class ServedTextEncoder(ServedHead):
    """Embed texts (`serving_default`) or pairs of texts (`pairs`).

    Call of the signatures:
      text: strings `[batch]`.
      text_pair: second texts `[batch]` of `pairs`; an empty string is none.

      Return `embedding`, the output of the last layer at [CLS], and `mean`, its mean over all
      tokens of the sequence, both float32 `[batch, hidden_size]`; and `truncated`, bool `[batch]`.

    Args:
      head: the head in Python.
      network: a network with the output `sequence_output`.
    """

    def __init__(self, head: TextEncoder, network: ServedNetwork):
        super().__init__()
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)

    def signatures(self) -> dict[str, Any]:
        return pair_signatures(self._embed)

    def samples(self) -> dict[str, Samples]:
        return pair_samples()

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [{"embedding": vector} for vector in outputs["embedding"].tolist()]

    def _embed(self, text: tf.Tensor, text_pair: tf.Tensor | None) -> dict[str, tf.Tensor]:
        inputs, truncated = self._encoding.encode(text, text_pair)
        states = tf.cast(self.networks[""](inputs)["sequence_output"], tf.float32)  # [B, L, H]
        mask = tf.cast(inputs["input_mask"], tf.float32)[..., tf.newaxis]
        mean = tf.reduce_sum(states * mask, axis=1) / tf.reduce_sum(mask, axis=1)
        return {"embedding": states[:, 0], "mean": mean, "truncated": truncated}
