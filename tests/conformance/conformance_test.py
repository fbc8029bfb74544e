"""The promises that every layer, network and model keeps. The table says which these are."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.modeling import layers, models, networks
from tests.conformance import table

NAMES = list(table.TABLE)
every = pytest.mark.parametrize("name", NAMES)


def _close(actual, expected, atol=5e-5):
    assert actual.keys() == expected.keys()
    for key in expected:
        want, got = np.asarray(expected[key]), np.asarray(actual[key])
        assert want.dtype == got.dtype
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=atol, err_msg=key)
        else:
            np.testing.assert_array_equal(got, want, err_msg=key)


def test_every_public_class_is_in_the_table():
    public = {*layers.__all__, *networks.__all__, *models.__all__} - {"ElectraConfig"}
    assert {name.split()[0] for name in NAMES} == public


@every
def test_comes_back_from_json_with_the_same_configuration(name):
    made = table.made(name)
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert json.dumps(again.get_config()) == json.dumps(made.get_config())
    table.call(again, table.TABLE[name])
    assert [v.shape for v in again.variables] == [v.shape for v in made.variables]


@pytest.fixture(scope="module")
def loaded_elsewhere(tmp_path_factory, repository):
    """Outputs and variables of all models, saved here, loaded by another process."""
    folder = tmp_path_factory.mktemp("saved")
    expected = {}
    for name in NAMES:
        model = table.savable(name)
        expected[name] = table.call_saved(model, name), [v.numpy() for v in model.variables]
        model.save(folder / f"{name}.keras")
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "tests.conformance.load_all", str(folder)]
    subprocess.run(command, check=True, env=environment, cwd=repository)
    with np.load(folder / "outputs.npz") as arrays:
        return expected, dict(arrays)


@every
def test_keras_file_loads_in_another_process_without_a_call(name, loaded_elsewhere):
    expected, arrays = loaded_elsewhere
    outputs, variables = expected[name]
    got = {k.split("|")[2]: v for k, v in arrays.items() if k.startswith(f"{name}|output|")}
    _close(got, outputs)
    restored = [arrays[f"{name}|variable|{i}"] for i in range(len(variables))]
    assert not any(f"{name}|variable|{len(variables)}" == key for key in arrays)
    for want, got in zip(variables, restored):
        np.testing.assert_array_equal(got, want)


@every
@pytest.mark.parametrize("training", [False, True])
def test_eager_graph_and_xla_agree(name, training):
    made, line = table.made(name), table.TABLE[name]
    eager = table.call(made, line, training)
    graph = tf.function(lambda: table.call(made, line, training))()
    compiled = tf.function(lambda: table.call(made, line, training), jit_compile=True)()
    _close(graph, eager)
    _close(compiled, eager)
    if training:
        # Dropout zeroes the same places to the bit, or the agreement above could not hold;
        # and it does something, wherever there is any.
        assert _same(eager, table.call(made, line, training))


def _same(one, other):
    return all(np.array_equal(one[key], other[key]) for key in one)


@every
def test_unknown_keyword_raises(name):
    with pytest.raises((TypeError, ValueError), match="no_such_option"):
        table.TABLE[name].make(no_such_option=1)


@every
def test_a_batch_of_one_equals_its_row_of_the_batch(name):
    made, line = table.made(name), table.TABLE[name]
    whole = table.call(made, line)
    first = tf.nest.map_structure(lambda x: x[:1], (line.inputs, line.options))
    alone = table.call(made, table.Line(line.make, first[0], first[1]))
    for key, value in alone.items():
        assert value.shape[0] == 1
        np.testing.assert_allclose(value, whole[key][:1], rtol=1e-4, atol=5e-5, err_msg=key)


@every
def test_every_trainable_variable_influences_an_output(name):
    made, line = table.made(name), table.TABLE[name]
    before = table.call(made, line)
    random = np.random.default_rng(3)
    for variable in made.trainable_variables:
        if any(part in variable.name for part in line.silent):
            continue
        value = variable.numpy()
        variable.assign(value + random.normal(size=value.shape).astype(np.float32))
        assert not _same(before, table.call(made, line)), variable.name
        variable.assign(value)


@every
def test_variables_exist_once_and_have_distinct_roles(name):
    made = table.made(name)
    assert len({id(v) for v in made.variables}) == len(made.variables)
    assert all(v.dtype == tf.float32 for v in made.variables)


def test_dropout_in_training_changes_the_outputs_of_all_that_have_it():
    for name in ("MultiHeadAttention", "TransformerEncoderBlock", "ElectraEncoder"):
        made, line = table.made(name), table.TABLE[name]
        assert not _same(table.call(made, line, True), table.call(made, line, False)), name


def test_summary_of_a_functional_model_counts_its_layers():
    model = table.savable("TransformerEncoderBlock")
    assert isinstance(model, tf_keras.Model)
    assert any(isinstance(layer, layers.TransformerEncoderBlock) for layer in model.layers)
