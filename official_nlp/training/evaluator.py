"""Evaluation on the sets of a task, during training and afterwards."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orbit
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.training import distribution
from official_nlp.training.sums import Sums
from official_nlp.training.task import ORDER, VALID, Rows, Task

# Purpose of a key that is derived from the run's seed; training has its own in trainer.py.
_EVALUATION = 1


class Evaluator(orbit.AbstractEvaluator):
    """Evaluates every set of a task; `evaluate(-1)` returns `{set: metrics}`.

    Args:
      task: what is trained.
      model: model of the task.
      strategy: strategy in whose scope the variables were created.
      seed: seed of the run.
    """

    def __init__(self, task: Task, model: Any, strategy: tf.distribute.Strategy, seed: int):
        self.sets = {
            name: SetEvaluator(task, model, dataset, strategy, seed)
            for name, dataset in task.evaluation_sets().items()
        }

    def evaluate(self, num_steps: tf.Tensor) -> dict[str, dict[str, float]]:
        """Evaluate a number of batches of each set, -1 for all; return metrics by set."""
        return {name: each.evaluate(num_steps)["metrics"] for name, each in self.sets.items()}


class SetEvaluator(orbit.StandardEvaluator):
    """Runs the model over one set; `evaluate` returns `{"metrics": ..., "rows": ...}`.

    Random draws are a function of the seed and of the position of an example, so they are equal in
    every evaluation of a run.

    Args:
      task: what is trained.
      model: model of the task.
      dataset: one pass over the set, of known cardinality.
      strategy: strategy in whose scope the variables were created.
      seed: seed of the run.
      predicting: compute `Task.predict` only: no sums, no metrics.
    """

    def __init__(
        self,
        task: Task,
        model: Any,
        dataset: tf.data.Dataset,
        strategy: tf.distribute.Strategy,
        seed: int,
        predicting: bool = False,
    ):
        self._task = task
        self._model = model
        self._strategy = strategy
        self._predicting = predicting
        self._key = randomness.Key(seed).fold(_EVALUATION)
        self._sums = Sums()
        self._batches = int(dataset.cardinality())
        super().__init__(
            distribution.distribute(
                strategy,
                # Endless, as `distribute` requires. `evaluate` limits the number of batches, and
                # the base class creates a new iterator for each evaluation.
                lambda host, hosts: distribution.share_of_host(dataset.repeat(), host, hosts),
            )
        )

    def evaluate(self, num_steps: tf.Tensor) -> dict[str, dict]:
        """Evaluate a number of batches, -1 for all; return metrics, and rows as arrays."""
        return super().evaluate(tf.where(num_steps < 0, self._batches, num_steps))

    def eval_begin(self) -> list:
        """Start from zero; the state is the list of rows of each batch."""
        self._sums.reset()
        return []

    def eval_step(self, iterator: Iterator) -> Rows:
        """Add the sums of one batch and return its rows; traced, in cross-replica context."""
        packed, rows = self._strategy.run(self._replica_step, args=(next(iterator),))
        self._sums.add(self._strategy.reduce("SUM", packed, axis=None))
        return {name: self._gather(values) for name, values in rows.items()}

    def eval_reduce(self, state: list, step_outputs: dict) -> list:
        """Collect the rows of a batch on the host."""
        return [*state, {name: values.numpy() for name, values in step_outputs.items()}]

    def eval_end(self, state: list | None = None) -> dict[str, dict]:
        """Compute the metrics of all batches."""
        batches = state or []
        names = batches[0] if batches else {}
        rows = {name: _concatenated(name, [batch[name] for batch in batches]) for name in names}
        if VALID in rows:
            valid = rows.pop(VALID).astype(bool)
            rows = {name: values[valid] for name, values in rows.items()}
        if ORDER in rows:
            order = np.argsort(rows[ORDER], kind="stable")
            rows = {name: values[order] for name, values in rows.items()}
        sums = self._sums.take()
        metrics = {} if self._predicting else self._task.report(sums, rows)
        return {"metrics": metrics, "rows": rows}

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch):
        with randomness.stream(self._key, batch["stream_position"][0]):
            sums: dict[str, tf.Tensor] = {}
            if self._predicting:
                rows = self._task.predict(self._model, batch)
            else:
                sums, rows = self._task.evaluate(self._model, batch)
        # Collective operations between hosts know no bool.
        rows = {n: tf.cast(x, tf.int32) if x.dtype == tf.bool else x for n, x in rows.items()}
        return self._sums.pack(sums), rows

    def _gather(self, values):
        """Return the rows of all replicas and hosts in the order of the batch."""
        if self._strategy.num_replicas_in_sync == 1:
            return self._strategy.experimental_local_results(values)[0]
        return self._strategy.gather(values, axis=0)


def _concatenated(name: str, parts: list[np.ndarray]) -> np.ndarray:
    """Return the rows of all batches in one array."""
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise InputError(
            f"rows of an evaluation must have equal shapes in all batches, {name} had examples of "
            f"shapes {' and '.join(map(str, shapes[:2]))}; pad them to one length in the task"
        )
    return np.concatenate(parts)
