"""Comparison of outputs and gradients of tfnlp's objects and ours."""

import dataclasses

import numpy as np
import tensorflow as tf

# Absolute for outputs and for gradients up to 1; beyond that relative to the largest gradient, as
# float32 rounds each sum of large numbers.
TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Result:
    """Outputs and gradients of one object.

    Attributes:
      outputs: arrays, in the order in which the object returns them.
      input_gradients: gradient of a random weighted sum of the outputs by each float input.
      gradients: gradient of the same sum by each variable; None if the variable does not affect it.
    """

    outputs: list
    input_gradients: list
    gradients: list


def perturb(made, seed=1):
    """Add N(0, 0.5) to every variable, so that an unused variable is noticed."""
    random = np.random.default_rng(seed)
    for variable in made.variables:
        variable.assign_add(random.normal(scale=0.5, size=variable.shape).astype(np.float32))


def run(function, inputs, variables) -> Result:
    """Call a function and differentiate a random weighted sum of its float outputs, of size near 1.

    Args:
      function: maps the list of inputs to outputs.
      inputs: list of arrays or None.
      variables: variables of the object.
    """
    tensors = [None if x is None else tf.constant(x) for x in inputs]
    floats = [x for x in tensors if x is not None and x.dtype.is_floating]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(floats)
        outputs = tf.nest.flatten(function(tensors))
        total = tf.add_n([_weighted(x) for x in outputs if x.dtype.is_floating])
    return Result(
        [x.numpy() for x in outputs],
        [_dense(g) for g in tape.gradient(total, floats)],
        [_dense(g) for g in tape.gradient(total, list(variables))],
    )


def _weighted(x):
    random = np.random.default_rng(7)
    weights = random.normal(size=x.shape) / max(np.prod(x.shape), 1) ** 0.5
    return tf.reduce_sum(x * weights.astype(np.float32))


def _dense(gradient):
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy()


def compare(ours: Result, theirs: Result) -> float:
    """Assert that both computed the same, and return the largest difference."""
    largest = 0.0
    for field in ("outputs", "input_gradients", "gradients"):
        mine, others = getattr(ours, field), getattr(theirs, field)
        assert len(mine) == len(others), field
        for index, (a, b) in enumerate(zip(mine, others)):
            where = f"{field}[{index}]"
            assert (a is None) == (b is None), where
            if a is None:
                continue
            assert a.shape == b.shape, where
            scale = 1.0 if field == "outputs" else max(1.0, np.abs(b).max(initial=0))
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * scale, err_msg=where)
            largest = max(largest, float(np.max(np.abs(a - b), initial=0)))
    return largest
