"""Checkpoints of named variables, written and read with TensorFlow alone."""

import numpy as np
import tensorflow as tf


def save(prefix, variables):
    """Writes a checkpoint of named variables."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.convert_to_tensor(value) for value in variables.values()],
    )
    return prefix


def variables(place) -> dict:
    """All variables of a checkpoint."""
    reader = tf.train.load_checkpoint(str(place))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(first, second):
    """Two dicts of arrays are equal to the bit, in dtype too."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.asarray(value).dtype == np.asarray(second[name]).dtype, name
        np.testing.assert_array_equal(value, second[name], err_msg=name)
