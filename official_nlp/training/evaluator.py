"""Evaluation on held-out data while training, and after."""

import orbit
import tensorflow as tf

from official_nlp import randomness
from official_nlp.training import distribution
from official_nlp.training.sums import Sums
from official_nlp.training.task import Task
from official_nlp.training.tracing import plain_errors

# What a key of the run's seed is for; training has its own in trainer.py.
_EVALUATION = 1


class HeldOutEvaluator(orbit.StandardEvaluator):
    """Runs the model over the held-out data; `evaluate(-1)` returns `{"held_out": metrics}`.

    What is drawn is a function of the seed and of an example's number: it is the same in every
    evaluation of a run.

    Args:
      task: what is trained.
      model: of the task.
      dataset: of the task, one pass, of known length.
      strategy: the strategy in whose scope the variables were made.
      seed: of the run.
    """

    def __init__(
        self,
        task: Task,
        model,
        dataset: tf.data.Dataset,
        strategy: tf.distribute.Strategy,
        seed: int,
    ):
        self._task = task
        self._model = model
        self._strategy = strategy
        self._key = randomness.Key(seed).fold(_EVALUATION)
        self._sums = Sums()
        self._batches = int(dataset.cardinality())
        super().__init__(
            distribution.distribute(
                strategy, lambda host, hosts: distribution.share(dataset.repeat(), host, hosts)
            )
        )

    def evaluate(self, num_steps: tf.Tensor) -> dict:
        """Runs a number of batches, -1 for all; returns the metrics."""
        with plain_errors():
            return super().evaluate(tf.where(num_steps < 0, self._batches, num_steps))

    def eval_begin(self):
        self._sums.reset()

    def eval_step(self, iterator):
        """Adds one batch's sums; called while tracing, in cross-replica context."""
        packed = self._strategy.run(self._replica_step, args=(next(iterator),))
        self._sums.add(self._strategy.reduce("SUM", packed, axis=None))

    def eval_end(self) -> dict:
        return {"held_out": self._task.report(self._sums.take())}

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch):
        with randomness.stream(self._key, batch["stream_position"][0]):
            return self._sums.pack(self._task.evaluate(self._model, batch))
