"""The train step of one phase, and the loop of steps that runs on the device."""

from collections.abc import Iterator
from typing import Any

import orbit
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError, NotFiniteError
from official_nlp.loss_terms import sum_over_replicas, weighted_total
from official_nlp.training import distribution, precision
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.phase import Stage
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.sums import Sums
from official_nlp.training.task import Task
from official_nlp.training.waiting import InputWait

# Purpose of a key that is derived from the run's seed; evaluation has its own in evaluator.py.
_TRAINING = 0
# Value of the failure variable while every number is finite. Otherwise it is the index of the
# first loss term that is not, or one of the two indices behind the terms.
_NO_FAILURE = -1


class PhaseTrainer(orbit.StandardTrainer):
    """Runs the steps of one phase.

    A step consists of

      1. the weights of the loss terms, summed over micro-batches and replicas,
      2. gradients, micro-batch by micro-batch, summed likewise,
      3. a check that every number is finite,
      4. the update, or none.

    From the first step on that is not finite, no step changes a variable, slot or counter, and the
    loop ends with `NotFiniteError`. In float16 an overflowing gradient is no such failure: the step
    is skipped and counted, and the loss scale is halved; twenty in a row are a failure.

    `train` returns `{"train": metrics}` where a metric window ends and `{}` elsewhere.

    Args:
      task: what to train.
      model: model of the task.
      optimizer: optimizer, built for all variables of the run.
      schedule: schedule of the learning rate.
      global_step: counter of updates over all phases.
      stage: the phase.
      config: settings of the run.
      strategy: strategy in whose scope the variables were created.
      loss_scale: loss scale of a float16 run, created in the strategy's scope; None otherwise.
    """

    def __init__(
        self,
        task: Task,
        model: Any,
        optimizer: AdamW,
        schedule: WarmupDecay,
        global_step: tf.Variable,
        stage: Stage,
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
        loss_scale: precision.LossScale | None = None,
    ):
        self._task = task
        self._optimizer = optimizer
        self._model = model
        self._schedule = schedule
        self._global_step = global_step
        self._stage = stage
        self._config = config
        self._strategy = strategy
        self._loss_scale = loss_scale
        self._variables = list(task.trainable_variables(model, stage.phase))
        self._sums = Sums()
        self._failure_names: list[str] = []
        self.waiting = InputWait()
        # By phase, because positions in the stream begin at 0 again with each phase.
        self._key = randomness.Key(config.seed).fold(_TRAINING, stage.index)
        self._micro_batch = self._micro_batch_gradients
        if config.jit_compile or config.accumulation > 1:
            # Traced once for all micro-batches. None instead of False leaves the choice to the
            # device: a TPU always compiles.
            self._micro_batch = tf.function(
                self._micro_batch_gradients, jit_compile=config.jit_compile or None
            )
        accumulates = config.accumulation > 1
        self._gradients = self._accumulated_gradients if accumulates else self._micro_batch
        with strategy.scope():
            self._failure = tf.Variable(
                _NO_FAILURE,
                dtype=tf.int32,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        super().__init__(train_dataset=None)

    train_dataset: Any  # A property of the base class.

    # === The loop, on the host ===

    def train_loop_begin(self) -> None:
        """Open the data at the position of the next step, once."""
        if self.train_dataset is None:
            done = int(self._global_step.numpy()) - self._stage.start
            self.train_dataset = distribution.distribute(
                self._strategy,
                lambda host, hosts: self._task.train_dataset(
                    self._stage.index, self._stage.phase, done, host, hosts
                ),
            )

    def train_loop_end(self) -> dict:
        """Raise `NotFiniteError`, or return the metrics of a window that is complete."""
        failure = int(self._failure.numpy())
        step = int(self._global_step.numpy())
        if failure != _NO_FAILURE:
            raise NotFiniteError(self._failure_names[failure], step + 1)
        if step % self._config.window and step != self._stage.end:
            return {}
        return {"train": self.end_window()}

    def end_window(self) -> dict[str, float]:
        """Return the metrics since the last window ended; the next window begins here.

        Windows end by themselves at multiples of their length and with the phase. A checkpoint
        that is saved out of turn ends one early, so that no checkpoint falls within a window.
        """
        step = int(self._global_step.numpy())
        sums = self._sums.take()
        own = {name: sums.pop(name) for name in ("_loss", "_gradient_norm", "_steps", "_skipped")}
        updates = max(float(own["_steps"] - own["_skipped"]), 1.0)
        metrics = {
            # The schedule maps a number of finished updates to the rate of the next update.
            "learning_rate": float(self._schedule(step - 1)),
            "grad_norm": float(own["_gradient_norm"] / updates),
            "loss": float(own["_loss"] / own["_steps"]),
            **self._task.report(sums, {}),
        }
        if self._loss_scale is not None:
            metrics["skipped_steps"] = float(own["_skipped"])
            metrics["loss_scale"] = float(self._loss_scale.value.numpy())
        return metrics

    # === One step, on all replicas ===

    def train_step(self, iterator: Iterator) -> None:
        """Run one step on all replicas; called while tracing, in cross-replica context."""
        results = self._strategy.run(self._replica_step, args=(self.waiting.next(iterator),))
        packed, failure, overflow = results
        self._sums.add(self._strategy.reduce("SUM", packed, axis=None))
        # Equal in all replicas: they follow from sums over all of them.
        failure, overflow = (
            self._strategy.experimental_local_results(each)[0] for each in (failure, overflow)
        )
        if self._loss_scale is not None:
            failure = self._update_loss_scale(self._loss_scale, overflow, failure)
        self._failure.assign(failure)
        self._global_step.assign_add(tf.cast(failure == _NO_FAILURE, tf.int64))

    def _update_loss_scale(self, loss_scale, overflow, failure):
        """Record whether a float16 step overflowed; return the failure, if it is one by now."""
        loss_scale.update(overflow)
        # The learning rate is a function of the step, whether or not the step changed anything.
        self._optimizer.iterations.assign_add(tf.cast(overflow, tf.int64))
        hopeless = loss_scale.in_a_row >= precision.OVERFLOWS_IN_A_ROW
        return tf.where(hopeless & (failure == _NO_FAILURE), len(self._failure_names) - 1, failure)

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch):
        """Run one step in a replica; return packed sums, the failure, and whether it overflowed."""
        phase = self._stage.phase
        weights = self._task.weights(batch, phase)
        names = list(weights)
        # Python state that is set while tracing; the step returns indices into it.
        self._failure_names = ["loss" if name == "loss" else f"{name} loss" for name in names]
        self._failure_names += [
            "gradient norm",
            "gradient, scaled for float16, twenty times in a row,",
        ]
        own = tf.stack([tf.cast(weight, tf.float32) for weight in weights.values()])  # [terms]
        (totals,) = sum_over_replicas([own])
        # In bug-compatible mode each replica divides by its own weight, and the mean is taken.
        per_replica = self._config.reference_quirks.loss_per_replica
        divisors = own * self._strategy.num_replicas_in_sync if per_replica else totals
        scale = tf.ones([])
        if self._loss_scale is not None:
            scale = tf.convert_to_tensor(self._loss_scale.value)

        gradients, term_sums, sums = self._gradients(batch, divisors, scale)
        (term_sums, *gradients) = sum_over_replicas([term_sums, *gradients])
        if self._loss_scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        failure, overflow = self._check(term_sums, norm)
        self._optimizer.apply_gradients(
            zip(gradients, self._variables),
            skip_gradients_aggregation=True,
            gate=(failure == _NO_FAILURE) & ~overflow,
            gradient_norm=norm,
        )
        own_sums = {
            # Reported as the ratio of global sums in bug-compatible mode, too.
            "_loss": self._total(names, term_sums, totals),
            # The norm of a gradient that overflowed would make the mean of the window infinite.
            "_gradient_norm": tf.where(overflow, 0.0, norm),
            "_steps": tf.ones([]),
            "_skipped": tf.cast(overflow, tf.float32),
        }
        # These four are equal in all replicas, and the packed sums are added over replicas.
        replicas = self._strategy.num_replicas_in_sync
        own_sums = {name: value / replicas for name, value in own_sums.items()}
        return self._sums.pack({**sums, **own_sums}), failure, overflow

    def _check(self, term_sums, norm):
        """Return the index of the first number that is not finite, and whether float16 overflowed.

        A failure of an earlier step of the loop remains.
        """
        finite_terms, finite_norm = tf.math.is_finite(term_sums), tf.math.is_finite(norm)
        overflow = tf.constant(False)
        if self._loss_scale is not None:
            overflow = tf.reduce_all(finite_terms) & ~finite_norm
        finite = tf.concat([finite_terms, [finite_norm | overflow]], 0)
        first = tf.argmin(tf.cast(finite, tf.int32), output_type=tf.int32)
        new = tf.where(tf.reduce_all(finite), _NO_FAILURE, first)
        before = tf.convert_to_tensor(self._failure)
        return tf.where(before == _NO_FAILURE, new, before), overflow

    # === Gradients of one replica ===

    def _accumulated_gradients(self, batch, divisors, scale):
        """Return gradients, term sums `[terms]` and reported sums of the batch of one replica.

        Only the activations of one micro-batch are in memory at a time. The weights of the whole
        batch are known before its first micro-batch runs, so each is divided by the same numbers
        and their gradients add up to that of the whole batch. The masks, dropout and samples of an
        example depend on its position in the stream, so they are those of the whole batch too.

        Args:
          batch: batch of the replica.
          divisors: float32 `[terms]`, by which the sums of the terms are divided.
          scale: loss scale, a scalar. The gradients are those of the scaled loss.
        """
        parts = self._config.accumulation
        divided = {name: self._divide(name, examples) for name, examples in batch.items()}

        def result_of(i):
            return self._micro_batch({n: x[i] for n, x in divided.items()}, divisors, scale)

        def add(i, so_far):
            return i + 1, tf.nest.map_structure(tf.add, so_far, result_of(i))

        # The first micro-batch runs outside the loop, because its result determines the structure
        # and shapes of the loop variables. Iterations must not overlap, or their activations would
        # be in memory together.
        _, result = tf.while_loop(
            lambda i, _: i < parts, add, (tf.constant(1), result_of(0)), parallel_iterations=1
        )
        return result

    def _divide(self, name, examples):
        parts = self._config.accumulation
        size = examples.shape[0]
        if size % parts:
            raise InputError(
                f"the examples of a replica must be a multiple of accumulation={parts}, {name} "
                f"had {size}; change batch_size or accumulation"
            )
        return distribution.divided(examples, parts)

    def _micro_batch_gradients(self, batch, divisors, scale):
        with tf.GradientTape() as tape:
            with randomness.stream(self._key, batch["stream_position"][0]):
                terms, sums = self._task.losses(self._model, batch, self._stage.phase)
            term_sums = tf.stack([tf.cast(total, tf.float32) for total in terms.values()])
            loss = self._total(list(terms), term_sums, divisors) * scale
        gradients = tape.gradient(loss, self._variables)
        self._require_gradients(gradients)
        # Gradients of embedding tables are IndexedSlices with a data-dependent number of rows.
        # Adding over micro-batches and replicas needs dense tensors of static shape.
        return [tf.convert_to_tensor(gradient) for gradient in gradients], term_sums, sums

    def _total(self, names, term_sums, divisors):
        terms = dict(zip(names, zip(tf.unstack(term_sums), tf.unstack(divisors))))
        return weighted_total(terms, self._stage.phase.loss_weights)

    def _require_gradients(self, gradients):
        name = type(self._task).__name__
        if not gradients:
            raise InputError(f"{name} trains no variable in phase {self._stage.index + 1}")
        missing = [v.name for v, gradient in zip(self._variables, gradients) if gradient is None]
        if missing:
            raise InputError(
                f"{name} lists trainable variables that its losses do not reach: "
                f"{', '.join(missing)}; leave them out of trainable_variables"
            )
