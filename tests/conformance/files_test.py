"""Saved objects: another process loads them without a call and computes the same outputs.

There are three kinds of files: a Keras file; an export, which runs without this package; and a
SavedModel of Keras, which runs without the package and can be loaded with it. One process loads all
files.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


def _save_keras(model, name, path):
    model.save(path)


def _save_export(model, name, path):
    line = TABLE[name]
    archive = tf_keras.export.ExportArchive()
    archive.track(model)
    specs = [objects.dynamic(array) for array in objects.arrays_of(line)]
    made = objects.made(name)  # not its functional model: a layer can be exported by itself
    archive.add_endpoint(
        "serve", lambda arrays: objects.call_at_random(made, line, arrays=arrays), [specs]
    )
    archive.write_out(path)


def _save_tf(model, name, path):
    model.save(path, save_format="tf")


SAVE = {"keras": _save_keras, "export": _save_export, "tf": _save_tf}
TESTS = {
    "test_keras_file_loads_in_another_process_without_a_call": "keras",
    "test_export_runs_without_this_package": "export",
    "test_saved_model_of_keras_runs_without_this_package_and_loads_with_it": "tf",
}


@pytest.fixture(scope="module")
def saved(request, tmp_path_factory):
    """The folder of the files that the selected tests need, and the errors of saving."""
    folder, errors = tmp_path_factory.mktemp("saved"), {}
    chosen = [item for item in request.session.items if item.fspath == request.fspath]
    wanted = dict.fromkeys(
        (item.callspec.params["name"], TESTS[item.originalname])
        for item in chosen
        if item.originalname in TESTS
    )
    for name, kind in wanted:
        try:
            model = objects.savable(name)
            # If the global seed of TensorFlow is set, every stateful operation contains a seed.
            tf.random.set_seed(None)  # noqa: TID251
            np.savez(folder / f"{name}.arrays.npz", *objects.arrays_of(TABLE[name]))
            np.savez(folder / f"{name}.named.npz", **objects.named_arrays(model, name))
            SAVE[kind](model, name, folder / f"{name}.{kind}")
        except Exception as error:
            errors[name, kind] = error
    return folder, errors


@pytest.fixture(scope="module")
def loaded(saved, repository):
    """What another process computes with these files; its errors are raised by the tests."""
    folder, errors = saved
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "tests.conformance.load_all", str(folder)]
    subprocess.run(command, check=True, env=environment, cwd=repository)

    def result(name, kind):
        if (name, kind) in errors:
            raise errors[name, kind]
        with np.load(folder / f"{name}.{kind}.npz") as arrays:
            assert "error" not in arrays, str(arrays["error"])
            return dict(arrays)

    return result


@objects.keep("keras file", run="representatives")
def test_keras_file_loads_in_another_process_without_a_call(name, loaded):
    arrays = loaded(name, "keras")
    _assert_outputs(arrays, "output", objects.call(objects.made(name), TABLE[name]))
    _assert_variables(arrays, objects.made(name))


@objects.keep("export", run="representatives")
def test_export_runs_without_this_package(name, loaded, saved):
    arrays, line = loaded(name, "export"), TABLE[name]
    _assert_outputs(arrays, "serve", _not_sampled(objects.call(objects.made(name), line), line))
    assert not _stored_keys(saved[0] / f"{name}.export")


@objects.keep("saved model", run="largest")
def test_saved_model_of_keras_runs_without_this_package_and_loads_with_it(name, loaded, saved):
    arrays, line = loaded(name, "tf"), TABLE[name]
    expected = objects.call(objects.made(name), line)
    _assert_outputs(arrays, "called", _not_sampled(expected, line))
    _assert_outputs(arrays, "output", expected)
    _assert_variables(arrays, objects.made(name))
    assert not _stored_keys(saved[0] / f"{name}.tf")


def test_a_stored_key_is_found(tmp_path):
    name = "MultiHeadAttention"
    made, line = objects.made(name), TABLE[name]
    archive = tf_keras.export.ExportArchive()
    archive.track(made)
    run = tf.function(lambda: objects.call(made, line, training=True))
    run()
    archive.add_endpoint("serve", run)
    archive.write_out(tmp_path)
    assert _stored_keys(tmp_path)


def _assert_outputs(arrays, prefix, expected):
    """Compare the outputs of one kind; a file may contain more than the expected ones."""
    got = {k.split("|")[1]: x for k, x in arrays.items() if k.startswith(f"{prefix}|")}
    outputs.assert_close({key: got[key] for key in expected if key in got}, expected)


def _assert_variables(arrays, made):
    got = [arrays[f"variable|{i}"] for i in range(len(made.variables))]
    assert f"variable|{len(got)}" not in arrays
    for want, restored in zip(made.variables, got):
        np.testing.assert_array_equal(restored, want)


def _not_sampled(outputs, line):
    return {key: x for key, x in outputs.items() if not key.startswith(line.sampled)}


def _stored_keys(path) -> list[str]:
    """Return the operations of a SavedModel that would draw the same bits in every process."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    found = []
    for meta in model.meta_graphs:
        bodies = [
            (meta.graph_def.node, ()),
            *(
                (f.node_def, [a.name for a in f.signature.input_arg])
                for f in meta.graph_def.library.function
            ),
        ]
        for nodes, arguments in bodies:
            nodes = {node.name: node for node in nodes}
            for node in nodes.values():
                if "seed" in node.attr and (node.attr["seed"].i or node.attr["seed2"].i):
                    found.append(node.name)
                stateless = node.op.startswith("Stateless") and "Random" in node.op
                if stateless and not _is_drawn(node.input[1], nodes, arguments):
                    found.append(node.name)
    return found


def _is_drawn(name, nodes, arguments) -> bool:
    """Return whether a value comes from a stateful draw or from outside the function."""
    name = name.lstrip("^").split(":")[0]
    if name in arguments or nodes[name].op in ("RandomUniformInt", "Placeholder"):
        return True
    return any(_is_drawn(other, nodes, arguments) for other in nodes[name].input)
