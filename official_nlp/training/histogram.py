"""Area under the ROC curve from histograms, which unlike areas add up over batches."""

import numpy as np
import tensorflow as tf

# Range of the logits. 2048 bins of 1 / 64 resolve even the logits of an untrained model.
_LIMIT = 16.0
BINS = 2048


def logit_histogram(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return float32 `[2, BINS]`: the weight of negatives (row 0) and of positives by logit.

    Args:
      logits: float, any static shape.
      labels: 0 or 1, of the same shape.
      weights: float, of the same shape; 0 excludes an element.
    """
    scaled = (tf.cast(logits, tf.float32) + _LIMIT) * (BINS / (2 * _LIMIT))
    bins = tf.cast(tf.clip_by_value(tf.floor(scaled), 0, BINS - 1), tf.int32)
    cells = tf.cast(labels, tf.int32) * BINS + bins
    counts = tf.math.unsorted_segment_sum(
        tf.reshape(tf.cast(weights, tf.float32), [-1]), tf.reshape(cells, [-1]), 2 * BINS
    )
    return tf.reshape(counts, [2, BINS])


def auc(histogram: np.ndarray) -> float:
    """Return the probability that a positive has a higher logit than a negative; ties count half.

    Args:
      histogram: `[2, bins]`, results of `logit_histogram` added over batches.

    Returns:
      A number in [0, 1]; nan if there are no positives or no negatives.
    """
    negatives, positives = np.asarray(histogram, np.float64)
    pairs = negatives.sum() * positives.sum()
    if not pairs:
        return float("nan")
    below = np.cumsum(negatives) - negatives / 2
    return float(np.sum(positives * below) / pairs)
