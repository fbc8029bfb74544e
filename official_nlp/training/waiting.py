"""Measure how long steps wait for their batches."""

from collections.abc import Iterator

import tensorflow as tf

from official_nlp.training.task import Batch


class InputWait:
    """Fetches batches inside the loop on the device, and adds up the time of each fetch.

    Host operations read the clock right before and after the fetch. A full queue returns a batch at
    once, so the sum is the time that the devices were idle for lack of data.
    """

    def __init__(self):
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def next(self, iterator: Iterator) -> Batch:
        """Return the next batch of the iterator; called while tracing."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        # With several replicas the values of the batch are PerReplica, which are composites.
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            after = tf.timestamp()
        self._seconds.assign_add(after - before)
        return batch

    def take(self) -> float:
        """Return the seconds since the last call."""
        seconds = float(self._seconds.numpy())
        self._seconds.assign(0.0)
        return seconds
