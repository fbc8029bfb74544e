"""Area under the ROC curve from a histogram, which adds up over batches as the area does not."""

import numpy as np
import tensorflow as tf

# Logits are counted between these; 2048 bins of 1 / 64 tell apart even an untrained model's.
_LIMIT = 16.0
BINS = 2048


def logit_histogram(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns float32 `[2, BINS]`: the weight of negatives (row 0) and of positives by logit.

    Args:
      logits: float, any static shape.
      labels: 0 or 1, of that shape.
      weights: float, of that shape; 0 leaves an element out.
    """
    scaled = (tf.cast(logits, tf.float32) + _LIMIT) * (BINS / (2 * _LIMIT))
    bins = tf.cast(tf.clip_by_value(tf.floor(scaled), 0, BINS - 1), tf.int32)
    cells = tf.cast(labels, tf.int32) * BINS + bins
    counts = tf.math.unsorted_segment_sum(
        tf.reshape(tf.cast(weights, tf.float32), [-1]), tf.reshape(cells, [-1]), 2 * BINS
    )
    return tf.reshape(counts, [2, BINS])


def auc(histogram: np.ndarray) -> float:
    """Returns the probability that a positive's logit is above a negative's, ties by half.

    Args:
      histogram: `[2, bins]`, as of `logit_histogram`, summed over batches.

    Returns:
      A number in [0, 1]; nan if there are no positives or no negatives.
    """
    negatives, positives = np.asarray(histogram, np.float64)
    pairs = negatives.sum() * positives.sum()
    if not pairs:
        return float("nan")
    below = np.cumsum(negatives) - negatives / 2
    return float(np.sum(positives * below) / pairs)
