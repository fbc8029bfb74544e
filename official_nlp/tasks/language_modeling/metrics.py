"""Metrics of causal language models: sums in the step, ratios on the host."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

_SUMS = "causal_sums"
# Above this loss the perplexity exceeds what a float can hold.
_LARGEST_LOSS = 700.0


def next_token_sums(
    batch: Mapping[str, tf.Tensor], logits: tf.Tensor, special_ids: Sequence[int]
) -> dict[str, tf.Tensor]:
    """Return the sums of one batch from which `compute` derives the metrics.

    Args:
      batch: with `input_word_ids` and `input_mask`, integer `[batch, length]`.
      logits: float `[batch, length, vocabulary]`; those at a position predict the token after it.
      special_ids: tokens that do not count as targets, as for the n-grams with which a model is
        compared.
    """
    targets = tf.cast(batch["input_word_ids"][:, 1:], tf.int32)
    counts = batch["input_mask"][:, 1:] > 0
    for special in special_ids:
        counts &= targets != special
    weights = tf.cast(counts, tf.float32)
    logits = logits[:, :-1]
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    correct = tf.argmax(logits, axis=-1, output_type=tf.int32) == targets
    parts = [weights, tf.where(counts, nll, 0.0), weights * tf.cast(correct, tf.float32)]
    return {_SUMS: tf.stack([tf.reduce_sum(part) for part in parts])}


def compute(sums: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the metrics of a window or an evaluation.

    Args:
      sums: float64 arrays added over batches.

    Returns:
      `causal_loss` in nats per token, `perplexity`, and `next_token_accuracy`.
    """
    tokens, loss, correct = sums[_SUMS]
    loss = float(loss / tokens) if tokens else 0.0
    return {
        "causal_loss": loss,
        "perplexity": math.exp(min(loss, _LARGEST_LOSS)),
        "next_token_accuracy": float(correct / tokens) if tokens else 0.0,
    }


def evaluated() -> list[str]:
    """Return the names of the metrics of an evaluation."""
    return list(compute({_SUMS: np.ones(3)}))
