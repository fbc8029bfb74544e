"""Metrics of both networks: sums in the step, ratios on the host.

The prefix of a metric names the network: `mlm_` the generator, `rtd_` (replaced-token detection)
the discriminator. B batch, L length, P predictions, V vocabulary.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from official_nlp.modeling import losses, ops
from official_nlp.training import histogram

UNIGRAM_HISTOGRAM = "rtd_unigram_histogram"
_GENERATOR = "mlm_sums"
_DISCRIMINATOR = "rtd_sums"
_HISTOGRAM = "rtd_histogram"
# Metrics that show whether the networks learn; a progress line has room for no more.
_MAIN = ("mlm_mask_loss", "rtd_auc", "rtd_below_entropy", "mlm_mask_accuracy")


def generator_sums(
    batch: Mapping[str, tf.Tensor],
    lm_outputs: tf.Tensor,
    mask_id: int,
    sampled_ids: tf.Tensor | None = None,
    lm_losses: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Return the sums of one batch from which `compute` derives the generator's metrics.

    Args:
      batch: with `input_word_ids`, `masked_lm_positions`, `masked_lm_ids`, `masked_lm_weights`.
      lm_outputs: float `[B, P, V]`.
      mask_id: id of [MASK].
      sampled_ids: integer `[B, P]`, or None where nothing was sampled.
      lm_losses: `losses.masked_lm_losses` if they are known, which take time; None to compute them.
    """
    labels = batch["masked_lm_ids"]
    weights = losses.prediction_weights(batch)
    if lm_losses is None:
        lm_losses = losses.masked_lm_losses(lm_outputs, labels, weights)
    correct = _equal(tf.argmax(lm_outputs, axis=-1, output_type=tf.int32), labels)
    # Some predicted tokens stay visible (15 % by default), and the generator can copy them. Those
    # hidden by [MASK] are therefore counted separately, too.
    shown = ops.gather_positions(batch["input_word_ids"], batch["masked_lm_positions"])
    hidden = weights * _equal(shown, mask_id)
    sampled = weights * _equal(sampled_ids, labels) if sampled_ids is not None else 0.0 * weights
    parts = [
        weights,
        weights * lm_losses,
        weights * correct,
        hidden,
        hidden * lm_losses,
        hidden * correct,
        sampled,
        weights if sampled_ids is not None else 0.0 * weights,
    ]
    return {_GENERATOR: tf.stack([tf.reduce_sum(part) for part in parts])}


def discriminator_sums(
    batch: Mapping[str, tf.Tensor], disc_logits: tf.Tensor, disc_label: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return the sums of one batch from which `compute` derives the discriminator's metrics.

    Args:
      batch: with `input_mask`.
      disc_logits: float `[B, L]`.
      disc_label: integer `[B, L]`.
    """
    weights = tf.cast(batch["input_mask"], tf.float32)
    loss, tokens = losses.replaced_token_loss(disc_logits, disc_label, batch["input_mask"])
    replaced = tf.reduce_sum(weights * tf.cast(disc_label, tf.float32))
    return {
        _DISCRIMINATOR: tf.stack([tokens, loss, replaced]),
        _HISTOGRAM: histogram.logit_histogram(disc_logits, disc_label, weights),
    }


def compute(sums: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the metrics of a window or an evaluation, the main ones first; see the README.

    Args:
      sums: float64 arrays added over batches; those of a network that did not run are missing.
    """
    result = {}
    if _GENERATOR in sums:
        result.update(_generator_metrics(*sums[_GENERATOR]))
    if _DISCRIMINATOR in sums:
        tokens, loss, replaced = sums[_DISCRIMINATOR]
        result.update(_discriminator_metrics(tokens, loss, replaced, sums[_HISTOGRAM]))
    if UNIGRAM_HISTOGRAM in sums:
        result["rtd_unigram_auc"] = histogram.auc(sums[UNIGRAM_HISTOGRAM])
    first = {name: result[name] for name in _MAIN if name in result}
    return {**first, **result}


def evaluated() -> list[str]:
    """Return the names of the metrics of an evaluation."""
    counts = np.ones([2, 2])
    sums = {_GENERATOR: np.ones(8), _DISCRIMINATOR: np.ones(3), _HISTOGRAM: counts}
    return list(compute({**sums, UNIGRAM_HISTOGRAM: counts}))


def evaluated_generator() -> list[str]:
    """Return the names of the metrics of an evaluation of a generator alone."""
    return list(compute({_GENERATOR: np.array([1, 1, 1, 1, 1, 1, 0, 0])}))


def _generator_metrics(
    predicted, loss, correct, hidden, hidden_loss, hidden_correct, sampled_correct, sampled
):
    result = {
        "mlm_loss": _ratio(loss, predicted),
        "mlm_mask_loss": _ratio(hidden_loss, hidden),
        "mlm_accuracy": _ratio(correct, predicted),
        "mlm_mask_accuracy": _ratio(hidden_correct, hidden),
    }
    if sampled:
        result["mlm_sampled_accuracy"] = _ratio(sampled_correct, sampled)
    return result


def _discriminator_metrics(tokens, loss, replaced, counts):
    replaced_fraction = _ratio(replaced, tokens)
    bins = counts.shape[1]
    # The upper half of the bins holds logits from 0 on, that is probabilities from 1/2 on.
    detected = counts[1, bins // 2 :].sum()
    claimed = counts[:, bins // 2 :].sum()
    right = detected + counts[0, : bins // 2].sum()
    return {
        "rtd_loss": _ratio(loss, tokens),
        "rtd_below_entropy": entropy(replaced_fraction) - _ratio(loss, tokens),
        "rtd_auc": histogram.auc(counts),
        "rtd_replaced_fraction": replaced_fraction,
        "rtd_precision": _ratio(detected, claimed),
        "rtd_recall": _ratio(detected, replaced),
        "rtd_accuracy": _ratio(right, tokens),
        "rtd_all_original_accuracy": 1.0 - replaced_fraction,
    }


def entropy(fraction: float) -> float:
    """Return the entropy in nats of the fraction of replaced tokens.

    It is the loss of a discriminator that knows nothing but this fraction.
    """
    if not 0 < fraction < 1:
        return 0.0
    return -fraction * math.log(fraction) - (1 - fraction) * math.log(1 - fraction)


def _equal(one, other):
    return tf.cast(tf.equal(one, tf.cast(other, tf.int32)), tf.float32)


def _ratio(a, b) -> float:
    return float(a / b) if b else 0.0
