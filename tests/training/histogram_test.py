"""Areas under the ROC curve from histograms."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.training import auc, logit_histogram


def _by_pairs(logits, labels, weights):
    positive, negative = labels == 1, labels == 0
    above = (logits[positive][:, None] > logits[negative]) + 0.5 * (
        logits[positive][:, None] == logits[negative]
    )
    pairs = weights[positive][:, None] * weights[negative]
    return (above * pairs).sum() / pairs.sum()


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_the_area_agrees_with_all_pairs(scale):
    rng = np.random.default_rng(1)
    labels = (rng.uniform(size=600) < 0.2).astype(np.int32)
    logits = (scale * rng.normal(size=600) + labels * scale - 2).astype(np.float32)
    weights = (rng.uniform(size=600) < 0.8).astype(np.float32)
    histogram = logit_histogram(logits, labels, weights).numpy()
    assert auc(histogram) == pytest.approx(_by_pairs(logits, labels, weights), abs=5e-3)
    np.testing.assert_array_equal(
        histogram.sum(axis=1), [weights[labels == 0].sum(), weights[labels == 1].sum()]
    )


def test_histograms_of_batches_add_up():
    logits, labels = tf.random.stateless_normal([4, 8], [1, 2]), tf.eye(4, 8)  # noqa: TID251
    whole = logit_histogram(logits, labels, tf.ones([4, 8]))
    halves = [
        logit_histogram(logits[i : i + 2], labels[i : i + 2], tf.ones([2, 8])) for i in (0, 2)
    ]
    np.testing.assert_array_equal(whole, halves[0] + halves[1])


def test_logits_beyond_the_bins_count_in_the_outermost():
    histogram = logit_histogram([-1e9, 1e9], [0, 1], [1.0, 1.0]).numpy()
    assert auc(histogram) == 1.0


def test_a_tie_counts_half():
    assert auc(logit_histogram([0.0, 0.0], [0, 1], [1.0, 1.0]).numpy()) == 0.5


def test_without_positives_there_is_no_area():
    assert np.isnan(auc(logit_histogram([0.0, 1.0], [0, 0], [1.0, 1.0]).numpy()))
