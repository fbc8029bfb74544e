"""The gradient of one replica's share of a batch, micro-batch by micro-batch."""

import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.training.config import TrainingConfig
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import Task


class Gradients:
    """Computes gradients, and holds the activations of one micro-batch at a time.

    The weights of the whole batch are known before its first micro-batch runs, so each is divided
    by the same numbers and the gradients add up to the whole batch's. A row's masks, dropout and
    samples depend on its place in the stream, so they are the whole batch's, too.

    Call: one replica's `batch`, float32 `[terms]` divisors of the terms' sums, and the loss scale,
    a scalar or None; returns the list of gradients (of the scaled loss), `[terms]` sums, and the
    task's sums.

    Args:
      task: what to train.
      model: of the task.
      variables: whose gradients are wanted.
      phase: of the step.
      key: of the phase's random stream.
      config: of which `accumulation` and `jit_compile` are used.
    """

    def __init__(
        self,
        task: Task,
        model,
        variables: list,
        phase: PhaseConfig,
        key: randomness.Key,
        config: TrainingConfig,
    ):
        self._task = task
        self._model = model
        self._variables = variables
        self._phase = phase
        self._key = key
        self._parts = config.accumulation
        self._one = self._compute
        if config.jit_compile or self._parts > 1:
            # Traced once for all micro-batches.
            self._one = tf.function(self._compute, jit_compile=config.jit_compile or None)

    def __call__(self, batch: dict, divisors: tf.Tensor, scale: tf.Tensor | None):
        scale = tf.ones([]) if scale is None else scale
        if self._parts == 1:
            return self._one(batch, divisors, scale)
        parts = {name: self._cut(name, rows) for name, rows in batch.items()}

        def part(i):
            return self._one({name: x[i] for name, x in parts.items()}, divisors, scale)

        def add(i, so_far):
            return i + 1, tf.nest.map_structure(tf.add, so_far, part(i))

        _, result = tf.while_loop(
            lambda i, _: i < self._parts, add, (tf.constant(1), part(0)), parallel_iterations=1
        )
        return result

    def _cut(self, name, rows):
        size, *rest = rows.shape
        if size % self._parts:
            raise InputError(
                f"the rows of a replica must be a multiple of accumulation={self._parts}, "
                f"{name} had {size}; change batch_size or accumulation"
            )
        return tf.reshape(rows, [self._parts, size // self._parts, *rest])

    def _compute(self, batch, divisors, scale):
        with tf.GradientTape() as tape:
            with randomness.stream(self._key, batch["stream_position"][0]):
                terms, sums = self._task.losses(self._model, batch, self._phase)
            coefficients = [self._phase.coefficient(name) for name in terms]
            term_sums = tf.stack([tf.cast(total, tf.float32) for total, _ in terms.values()])
            loss = tf.reduce_sum(coefficients * tf.math.divide_no_nan(term_sums, divisors))
            scaled = loss * scale
        gradients = tape.gradient(scaled, self._variables)
        self._require_reached(gradients)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], term_sums, sums

    def _require_reached(self, gradients):
        if not gradients:
            raise InputError(f"task {self._task.name} trains no variable in this phase")
        missing = [v.name for v, gradient in zip(self._variables, gradients) if gradient is None]
        if missing:
            raise InputError(
                f"task {self._task.name} lists variables to train that its losses do not reach: "
                f"{', '.join(missing)}; leave them out of trainable_variables"
            )
