"""An objective of its own: a linear model on the columns of a CSV file, `x1,x2,label`."""

import dataclasses
import hashlib
import pathlib

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.training import Data, Task, TaskConfig


class Table(Data):
    def __init__(self, path):
        self.rows = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32, ndmin=2)
        self.examples, self.path = len(self.rows), str(pathlib.Path(path).resolve())

    def fingerprint(self):
        return hashlib.sha256(self.rows.tobytes()).hexdigest()

    def describe(self):
        return {"path": self.path, "examples": self.examples}


@dataclasses.dataclass(frozen=True)
class LinearConfig(TaskConfig):
    bias: bool = True

    def open_data(self, path, corrupt_records="stop"):
        return Table(path)

    def make(self, data, training):
        return LinearTask(self, data and data[None].rows)


class LinearTask(Task):
    def __init__(self, config, rows):
        self.config, self._rows = config, rows

    def build(self):
        model = tf_keras.Sequential([tf_keras.layers.Dense(1, use_bias=self.config.bias)])
        model.build([None, 2])
        return model

    def _batches(self, numbers, size):
        def batch(number):
            positions = number * size + tf.range(size, dtype=tf.int64)
            rows = tf.gather(self._rows, positions % len(self._rows))
            valid = positions < len(self._rows)
            return {"stream_position": positions, "rows": rows, "valid": valid}

        return numbers.map(batch)

    def train_dataset(self, stage, phase, first_step, host, hosts):
        return self._batches(tf.data.Dataset.range(first_step, 1 << 60), phase.batch_size)

    def evaluation_sets(self):
        return {"table": self._batches(tf.data.Dataset.range(-(-len(self._rows) // 4)), 4)}

    def weights(self, batch, phase):
        return {"loss": tf.cast(tf.shape(batch["rows"])[0], tf.float32)}

    def losses(self, model, batch, phase):
        logits, labels = model(batch["rows"][:, :2])[:, 0], batch["rows"][:, 2]
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return {"loss": tf.reduce_sum(losses)}, {}

    def evaluate(self, model, batch):
        positive = model(batch["rows"][:, :2])[:, 0] > 0
        rows = {"label": batch["rows"][:, 2], "predicted": positive, "valid": batch["valid"]}
        return {}, rows

    def report(self, sums, rows):
        return {"accuracy": float(np.mean(rows["label"] == rows["predicted"]))} if rows else {}
