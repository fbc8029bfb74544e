"""One phase's train step, and the loop of steps that runs on the device."""

import orbit
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import NotFiniteError
from official_nlp.training import distribution, precision
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.gradients import Gradients
from official_nlp.training.phase import Place
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.sums import Sums
from official_nlp.training.task import Task
from official_nlp.training.tracing import plain_errors
from official_nlp.training.waiting import InputWait

# What a key of the run's seed is for; evaluation has its own in evaluator.py.
_TRAINING = 0
# Of the variable that says why training must stop, from 0 on a place among the terms: nothing.
_NONE = -1


class PhaseTrainer(orbit.StandardTrainer):
    """Runs the steps of one phase.

    A step: the weights of the loss terms, added over replicas; gradients, micro-batch by
    micro-batch, added up and over replicas; a check that everything is finite; the update, or none.
    From the first step on that is not finite, no step changes a variable, slot or counter, and the
    loop ends with `NotFiniteError`. In float16 a gradient that overflows is no such failure: the
    step is skipped and counted, and the loss scale halved; twenty in a row are one.

    `train` returns `{"train": metrics}` where a metric window ends and `{}` elsewhere.

    Args:
      task: what to train.
      model: of the task.
      optimizer: built for all variables of the run.
      schedule: of the optimizer's learning rate.
      global_step: counts batches over all phases.
      place: the phase.
      config: of the run.
      strategy: the strategy in whose scope the variables were made.
      loss_scale: of a float16 run, made in the strategy's scope; else None.
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
        loss_scale: precision.LossScale | None = None,
    ):
        self._task = task
        self._optimizer = optimizer
        self._model = model
        self._schedule = schedule
        self._global_step = global_step
        self._place = place
        self._config = config
        self._strategy = strategy
        self._loss_scale = loss_scale
        self._variables = list(task.trainable_variables(model, place.phase))
        self._sums = Sums()
        self._terms: list[str] = []
        self.waiting = InputWait()
        key = randomness.Key(config.seed).fold(_TRAINING, place.index)
        self._gradients = Gradients(task, model, self._variables, place.phase, key, config)
        with strategy.scope():
            self._failure = tf.Variable(
                _NONE,
                dtype=tf.int32,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        super().__init__(train_dataset=None)

    def train(self, num_steps: tf.Tensor) -> dict:
        """Runs a number of steps; returns metrics where a window ends."""
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

    def half_window(self) -> list[float]:
        """Returns the sums of a window that has not ended, for `continue_window`."""
        return self._sums.values()

    def continue_window(self, sums: list[float]) -> None:
        """Goes on with a window that another process began; before the first step."""
        self._sums.start_from(sums)

    def train_step(self, iterator):
        """Runs one step on all replicas; called while tracing, in cross-replica context."""
        results = self._strategy.run(self._replica_step, args=(self.waiting.next(iterator),))
        packed, failure, overflow = results
        self._sums.add(self._strategy.reduce("SUM", packed, axis=None))
        failure, overflow = (
            self._strategy.experimental_local_results(each)[0] for each in (failure, overflow)
        )
        if self._loss_scale is not None:
            failure = self._skip(overflow, failure)
        self._failure.assign(failure)
        self._global_step.assign_add(tf.cast(failure < 0, tf.int64))

    def _skip(self, overflow, failure):
        """Takes note of a step in float16 that overflowed, or did not; returns what failed."""
        self._loss_scale.update(overflow)
        # The rate is a function of the step, whether or not it updated.
        self._optimizer.iterations.assign_add(tf.cast(overflow, tf.int64))
        hopeless = self._loss_scale.in_a_row >= precision.OVERFLOWS_IN_A_ROW
        return tf.where(hopeless & (failure < 0), len(self._terms) - 1, failure)

    def train_loop_end(self) -> dict:
        """Raises `NotFiniteError`, or returns the metrics of a window that is full."""
        failure = int(self._failure.numpy())
        step = int(self._global_step.numpy())
        if failure >= 0:
            raise NotFiniteError(self._terms[failure], step + 1)
        if step % self._config.window and step != self._place.end:
            return {}
        return {"train": self._metrics(step)}

    def _metrics(self, step: int) -> dict:
        sums = self._sums.take()
        own = {name: sums.pop(name) for name in ("_loss", "_gradient_norm", "_steps", "_skipped")}
        updates = max(float(own["_steps"] - own["_skipped"]), 1.0)
        metrics = {
            "learning_rate": float(self._schedule(step - 1)),
            "grad_norm": float(own["_gradient_norm"] / updates),
            "loss": float(own["_loss"] / own["_steps"]),
            **self._task.report(sums),
        }
        if self._loss_scale is not None:
            metrics["skipped_steps"] = float(own["_skipped"])
            metrics["loss_scale"] = float(self._loss_scale.value.numpy())
        return metrics

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch):
        """Returns packed sums, the place of what was not finite or -1, and if it overflowed."""
        weights = self._task.weights(batch, self._place.phase)
        own = tf.stack([tf.cast(weight, tf.float32) for weight in weights.values()])  # [terms]
        (totals,) = self._sum_over_replicas([own])
        scale = None if self._loss_scale is None else tf.convert_to_tensor(self._loss_scale.value)
        gradients, terms, sums = self._gradients(batch, self._divisors(own, totals), scale)
        self._terms = [f"{name} loss" for name in weights]
        self._terms += ["gradient norm", "gradient, scaled for float16, twenty times in a row,"]

        (terms, *gradients) = self._sum_over_replicas([terms, *gradients])
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        failure, overflow = self._verdict(terms, norm)
        self._optimizer.apply_gradients(
            zip(gradients, self._variables),
            skip_gradients_aggregation=True,
            gate=(failure < 0) & ~overflow,
            gradient_norm=norm,
        )
        own_sums = {
            "_loss": self._total(list(weights), terms, totals),
            "_gradient_norm": tf.where(overflow, 0.0, norm),
            "_steps": tf.ones([]),
            "_skipped": tf.cast(overflow, tf.float32),
        }
        if self._strategy.num_replicas_in_sync > 1:
            # Every replica knows them all, and all replicas' are added up.
            replicas = self._strategy.num_replicas_in_sync
            own_sums = {name: value / replicas for name, value in own_sums.items()}
        return self._sums.pack({**sums, **own_sums}), failure, overflow

    def _verdict(self, terms, norm):
        """Returns the place of the first that is not finite, or -1; and if float16 overflowed."""
        finite_terms, finite_norm = tf.math.is_finite(terms), tf.math.is_finite(norm)
        overflow = tf.constant(False)
        if self._loss_scale is not None:
            overflow = tf.reduce_all(finite_terms) & ~finite_norm
        finite = tf.concat([finite_terms, [finite_norm | overflow]], 0)
        first = tf.argmin(tf.cast(finite, tf.int32), output_type=tf.int32)
        new = tf.where(tf.reduce_all(finite), _NONE, first)
        before = tf.convert_to_tensor(self._failure)
        return tf.where(before < 0, new, before), overflow

    def _divisors(self, own, totals):
        """Returns `[terms]`: what each term's sum is divided by, so that gradients add up."""
        if self._config.reference_quirks.loss_per_replica:
            return own * self._strategy.num_replicas_in_sync
        return totals

    def _total(self, names, terms, totals):
        coefficients = [self._place.phase.coefficient(name) for name in names]
        return tf.reduce_sum(coefficients * tf.math.divide_no_nan(terms, totals))

    def _sum_over_replicas(self, tensors):
        if self._strategy.num_replicas_in_sync == 1:
            return tensors
        return tf.distribute.get_replica_context().all_reduce("SUM", tensors)
