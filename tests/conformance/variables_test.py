"""Variables exist once, in float32, and each of them counts."""

import numpy as np
import tensorflow as tf

from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


@objects.keep("variables")
def test_variables_exist_once_and_are_float32(name):
    made = objects.made(name)
    assert len({id(v) for v in made.variables}) == len(made.variables)
    assert all(v.dtype == tf.float32 for v in made.variables)


@objects.keep("influence")
def test_every_trainable_variable_influences_an_output(name):
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
    """Returns `name of the layer/name of the variable` by the variable's id."""
    return {
        id(variable): f"{layer.name}/{variable.name}"
        for layer in made._flatten_layers()
        for variable in layer._trainable_weights
    }
