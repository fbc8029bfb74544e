"""Time that the steps of a loop wait for their batches."""

import time

import pytest
import tensorflow as tf

from official_nlp.training import distribution
from official_nlp.training.waiting import InputWait

STEPS = 20
PAUSE = 0.02


def _slow(context):
    """Return a dataset whose elements take `PAUSE` seconds each; for any input context."""

    def elements():
        for i in range(1000):
            time.sleep(PAUSE)
            yield i

    del context
    return tf.data.Dataset.from_generator(elements, output_signature=tf.TensorSpec([], tf.int32))


def _run(dataset, work, strategy=None):
    """Return the seconds that a loop on the device waited, its seconds, and the `InputWait`."""
    waiting = InputWait()
    total = tf.Variable(0.0)

    @tf.function
    def loop(iterator, steps):
        for _ in tf.range(steps):
            batch = waiting.next(iterator)
            number = tf.cast(batch, tf.float32) if strategy is None else 1.0
            square = tf.fill([work, work], number)
            total.assign_add(tf.reduce_sum(square @ square))

    iterator = iter(dataset)
    loop(iterator, tf.constant(2))
    waiting.take()
    start = time.perf_counter()
    loop(iterator, tf.constant(STEPS))
    return waiting.take(), time.perf_counter() - start, waiting


def test_steps_faster_than_their_data_wait():
    waited, seconds, waiting = _run(_slow(None).prefetch(2), work=2)
    assert waited == pytest.approx(STEPS * PAUSE, rel=0.3)
    assert 0.8 * seconds < waited <= seconds
    assert waiting.take() == 0


def test_steps_slower_than_their_data_do_not_wait():
    data = tf.data.Dataset.range(1000).map(lambda i: tf.cast(i, tf.int32)).prefetch(2)
    waited, seconds, _ = _run(data, work=1000)
    assert waited < 0.1 * seconds


def test_data_prepared_during_a_step_is_not_waited_for():
    """A step takes longer than the pause of the data, so the queue is never empty."""
    waited, seconds, _ = _run(_slow(None).prefetch(4), work=1400)
    if seconds < 1.5 * STEPS * PAUSE:
        pytest.skip("this machine is too fast for the sizes of the test")
    assert waited < 0.25 * seconds


def test_two_replicas_wait_together(two_devices):
    del two_devices
    strategy = distribution.create_strategy("mirrored")
    data = strategy.distribute_datasets_from_function(_slow)
    waited, seconds, _ = _run(data, work=2, strategy=strategy)
    assert 0.5 * seconds < waited <= seconds
