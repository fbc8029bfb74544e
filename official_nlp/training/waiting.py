"""How long the steps of a loop wait for their batches."""

import tensorflow as tf


class InputWait:
    """Fetches batches inside the loop on the device, and adds up what each fetch took.

    The clock is read by operations of the host right before and after the fetch: from a queue that
    is full a batch is there at once, so what is added up is the time in which the devices had
    nothing to do for want of data.
    """

    def __init__(self):
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def next(self, iterator):
        """Returns the iterator's next batch; called while tracing."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            after = tf.timestamp()
        self._seconds.assign_add(after - before)
        return batch

    def take(self) -> float:
        """Returns the seconds since it was last asked."""
        seconds = float(self._seconds.numpy())
        self._seconds.assign(0.0)
        return seconds
