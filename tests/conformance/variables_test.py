"""Every variable exists once, is float32 and affects an output."""

import numpy as np
import tensorflow as tf
import tf_keras

from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


@objects.keep("variables")
def test_variables_exist_once_and_are_float32(name):
    made = objects.made(name)
    assert len({id(v) for v in made.variables}) == len(made.variables)
    assert all(v.dtype == tf.float32 for v in made.variables)


@objects.keep("influence", run="classes")
def test_every_trainable_variable_affects_an_output(name):
    made, line, run = objects.made(name), TABLE[name], objects.graph(name)
    arrays = objects.arrays_of(line)
    before = run(arrays)
    random = np.random.default_rng(3)
    names = names_of_variables(made)
    for variable in made.trainable_variables:
        value = variable.numpy()
        variable.assign(value + random.normal(size=value.shape).astype(np.float32))
        changed = not outputs.same(before, run(arrays))
        variable.assign(value)
        silent = any(part in names[id(variable)] for part in line.silent)
        assert changed or silent, names[id(variable)]


def names_of_variables(made) -> dict:
    """Return `name of the layer/name of the variable` by the id of the variable."""
    # Parts come after the layer that contains them, so the innermost layer of a variable counts.
    return {
        id(variable): f"{layer.name}/{variable.name}"
        for layer in (made, *made.submodules)
        if isinstance(layer, tf_keras.layers.Layer)
        for variable in layer.trainable_variables
    }
