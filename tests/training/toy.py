"""A task small enough to train in seconds: two heads on a trunk with dropout."""

import dataclasses

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.training import auc, logit_histogram

WIDTH = 8


class ToyModel(tf_keras.Model):
    """Trunk, and the heads `mlm` and `rtd`, for rows `[batch, WIDTH]`."""

    def __init__(self):
        super().__init__()
        self.trunk = tf_keras.layers.Dense(16, activation="tanh", name="trunk")
        self.normalization = tf_keras.layers.LayerNormalization(name="layer_norm")
        self.heads = {name: tf_keras.layers.Dense(1, name=name) for name in ("mlm", "rtd")}
        self.trunk.build([None, WIDTH])
        self.normalization.build([None, 16])
        for head in self.heads.values():
            head.build([None, 16])

    def call(self, rows, training=False, heads=("mlm", "rtd")):
        hidden = self.normalization(self.trunk(rows))  # [batch, 16]
        if training:
            bits = randomness.draw([16], rows.shape[0])
            hidden *= tf.cast(randomness.to_uniform(bits) >= 0.1, tf.float32) / 0.9
        return {name: self.heads[name](hidden)[:, 0] for name in heads}


@dataclasses.dataclass
class ToyTask:
    """Learns a sign and a square.

    Attributes:
      nan_at: stream position whose row makes a term not a number, or None.
      nan_in: which term.
      evaluation_batches: 0 for a task without held-out data.
    """

    nan_at: int | None = None
    nan_in: str = "rtd"
    evaluation_batches: int = 3
    unreached: bool = False
    name: str = "toy"

    def build(self):
        return ToyModel()

    def checkpoint_items(self, model):
        return {"generator": model.heads["mlm"], "discriminator": model}

    def train_dataset(self, phase_index, phase, first_step, host, hosts):
        key = randomness.Key(7).fold(phase_index)
        steps = tf.data.Dataset.range(first_step, 1 << 60)
        return steps.map(lambda step: _batch(key, step, phase.batch_size))

    def evaluation_dataset(self):
        if not self.evaluation_batches:
            return None
        key = randomness.Key(7).fold(1000)
        steps = tf.data.Dataset.range(self.evaluation_batches)
        return steps.map(lambda step: _batch(key, step, 8))

    def weights(self, batch, phase):
        weight = tf.reduce_sum(batch["weights"])
        return {name: weight for name in ("mlm", "rtd") if phase.coefficient(name)}

    def losses(self, model, batch, phase):
        heads = [name for name in ("mlm", "rtd") if phase.coefficient(name)]
        outputs = model(batch["rows"], training=True, heads=heads)
        terms = {name: self._term(name, outputs[name], batch) for name in heads}
        return terms, _sums(terms, outputs, batch)

    def trainable_variables(self, model, phase):
        variables = [*model.trunk.trainable_variables, *model.normalization.trainable_variables]
        for name, head in model.heads.items():
            if phase.coefficient(name) or self.unreached:
                variables += head.trainable_variables
        return variables

    def evaluate(self, model, batch):
        outputs = model(batch["rows"])
        terms = {name: self._term(name, outputs[name], batch) for name in outputs}
        noise = tf.reduce_sum(randomness.to_uniform(randomness.draw([1], batch["rows"].shape[0])))
        return {**_sums(terms, outputs, batch), "noise": noise}

    def report(self, sums):
        metrics = {}
        for name in ("mlm", "rtd"):
            if name in sums:
                metrics[f"{name}_loss"] = float(sums[name][0] / sums[name][1])
        if "histogram" in sums:
            metrics["rtd_auc"] = auc(sums["histogram"])
        if "noise" in sums:
            metrics["noise"] = float(sums["noise"])
        return metrics

    def _term(self, name, output, batch):
        losses = (output - batch["targets"]) ** 2  # [batch]
        if name == "rtd":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(batch["labels"], output)
        if self.nan_at is not None and name == self.nan_in:
            bad = batch["stream_position"] == self.nan_at
            losses = tf.where(bad, float("nan"), losses)
        return tf.reduce_sum(losses * batch["weights"]), tf.reduce_sum(batch["weights"])


def _sums(terms, outputs, batch):
    sums = {name: tf.stack(term) for name, term in terms.items()}
    if "rtd" in outputs:
        sums["histogram"] = logit_histogram(outputs["rtd"], batch["labels"], batch["weights"])
    return sums


def _batch(key, step, size):
    first = step * size
    rows = randomness.uniform(key, [size, WIDTH], first) * 2 - 1
    return {
        "rows": rows,
        "targets": rows[:, 0] ** 2,
        "labels": tf.cast(rows[:, 1] + rows[:, 2] > 0, tf.float32),
        # Unequal weights, so that a mean of means would be another number.
        "weights": tf.cast(1 + (first + tf.range(size, dtype=tf.int64)) % 3, tf.float32),
        "stream_position": first + tf.range(size, dtype=tf.int64),
    }


def state(checkpoint_folder) -> dict[str, np.ndarray]:
    """Returns every value of the newest checkpoint by name."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(checkpoint_folder)))
    names = reader.get_variable_to_shape_map()
    return {
        n: np.asarray(reader.get_tensor(n)) for n in names if n != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def assert_same_state(one, other) -> None:
    """Asserts that two results of `state` are equal in every bit."""
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name
