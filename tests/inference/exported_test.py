"""Exported folders are opened like models, and damaged ones refused."""

import hashlib
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.inference.predictor import Predictor
from tests.serving.conftest import FILES, exported, files  # noqa: F401


@pytest.fixture(scope="module")
def opened(exported):  # noqa: F811
    return Predictor.from_pretrained(exported / "served")


@pytest.fixture
def copy(exported, tmp_path):  # noqa: F811
    return shutil.copytree(exported / "served", tmp_path / "served")


def change(copy, **changes):
    file = copy / "1" / exported_files.DESCRIPTION
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_a_network_takes_the_inputs_of_its_model(opened):
    ids = tf.constant([[2, 5, 3]])
    alone = opened.model({"input_word_ids": ids})["logits"]
    mask, zeros = tf.ones_like(ids), tf.zeros_like(ids)
    inputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": zeros, "other": mask}
    tf.debugging.assert_equal(alone, opened.model(inputs, training=False)["logits"])


def test_a_network_cannot_be_trained(opened):
    with pytest.raises(InputError, match="cannot be trained"):
        opened.model({"input_word_ids": tf.constant([[2, 3]])}, training=True)


def test_a_model_with_a_head_has_no_vectors(opened):
    with pytest.raises(InputError, match="vectors need the encoder"):
        opened.embed(["a"])


def test_an_export_has_no_checkpoints(exported):  # noqa: F811
    with pytest.raises(InputError, match="has no checkpoint 7"):
        Predictor.from_pretrained(exported / "served", checkpoint=7)


def test_a_folder_without_versions_is_none_of_these(tmp_path):
    assert exported_files.newest_version(tmp_path) is None
    assert exported_files.newest_version(tmp_path / "missing") is None


@pytest.mark.parametrize("changes", [{"length": "x"}, {"head": None}, {"more": 1}])
def test_a_damaged_description_is_refused(copy, changes):
    change(copy, **changes)
    with pytest.raises(InputError, match="must have the keys format, head, length"):
        Predictor.from_pretrained(copy)


def test_an_unknown_format_is_refused(copy):
    change(copy, format="onnx-int4")
    with pytest.raises(InputError, match=r"one of the formats .* named 'onnx-int4'"):
        Predictor.from_pretrained(copy)


@pytest.mark.parametrize(("key", "value"), [("class", "GPT"), ("signature", "no_such")])
def test_what_the_graph_or_the_program_lacks_is_refused(copy, key, value):
    described = json.loads((copy / "1" / exported_files.DESCRIPTION).read_text())
    described["networks"][""][key] = value
    change(copy, networks=described["networks"])
    with pytest.raises(InputError, match=f"names '{value}'"):
        Predictor.from_pretrained(copy)


def test_a_damaged_graph_is_refused(copy):
    (copy / "1/saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="could not be loaded"):
        Predictor.from_pretrained(copy)


# === Files of networks ===


@pytest.fixture(params=FILES)
def file(request, files, tmp_path):  # noqa: F811
    """Return the file of the network in a copy of an export in each format."""
    shutil.copytree(files / request.param, tmp_path / "exported")
    return tmp_path / "exported/1" / FILES[request.param]


def describe(version, **changes):
    """Change the description of the network of a version."""
    path = version / exported_files.DESCRIPTION
    described = json.loads(path.read_text())
    described["networks"][""].update(changes)
    path.write_text(json.dumps(described))


def test_a_network_of_a_file_is_computed_in_a_graph_and_outside(file, opened):
    network = Predictor.from_pretrained(file.parent).model
    ids = tf.constant([[2, 5, 3], [2, 3, 0]])
    inputs = {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32)}
    expected = opened.model(inputs)["logits"]
    function = tf.function(lambda: network(inputs)["logits"])
    assert function.get_concrete_function().structured_outputs.shape.as_list() == [None, 3]
    for found in (network(inputs)["logits"], function()):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_file_that_changed_is_refused(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"is not the file that was exported, or is damaged"):
        Predictor.from_pretrained(file.parent)


def test_a_file_that_is_no_network_is_refused(file):
    file.write_bytes(b"no network")
    describe(file.parent, sha256=hashlib.sha256(b"no network").hexdigest())
    with pytest.raises(InputError, match=f"{file.name} could not be loaded: .*export the model"):
        Predictor.from_pretrained(file.parent)


def test_a_missing_file_is_refused(file):
    describe(file.parent, file="other.onnx")
    with pytest.raises(InputError, match=r"other.onnx could not be loaded"):
        Predictor.from_pretrained(file.parent)


def test_no_file_outside_the_folder_is_read(file):
    shutil.move(file, file.parents[1] / file.name)
    (file.parent / "other.onnx").touch()  # It is still a version.
    describe(file.parent, file=f"../{file.name}")
    with pytest.raises(InputError, match=f"1/{file.name} could not be loaded"):
        Predictor.from_pretrained(file.parent)


def test_a_description_without_a_file_is_refused(file):
    path = file.parent / exported_files.DESCRIPTION
    described = json.loads(path.read_text())
    del described["networks"][""]["sha256"]
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match="names 'sha256'"):
        Predictor.from_pretrained(file.parent)


def test_a_missing_runtime_is_an_error_that_names_the_extra(file, monkeypatch):
    package, extra = {
        ".onnx": ("onnxruntime", "onnx"),
        ".tflite": ("ai_edge_litert.interpreter", "litert"),
    }[file.suffix]
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"a model in the format {extra} needs the package {package}: .*nlp\[{extra}\]'"
    with pytest.raises(InputError, match=message):
        Predictor.from_pretrained(file.parent)
