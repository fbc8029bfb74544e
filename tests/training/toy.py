"""Tasks that train in a second: a regression with one loss term, and a pair of heads with two."""

import dataclasses
import pathlib
import shutil

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.training import Task, TaskConfig, auc, distribution, logit_histogram
from official_nlp.training.task import VALID, Data

WIDTH = 8
# Number of examples of each evaluation set; 20 is no multiple of the batch size, 8.
SETS = {"held_out": 20}


class ToyModel(tf_keras.Model):
    """A trunk with dropout and one linear head per name, for inputs `[batch, WIDTH]`."""

    def __init__(self, heads=("loss",)):
        super().__init__()
        self.trunk = tf_keras.layers.Dense(16, activation="tanh", name="trunk")
        self.normalization = tf_keras.layers.LayerNormalization(name="layer_norm")
        self.heads = {name: tf_keras.layers.Dense(1, name=name) for name in heads}
        self.trunk.build([None, WIDTH])
        self.normalization.build([None, 16])
        for head in self.heads.values():
            head.build([None, 16])

    def call(self, rows, training=False, heads=("loss",)):
        hidden = self.normalization(self.trunk(rows))  # [batch, 16]
        if training:
            bits = randomness.draw([16], rows.shape[0])
            hidden *= tf.cast(randomness.to_uniform(bits) >= 0.1, tf.float32) / 0.9
        return {name: self.heads[name](hidden)[:, 0] for name in heads}


@dataclasses.dataclass(frozen=True)
class ToyConfig(TaskConfig):
    """Configuration of the toy task, whose data is computed, not read."""

    width: int = WIDTH

    def open_data(self, path, corrupt_records="stop"):
        return ToyData(str(path))

    def make(self, data, training):
        return ToyTask()


@dataclasses.dataclass
class ToyData(Data):
    """Data whose content is its name."""

    name: str
    examples: int = 1000
    corrupt_rows: int = 0

    def fingerprint(self):
        return f"hash of {self.name}"


class ToyTask(Task):
    """Learns a square.

    Args:
      nan_at: stream position of an example whose loss is not a number, or None.
      nan_in: name of the loss term to which this applies.
      sets: number of examples of each evaluation set.
      unreached: list trainable variables that no loss reaches.

    Attributes:
      terms: names of the loss terms.
    """

    terms = ("loss",)

    def __init__(self, nan_at=None, nan_in=None, sets=SETS, unreached=False):
        self.config = ToyConfig()
        self.nan_at = nan_at
        self.nan_in = nan_in or self.terms[-1]
        self.sets = sets
        self.unreached = unreached

    def build(self):
        return ToyModel(self.terms)

    def train_dataset(self, stage, phase, first_step, host, hosts):
        key = randomness.Key(7).fold(stage)
        steps = tf.data.Dataset.range(first_step, 1 << 60)
        batches = steps.map(lambda step: _batch(key, step, phase.batch_size))
        return distribution.share_of_host(batches, host, hosts)

    def evaluation_sets(self):
        return {
            name: _examples(number, count) for number, (name, count) in enumerate(self.sets.items())
        }

    def weights(self, batch, phase):
        weight = tf.reduce_sum(batch["weights"])
        return {name: weight for name in self.terms if phase.trains(name)}

    def losses(self, model, batch, phase):
        heads = [name for name in self.terms if phase.trains(name)]
        outputs = model(batch["rows"], training=True, heads=heads)
        terms = {name: self._term(name, outputs[name], batch) for name in heads}
        return terms, self._sums(terms, outputs, batch)

    def trainable_variables(self, model, phase):
        variables = [*model.trunk.trainable_variables, *model.normalization.trainable_variables]
        for name, head in model.heads.items():
            if phase.trains(name) or self.unreached:
                variables += head.trainable_variables
        return variables

    def evaluate(self, model, batch):
        outputs = model(batch["rows"], heads=self.terms)
        terms = {name: self._term(name, outputs[name], batch) for name in outputs}
        noise = tf.reduce_sum(randomness.to_uniform(randomness.draw([1], batch["rows"].shape[0])))
        rows = {
            "position": batch["stream_position"],
            "output": outputs[self.terms[0]],
            VALID: batch["valid"],
        }
        return {**self._sums(terms, outputs, batch), "noise": noise}, rows

    def report(self, sums, rows):
        metrics = {f"{n}_error": float(sums[n][0] / sums[n][1]) for n in self.terms if n in sums}
        if "histogram" in sums:
            metrics["second_auc"] = auc(sums["histogram"])
        if "noise" in sums:
            metrics["noise"] = float(sums["noise"])
            metrics["examples"] = float(len(rows["position"]))
        return metrics

    def _term(self, name, output, batch):
        losses = (output - batch["targets"]) ** 2  # [batch]
        if name == "second":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(batch["labels"], output)
        if self.nan_at is not None and name == self.nan_in:
            bad = batch["stream_position"] == self.nan_at
            losses = tf.where(bad, float("nan"), losses)
        return tf.reduce_sum(losses * batch["weights"])

    def _sums(self, terms, outputs, batch):
        weight = tf.reduce_sum(batch["weights"])
        sums = {name: tf.stack([term, weight]) for name, term in terms.items()}
        if "second" in outputs:
            logits, labels = outputs["second"], batch["labels"]
            sums["histogram"] = logit_histogram(logits, labels, batch["weights"])
        return sums


class PairTask(ToyTask):
    """Learns a square and a sign: two loss terms, of which a phase may leave one out."""

    terms = ("first", "second")
    loss_weights = {"first": 1.0, "second": 20.0}


class TwoLengths(ToyTask):
    """Learns the square of a mean over 2 or 3 vectors: batches have these lengths in turn."""

    def train_dataset(self, stage, phase, first_step, host, hosts):
        def lengthened(step, batch):
            return _lengthened(batch, first_step + step, phase.batch_size)

        batches = super().train_dataset(stage, phase, first_step, 0, 1)
        return distribution.share_of_host(batches.enumerate().map(lengthened), host, hosts)

    def evaluation_sets(self):
        sets = super().evaluation_sets().items()
        return {
            name: batches.enumerate().map(lambda step, batch: _lengthened(batch, step, 8))
            for name, batches in sets
        }

    def losses(self, model, batch, phase):
        return super().losses(model, _averaged(batch), phase)

    def evaluate(self, model, batch):
        return super().evaluate(model, _averaged(batch))


def _lengthened(batch, step, size):
    """Add an axis of length 2 or 3 to the rows: `[size, None, WIDTH]`."""
    shifts = tf.range(2 + step % 2, dtype=tf.int64)[:, None]  # [length, 1]
    rows = batch["rows"][:, None] + tf.cast(shifts, tf.float32) / 10
    return {**batch, "rows": tf.ensure_shape(rows, [size, None, WIDTH])}


def _averaged(batch):
    assert batch["rows"].shape[1] is None
    return {**batch, "rows": tf.reduce_mean(batch["rows"], 1)}


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


def _examples(number, count):
    """Return an evaluation set in batches of 8, the last of which is padded without weight."""
    key = randomness.Key(7).fold(1000 + number)

    def batch(step):
        made = _batch(key, step, 8)
        valid = made["stream_position"] < count
        weights = made["weights"] * tf.cast(valid, tf.float32)
        return {**made, "weights": weights, "valid": valid}

    return tf.data.Dataset.range(-(-count // 8)).map(batch)


def state(checkpoint_folder) -> dict[str, np.ndarray]:
    """Return every value of the newest checkpoint by name."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(checkpoint_folder)))
    names = reader.get_variable_to_shape_map()
    return {
        n: np.asarray(reader.get_tensor(n)) for n in names if n != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def assert_same_state(one, other) -> None:
    """Assert that two results of `state` are equal in every bit."""
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def copy_without_newest_checkpoint(run, to) -> int:
    """Copy a run as a process that was killed before its last checkpoint would have left it.

    Args:
      run: run folder.
      to: the copy.

    Returns:
      The step of the checkpoint that is left out.
    """
    shutil.copytree(run, to)
    checkpoints = pathlib.Path(to, "checkpoints")
    last = max(int(file.stem.partition("-")[2]) for file in checkpoints.glob("ckpt-*.index"))
    for file in checkpoints.glob(f"ckpt-{last}.*"):
        file.unlink()
    (checkpoints / "checkpoint").unlink()
    return last
