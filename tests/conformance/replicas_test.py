"""Two replicas with one example each compute what one device computes for both, with dropout."""

import numpy as np
import tensorflow as tf

from official_nlp.training import distribution
from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


@objects.keep("replicas", run="representatives")
def test_two_replicas_equal_one(name, two_devices):
    line, one = TABLE[name], objects.made(name)
    factors = objects.cotangents(objects.call(one, line, training=True))
    expected, expected_gradients = objects.gradients(one, line, factors, training=True)

    strategy = distribution.create_strategy("mirrored")
    with strategy.scope():
        mirrored = objects.new(name)
    mirrored.set_weights(one.get_weights())

    def example(context):
        replica = context.replica_id_in_sync_group
        rows = slice(replica, replica + 1)
        first_row = tf.constant(objects.FIRST_ROW + replica, tf.int64)
        part = {key: factor[rows] for key, factor in factors.items()}
        return part, objects.rows_of(line, rows), first_row

    @tf.function
    def step(*arguments):
        return strategy.run(run, arguments)

    def run(part, arrays, first_row):
        return objects.gradients(mirrored, line, part, True, arrays, first_row)

    got, gradients = step(*strategy.experimental_distribute_values_from_function(example))
    got = {key: np.concatenate(_results(strategy, x)) for key, x in got.items()}
    outputs.assert_close(got, expected)
    gradients = [np.sum(_results(strategy, gradient), axis=0) for gradient in gradients]
    for variable, got, want in zip(mirrored.trainable_variables, gradients, expected_gradients):
        atol = 1e-4 + 1e-4 * np.abs(want).max()
        np.testing.assert_allclose(got, want, rtol=0, atol=atol, err_msg=variable.name)


def _results(strategy, value):
    return [x.numpy() for x in strategy.experimental_local_results(value)]
