"""Write and read checkpoints of named variables with TensorFlow alone."""

import numpy as np
import tensorflow as tf


def save(prefix, variables):
    """Write a checkpoint of named variables; return its prefix."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.convert_to_tensor(value) for value in variables.values()],
    )
    return prefix


def variables(path) -> dict[str, np.ndarray]:
    """Return all variables of a checkpoint."""
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(first, second):
    """Assert that two dicts of arrays are equal in every bit and dtype."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.asarray(value).dtype == np.asarray(second[name]).dtype, name
        np.testing.assert_array_equal(value, second[name], err_msg=name)
