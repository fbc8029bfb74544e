"""AdamW as ELECTRA uses it."""

import logging
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError

# Layer normalization and biases are not decayed. Patterns are searched in the variable's name.
# The first three are those of google-research/electra; the last one matches the variables of a
# Keras LayerNormalization of any name.
NO_DECAY = ("LayerNorm", "layer_norm", "bias", r"(^|/)(gamma|beta)(:|$)")


@tf_keras.utils.register_keras_serializable("official_nlp")
class AdamW(tf_keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and clipping by the global norm.

    With g the gradient, multiplied by `min(1, global_clipnorm / norm of all gradients)`:

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g ** 2
        p -= rate * (m' / (sqrt(v') + epsilon) + weight_decay * p)

    where `m' = m / (1 - beta_1 ** n)`, `v' = v / (1 - beta_2 ** n)` after n updates of that
    variable (a network that joins in a later phase starts at n = 1), or, as in
    google-research/electra, `m' = m` and `v' = v`.

    One fused kernel updates a variable. All replicas apply the same summed gradient to their own
    copy, so nothing has to be merged, and a step can be rejected inside a replica: see `gate`.

    Args:
      learning_rate: a number or a schedule.
      weight_decay: rate of the decoupled weight decay; 0 for none.
      beta_1: decay rate of the mean of gradients.
      beta_2: decay rate of the mean of squared gradients, below 1.
      epsilon: added to the root of the second moment.
      global_clipnorm: maximum global norm of the gradients; None for no clipping.
      bias_correction: correct the moments for their initial value of 0.
      exclude_from_weight_decay: regular expressions, searched in a variable's name.
      learning_rate_scale: returns a factor on the learning rate of a variable, such as layer-wise
        decay; None for 1 everywhere. It is read once, by `build`, and not serialized.

    Reference: Clark et al. 2020, appendix A; google-research/electra, `model/optimization.py`.
    """

    def __init__(
        self,
        learning_rate: Any = 5e-4,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        global_clipnorm: float | None = 1.0,
        bias_correction: bool = True,
        exclude_from_weight_decay: tuple[str, ...] = NO_DECAY,
        learning_rate_scale: Callable[[tf.Variable], float] | None = None,
        name: str = "AdamW",
        **kwargs: Any,
    ):
        for field, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise InputError(f"{field} must be at least 0 and below 1, was {beta}")
        super().__init__(
            name=name, weight_decay=weight_decay, global_clipnorm=global_clipnorm, **kwargs
        )
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction
        self.no_decay = tuple(exclude_from_weight_decay)
        self._scale_of = learning_rate_scale or (lambda variable: 1.0)

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._means = [self.add_variable_from_reference(v, "m") for v in var_list]
        self._squares = [self.add_variable_from_reference(v, "v") for v in var_list]
        # Number of updates of each variable.
        self._updates = self.add_variable([len(var_list)], tf.int64, "zeros", "updates")
        self._rate_scales = [float(self._scale_of(v)) for v in var_list]

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor, tf.Variable]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        *,
        gate: tf.Tensor | None = None,
        gradient_norm: tf.Tensor | None = None,
        **kwargs: Any,
    ) -> tf.Variable:
        """Update the variables, in replica context.

        Args:
          grads_and_vars: pairs of gradient and variable; those without a gradient are skipped.
          name: name scope of the operations.
          skip_gradients_aggregation: whether the gradients are already summed over replicas.
          gate: bool scalar, equal on all replicas. If False, no bit of a variable, slot or counter
            changes, whatever the gradients are. None means True.
          gradient_norm: global norm of the summed gradients, if the caller has computed it.

        Returns:
          The number of updates so far, `iterations`.
        """
        aggregate = kwargs.pop("experimental_aggregate_gradients", True)
        pairs = self._present(grads_and_vars)
        if not pairs:
            return self.iterations
        with tf.name_scope(name or self.name):
            with tf.init_scope():
                self.build([variable for _, variable in pairs])
            if aggregate and not skip_gradients_aggregation:
                pairs = self.aggregate_gradients(pairs)
            # The fused kernel takes dense gradients only; those of embedding tables are
            # IndexedSlices.
            gradients = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]
            variables = [variable for _, variable in pairs]
            scale = self._clip_scale(gradients, gradient_norm)

            def update():
                self._update_all(gradients, variables, scale)
                return tf.constant(0)

            if gate is None:
                update()
            else:
                # A branch, because a product with 0 would still turn an infinite gradient into NaN.
                tf.cond(gate, update, lambda: tf.constant(0))
        return self.iterations

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Update one variable without clipping and without advancing `iterations`."""
        self._update_one(
            gradient, variable, None, self.learning_rate, self._corrections([variable])[0]
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Fields of the base class that this optimizer does not support.
        for unused in ("clipnorm", "clipvalue", "use_ema", "ema_momentum", "jit_compile"):
            config.pop(unused, None)
        config.pop("ema_overwrite_frequency", None)
        config.pop("is_legacy_optimizer", None)
        config.update(
            learning_rate=self._serialize_hyperparameter(self._learning_rate),
            weight_decay=self.weight_decay,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            global_clipnorm=self.global_clipnorm,
            bias_correction=self.bias_correction,
            exclude_from_weight_decay=list(self.no_decay),
        )
        return config

    def decays(self, variable: tf.Variable) -> bool:
        """Return whether weight decay applies to a variable."""
        return not any(re.search(pattern, variable.name) for pattern in self.no_decay)

    def _present(self, grads_and_vars):
        pairs = list(grads_and_vars)
        missing = [variable.name for gradient, variable in pairs if gradient is None]
        if missing:
            logging.getLogger(__name__).warning("no gradient for %s", ", ".join(missing))
        return [(gradient, variable) for gradient, variable in pairs if gradient is not None]

    def _clip_scale(self, gradients, norm):
        if not self.global_clipnorm:
            return None
        norm = tf.linalg.global_norm(gradients) if norm is None else norm
        # Equal to min(1, clip / norm), without a division by 0.
        return self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)

    def _update_all(self, gradients, variables, scale):
        self._compute_current_learning_rate()
        rate = tf.convert_to_tensor(self.learning_rate)
        corrections = self._corrections(variables)
        for gradient, variable, correction in zip(gradients, variables, corrections):
            self._update_one(gradient, variable, scale, rate, correction)
        self.iterations.assign_add(1)

    def _corrections(self, variables):
        """Return for each variable the factors `(root, factor)` with which

            m' / (sqrt(v') + epsilon) = factor * m / (sqrt(v) + root * epsilon)

        that is `root = sqrt(v / v')` and `factor = root * m' / m`.
        """
        # The kernel works with float32 betas, and 1 - float32(0.999) is off by 1e-5.
        beta_1, beta_2 = float(np.float32(self.beta_1)), float(np.float32(self.beta_2))
        if not self.bias_correction:
            root = math.sqrt((1 - beta_2) / (1 - self.beta_2))
            return [(root, root * (1 - self.beta_1) / (1 - beta_1))] * len(variables)
        indices = [self._index(variable) for variable in variables]
        updated = tf.constant([i in set(indices) for i in range(self._updates.shape[0])])
        count = tf.cast(self._updates.assign_add(tf.cast(updated, tf.int64)), tf.float32)
        # For variables that were never updated: their corrections are not used, but 0 would make
        # them NaN.
        count = tf.maximum(count, 1.0)
        # expm1: 1 - beta ** n would lose four digits at n = 1.
        root = tf.sqrt(-tf.math.expm1(count * _log(beta_2)))  # [variables]
        factor = root / -tf.math.expm1(count * _log(beta_1))
        roots, factors = tf.unstack(root), tf.unstack(factor)
        return [(roots[i], factors[i]) for i in indices]

    def _update_one(self, gradient, variable, scale, rate, correction):
        index = self._index(variable)
        dtype = self._means[index].dtype
        rate, root, factor = (tf.cast(x, dtype) for x in (rate, *correction))
        if self._rate_scales[index] != 1.0:
            rate = rate * self._rate_scales[index]
        gradient = tf.cast(gradient, dtype)
        if scale is not None:
            gradient = gradient * tf.cast(scale, dtype)
        if self.weight_decay and self.decays(variable):
            # Before the kernel, so that the decayed value is that of p before this update.
            variable.assign_sub(variable * (rate * self.weight_decay))
        # Powers of 0 disable the kernel's own correction, in which epsilon has another meaning.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._means[index].handle,
            v=self._squares[index].handle,
            beta1_power=tf.zeros([], dtype),
            beta2_power=tf.zeros([], dtype),
            lr=rate * factor,
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=root * self.epsilon,
            grad=gradient,
        )

    def _index(self, variable) -> int:
        try:
            return self._index_dict[self._var_key(variable)]
        except KeyError:
            raise InputError(
                f"variable {variable.name} is unknown to the optimizer: call build with every "
                "trainable variable before the first update"
            ) from None


def _log(beta: float) -> float:
    # With beta = 0 the expression expm1(n * -inf) is -1, which means no correction.
    return math.log(beta) if beta else -math.inf
