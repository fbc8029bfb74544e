"""Copies weights between tfnlp's objects and ours, and compares what they compute."""

import dataclasses

import numpy as np
import tensorflow as tf

# Of outputs, and of gradients up to 1; of larger ones it is a share of the largest, as each is a
# sum of numbers as large, which float32 rounds.
TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Result:
    """What one object computed.

    Attributes:
      outputs: arrays, in the order in which the object returns them.
      input_gradients: of a random weighting of the outputs, one for each float input.
      gradients: likewise, one for each variable; None where it has no influence.
    """

    outputs: list
    input_gradients: list
    gradients: list


def perturb(made, seed=1):
    """Moves every variable by N(0, 0.5), so that one that is dropped shows."""
    random = np.random.default_rng(seed)
    for variable in made.variables:
        variable.assign_add(random.normal(scale=0.5, size=variable.shape).astype(np.float32))


def run(function, inputs, variables) -> Result:
    """Calls a function and differentiates a random weighting of its float outputs, near one in sum.

    Args:
      function: takes the inputs, as one list.
      inputs: list of arrays or None.
      variables: of the object.
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
    """Asserts that both computed the same; returns the largest difference."""
    largest = 0.0
    for field in ("outputs", "input_gradients", "gradients"):
        mine, others = getattr(ours, field), getattr(theirs, field)
        assert len(mine) == len(others), field
        for place, (a, b) in enumerate(zip(mine, others)):
            where = f"{field}[{place}]"
            assert (a is None) == (b is None), where
            if a is None:
                continue
            assert a.shape == b.shape, where
            scale = 1.0 if field == "outputs" else max(1.0, np.abs(b).max(initial=0))
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * scale, err_msg=where)
            largest = max(largest, float(np.max(np.abs(a - b), initial=0)))
    return largest
