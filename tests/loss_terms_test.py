"""Loss terms: ratios of sums, on one replica and on two."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import loss_terms
from official_nlp.training import distribution


def terms_of(**pairs):
    return {name: tuple(tf.constant(x) for x in pair) for name, pair in pairs.items()}


@pytest.fixture(scope="module")
def two_replicas(two_devices):
    """Runs a function on two replicas with arguments of their own; returns both results."""
    strategy = distribution.create_strategy("mirrored")

    def run(function, *arguments):
        def of_replica(context):
            return [tf.constant(pair[context.replica_id_in_sync_group]) for pair in arguments]

        values = strategy.experimental_distribute_values_from_function(of_replica)
        result = strategy.run(function, values)
        return [
            tf.nest.map_structure(
                lambda x, i=i: float(strategy.experimental_local_results(x)[i]), result
            )
            for i in range(2)
        ]

    return run


# === Totals ===


def test_the_total_is_the_weighted_sum_of_the_means():
    terms = terms_of(mlm=(6.0, 2.0), rtd=(1.0, 4.0), next_sentence=(4.0, 2.0))
    total = loss_terms.weighted_total(terms, {"mlm": 2.0, "rtd": 50.0})
    assert float(total) == 2 * 3 + 50 / 4 + 2


def test_the_total_of_no_terms_is_0():
    assert float(loss_terms.weighted_total({}, {"loss": 2.0})) == 0


def test_a_term_of_weight_0_contributes_0_and_has_a_gradient_of_0():
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        terms = {"empty": (tf.reduce_sum(x * 0), tf.constant(0.0))}
        total = loss_terms.weighted_total(terms, {"empty": 50.0})
    assert float(total) == 0
    np.testing.assert_array_equal(tape.gradient(total, x), [0, 0])


# === One replica ===


def test_one_replica_returns_its_tensors_unchanged():
    tensors = {"a": tf.constant(1.0), "b": [tf.constant(2.0)]}
    assert loss_terms.replica_count() == 1
    assert loss_terms.sum_over_replicas(tensors) is tensors
    terms = terms_of(loss=(6.0, 2.0))
    assert loss_terms.with_global_weights(terms) == terms


def test_the_loss_of_one_replica_is_the_total_and_the_added_losses():
    terms = terms_of(loss=(6.0, 2.0), empty=(0.0, 0.0))
    loss = loss_terms.replica_loss(terms, {"loss": 10.0}, [tf.constant(0.5), tf.constant(0.25)])
    assert float(loss) == 30.75


# === Two replicas ===


def test_two_replicas_add_tensors_of_any_structure(two_replicas):
    def add(x):
        return loss_terms.sum_over_replicas({"x": x, "parts": [2 * x, x * x]})

    assert two_replicas(add, [1.0, 3.0]) == [{"x": 4.0, "parts": [8.0, 10.0]}] * 2


def test_two_replicas_share_weights_and_not_sums(two_replicas):
    def weigh(loss_sum, weight):
        return loss_terms.with_global_weights({"loss": (loss_sum, weight)})

    results = two_replicas(weigh, [6.0, 1.0], [2.0, 3.0])
    assert results == [{"loss": (6.0, 5.0)}, {"loss": (1.0, 5.0)}]


@pytest.mark.parametrize("weights", [(2.0, 3.0), (5.0, 0.0), (0.0, 0.0)])
def test_losses_of_two_replicas_add_up_to_the_global_ratio(two_replicas, weights):
    sums = [3 * weight for weight in weights]

    def lose(loss_sum, weight):
        assert loss_terms.replica_count() == 2
        return loss_terms.replica_loss({"loss": (loss_sum, weight)}, {"loss": 2.0}, [tf.ones([])])

    # The mean is 3 wherever there is weight; the added loss of 1 counts once.
    expected = 2 * 3 + 1 if sum(weights) else 1
    assert sum(two_replicas(lose, sums, weights)) == pytest.approx(expected)
