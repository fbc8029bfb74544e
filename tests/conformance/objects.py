"""Building, calling, tracing and saving of the objects in the table."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from tests.conformance.outputs import flat
from tests.conformance.table import LARGEST, LENGTH, REPRESENTATIVES, TABLE, Line

SEED, FIRST_ROW = 11, 3
PROMISES: set[str] = set()


def keep(promise: str, run: str = "all"):
    """Run a test for every line; the test takes the `name` of the line.

    Args:
      promise: name of the promise, as used in `Line.exceptions`.
      run: lines in the default run, while the others are slow: `all`; one line for each of all
        `classes`; the `representatives`; or only the `largest` of them.
    """
    lines = []
    for name, line in TABLE.items():
        marks = []
        if promise in line.exceptions:
            marks.append(pytest.mark.xfail(reason=line.exceptions[promise], strict=True))
        default = {
            "all": True,
            "classes": " " not in name,
            "representatives": name in REPRESENTATIVES,
            "largest": name == LARGEST,
        }
        if not default[run]:
            marks.append(pytest.mark.slow)
        lines.append(pytest.param(name, marks=marks))
    PROMISES.add(promise)
    return pytest.mark.parametrize("name", lines)


# === Making ===
@functools.cache
def made(name: str):
    """Return the float32 object that all tests share; a test must restore what it changes."""
    return new(name)


def new(name: str, **options):
    """Return a new built object with random variables, so that an unused variable is noticed."""
    tf_keras.utils.set_random_seed(1)
    line = TABLE[name]
    built = line.make(**options)
    call(built, line)
    random = np.random.default_rng(2)
    for variable in built.variables:
        noise = 0.5 * random.normal(size=variable.shape)
        variable.assign_add(noise.astype(np.float32))
    return built


# === Calling ===
def call(made, line: Line, training=False, arrays=None, first_row=FIRST_ROW) -> dict:
    """Call the object inside a random stream, so that two calls agree."""
    with randomness.stream(randomness.Key(SEED), first_row):
        return call_at_random(made, line, training, arrays)


def call_at_random(made, line: Line, training=False, arrays=None) -> dict:
    """Call the object and return its outputs by name.

    Args:
      made: the object.
      line: its line.
      training: passed to objects that have this argument.
      arrays: arrays to use instead of those in the line; see `arrays_of`.
    """
    inputs, options = line.inputs, dict(line.options)
    if arrays is not None:
        inputs, options = _with_arrays(line, arrays)
    if "training" in inspect.signature(made.call).parameters:
        options["training"] = training
    return flat(made(*inputs, **options))


def arrays_of(line: Line) -> list[np.ndarray]:
    """Return the arrays among the arguments of the call, in the order of `tf.nest`."""
    return [x for x in tf.nest.flatten((line.inputs, line.options)) if isinstance(x, np.ndarray)]


def rows_of(line: Line, rows: slice) -> list[np.ndarray]:
    """Return some examples of these arrays."""
    return [array[rows] for array in arrays_of(line)]


def _with_arrays(line, arrays):
    arrays, structure = iter(arrays), (line.inputs, line.options)
    leaves = [next(arrays) if isinstance(x, np.ndarray) else x for x in tf.nest.flatten(structure)]
    return tf.nest.pack_sequence_as(structure, leaves)


# === Tracing ===
@functools.cache
def graph(name: str):
    """Return the object as a graph for any number of examples and tokens, called with arrays."""
    line = TABLE[name]
    specs = [dynamic(array) for array in arrays_of(line)]
    return tf.function(
        lambda arrays: call(made(name), line, arrays=arrays), input_signature=[specs]
    )


def dynamic(array: np.ndarray) -> tf.TensorSpec:
    """Return the type of an input of any number of examples and tokens."""
    shape = [None, *(None if size == LENGTH else size for size in array.shape[1:])]
    return tf.TensorSpec(shape, array.dtype)


def cotangents(outputs: dict) -> dict:
    """Return random factors of the float outputs, whose weighted sum serves as a loss."""
    random = np.random.default_rng(4)
    return {
        name: random.normal(size=output.shape).astype(np.float32)
        for name, output in sorted(outputs.items())
        if output.dtype.is_floating
    }


def gradients(made, line: Line, factors: dict, training=False, arrays=None, first_row=FIRST_ROW):
    """Return the outputs, and the gradients of their weighted sum by every trainable variable."""
    with tf.GradientTape() as tape:
        outputs = call(made, line, training, arrays, first_row)
        loss = tf.zeros([])
        for name, factor in factors.items():
            loss += tf.reduce_sum(tf.cast(outputs[name], tf.float32) * factor)
    found = tape.gradient(loss, made.trainable_variables, unconnected_gradients="zero")
    return outputs, [tf.convert_to_tensor(gradient) for gradient in found]


# === Saving ===
@functools.cache
def savable(name: str) -> tf_keras.Model:
    """Return a model that Keras can save: the object itself, or a functional model of a layer."""
    if isinstance(made(name), tf_keras.Model):
        return made(name)
    specs = [dynamic(array) for array in arrays_of(TABLE[name])]
    inputs = [tf_keras.Input(s.shape[1:], name=f"x{i}", dtype=s.dtype) for i, s in enumerate(specs)]
    args, options = _with_arrays(TABLE[name], inputs)
    return tf_keras.Model(inputs, made(name)(*args, **options))


def call_saved(model, name: str) -> dict:
    """Call the result of `savable` inside a random stream."""
    line = TABLE[name]
    if _is_functional_of_a_layer(model):
        with randomness.stream(randomness.Key(SEED), FIRST_ROW):
            return flat(model(arrays_of(line)))
    return call(model, line)


def named_arrays(model, name: str) -> dict:
    """Return the inputs by name, in the form of the first call, which alone a SavedModel retains.

    The names of a list or a single array are x0, x1, ...
    """
    (spec, *_), _ = model.save_spec()
    line = TABLE[name]
    if isinstance(spec, dict):
        return dict(line.inputs[0])
    arrays = arrays_of(line)
    if isinstance(line.inputs[0], dict) and isinstance(model, type(made(name))):
        arrays = [line.inputs[0][x.name] for x in spec]
    return {f"x{i}": array for i, array in enumerate(arrays)}


def _is_functional_of_a_layer(model):
    return type(model).__name__ == "Functional" and model.input_names[0] == "x0"
