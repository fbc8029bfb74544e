"""One phase's train step, and the loop of steps that runs on the device."""

import orbit
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError, NotFiniteError
from official_nlp.training import distribution
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.phase import Place
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.sums import Sums
from official_nlp.training.task import Task
from official_nlp.training.tracing import plain_errors

# What a key of the run's seed is for; evaluation has its own in evaluator.py.
_TRAINING = 0


class PhaseTrainer(orbit.StandardTrainer):
    """Runs the steps of one phase.

    A step: losses; their sums and weights added over replicas; the total and its gradient; a check
    that everything is finite; the update, or none. From the first step on that is not finite, no
    step changes a variable, slot or counter, and the loop ends with `NotFiniteError`.

    `train` returns `{"train": figures}` where a metric window ends and `{}` elsewhere.

    Args:
      task: what to train.
      model: of the task.
      optimizer: built for all variables of the run.
      schedule: of the optimizer's learning rate.
      global_step: counts updates over all phases.
      place: the phase.
      config: of the run.
      strategy: the strategy in whose scope the variables were made.
    """

    def __init__(
        self,
        task: Task,
        model,
        optimizer: AdamW,
        schedule: WarmupDecay,
        global_step: tf.Variable,
        place: Place,
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
    ):
        self._task = task
        self._model = model
        self._optimizer = optimizer
        self._schedule = schedule
        self._global_step = global_step
        self._place = place
        self._config = config
        self._strategy = strategy
        self._variables = list(task.trainable_variables(model, place.phase))
        self._key = randomness.Key(config.seed).fold(_TRAINING, place.index)
        self._sums = Sums()
        self._terms: list[str] = []
        with strategy.scope():
            # Index of the first term that was not finite, else -1.
            self._failure = tf.Variable(
                -1,
                dtype=tf.int32,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        self._gradients = self._compute_gradients
        if config.jit_compile:
            self._gradients = tf.function(self._compute_gradients, jit_compile=True)
        super().__init__(train_dataset=None)

    def train(self, num_steps: tf.Tensor) -> dict:
        """Runs a number of steps; returns figures where a window ends."""
        with plain_errors():
            return super().train(num_steps)

    def train_loop_begin(self):
        """Opens the data at the place of the next step, once."""
        if self.train_dataset is None:
            done = int(self._global_step.numpy()) - self._place.start
            self.train_dataset = distribution.distribute(
                self._strategy,
                lambda host, hosts: self._task.train_dataset(
                    self._place.index, self._place.phase, done, host, hosts
                ),
            )

    def train_step(self, iterator):
        """Runs one step on all replicas; called while tracing, in cross-replica context."""
        packed, failure = self._strategy.run(self._replica_step, args=(next(iterator),))
        self._sums.add(self._strategy.reduce("SUM", packed, axis=None))
        failure = self._strategy.experimental_local_results(failure)[0]
        self._failure.assign(failure)
        self._global_step.assign_add(tf.cast(failure < 0, tf.int64))

    def train_loop_end(self) -> dict:
        """Raises `NotFiniteError`, or returns the figures of a window that is full."""
        failure = int(self._failure.numpy())
        step = int(self._global_step.numpy())
        if failure >= 0:
            raise NotFiniteError(self._terms[failure], step + 1)
        if step % self._config.window and step != self._place.end:
            return {}
        return {"train": self._figures(step)}

    def _figures(self, step: int) -> dict:
        sums = self._sums.take()
        own = {name: sums.pop(name) for name in ("_loss", "_gradient_norm", "_steps")}
        return {
            "learning_rate": float(self._schedule(step - 1)),
            "grad_norm": float(own["_gradient_norm"] / own["_steps"]),
            "loss": float(own["_loss"] / own["_steps"]),
            **self._task.report(sums),
        }

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch):
        """Returns the packed sums and the index of the first term not finite, or -1."""
        gradients, totals, loss, sums = self._gradients(batch)
        gradients = self._sum_over_replicas(gradients)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.concat(
            [tf.reduce_all(tf.math.is_finite(totals), axis=0), [tf.math.is_finite(norm)]], 0
        )
        new = tf.where(
            tf.reduce_all(finite), -1, tf.argmin(tf.cast(finite, tf.int32), output_type=tf.int32)
        )
        before = tf.convert_to_tensor(self._failure)
        failure = tf.where(before < 0, new, before)
        self._optimizer.apply_gradients(
            zip(gradients, self._variables),
            skip_gradients_aggregation=True,
            gate=failure < 0,
            gradient_norm=norm,
        )
        sums = {**sums, "_loss": loss, "_gradient_norm": norm, "_steps": tf.ones([])}
        return self._sums.pack(sums), failure

    def _compute_gradients(self, batch):
        """Returns gradients, `[2, terms]` sums and weights of all replicas, total loss, sums."""
        with tf.GradientTape() as tape:
            with randomness.stream(self._key, batch["stream_position"][0]):
                terms, sums = self._task.losses(self._model, batch, self._place.phase)
            own = tf.stack(
                [tf.stack([tf.cast(x, tf.float32) for x in t]) for t in terms.values()], 1
            )
            totals = self._sum_over_replicas([tf.stop_gradient(own)])[0]  # [2, terms]
            coefficients = [self._place.phase.coefficient(name) for name in terms]
            loss = tf.reduce_sum(coefficients * self._own_share(own, totals))
        self._terms = [*(f"{name} loss" for name in terms), "gradient norm"]
        gradients = tape.gradient(loss, self._variables)
        self._require_reached(gradients)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        loss = tf.reduce_sum(coefficients * tf.math.divide_no_nan(totals[0], totals[1]))
        return gradients, totals, loss, sums

    def _own_share(self, own, totals):
        """Returns what this replica adds to each term, so that gradients add up over replicas."""
        if self._config.numerics.loss_per_replica:
            replicas = self._strategy.num_replicas_in_sync
            return tf.math.divide_no_nan(own[0], tf.stop_gradient(own[1])) / replicas
        return tf.math.divide_no_nan(own[0], totals[1])

    def _sum_over_replicas(self, tensors):
        if self._strategy.num_replicas_in_sync == 1:
            return tensors
        return tf.distribute.get_replica_context().all_reduce("SUM", tensors)

    def _require_reached(self, gradients):
        if not gradients:
            raise InputError(f"task {self._task.name} trains no variable in this phase")
        missing = [v.name for v, gradient in zip(self._variables, gradients) if gradient is None]
        if missing:
            raise InputError(
                f"task {self._task.name} lists variables to train that its losses do not reach: "
                f"{', '.join(missing)}; leave them out of trainable_variables"
            )
