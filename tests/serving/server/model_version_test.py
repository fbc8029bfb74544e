"""Versions of models in memory."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.model_version import ModelVersion
from official_nlp.serving.server.refused import Refused
from tests.serving.server import saved_toy


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    # A folder that TensorFlow would take for a pattern.
    version = tmp_path_factory.mktemp("a[1]") / "7"
    saved_toy.save(version)
    return version


@pytest.fixture(scope="module")
def model(version):
    return ModelVersion(version)


def test_strings_go_in_and_come_out(model):
    outputs = model.run("serving_default", {"text": np.array(["é f".encode(), b""], object)})
    assert {name: array.tolist() for name, array in outputs.items()} == {
        "num_words": [2, 0],
        "size": [4, 0],
        "word": [["é".encode(), b"f"], [b"", b""]],
    }
    assert (model.version, model.head, model.length) == (7, None, None)


@pytest.mark.parametrize(("windows", "length"), [({}, 10), ({"windows": 3}, 30)])
def test_a_text_has_the_tokens_of_all_its_windows(version, tmp_path, windows, length):
    copy = shutil.copytree(version, tmp_path / "8")
    exported_files.Description("saved_model", "TokenClassifier", 10, {}, {}, {}, **windows).write(
        copy
    )
    model = ModelVersion(copy)
    assert (model.head, model.length) == ("TokenClassifier", length)


def test_signatures_are_described(model):
    assert "unusual" not in model.signatures, "JSON has no complex numbers"
    signature = model.signatures["serving_default"]
    assert signature.inputs["text"].shape == (None,)
    assert signature.outputs["word"].shape == (None, None)
    assert signature.by_row


def test_no_row_is_no_fault(model):
    assert model.run("serving_default", {"text": np.empty(0, object)})["size"].shape == (0,)


def test_the_refusal_of_a_model_is_a_wrong_request(model):
    with pytest.raises(Refused, match=r"the model refuses the input: .*too small") as refused:
        model.run("check", {"text": np.array([b"0"], object)})
    assert refused.value.status == 400
    assert "Graph execution error" not in refused.value.reason


def test_too_little_memory_is_the_fault_of_the_server(model, monkeypatch):
    def exhausted(**_):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    monkeypatch.setattr(model, "_loaded", type("Loaded", (), {"signatures": {"slow": exhausted}}))
    with pytest.raises(Refused, match="memory") as refused:
        model.run("slow", {"text": np.array([b"0"], object)})
    assert refused.value.status == 503


def test_a_model_is_warm_when_each_signature_was_computed(model, monkeypatch):
    names = []

    def run(name, inputs):
        names.append(name)
        if name == "check":
            raise Refused(400, "a sample is not what the model expects")

    monkeypatch.setattr(model, "run", run)
    model.warm_up()
    assert sorted(names) == ["check", "serving_default", "slow"]
    monkeypatch.setattr(model, "run", lambda name, inputs: 1 // 0)
    with pytest.raises(InputError, match="cannot compute"):
        model.warm_up()


@pytest.mark.parametrize("damage", ["graph", "variables", "description"])
def test_a_damaged_version_is_refused(version, tmp_path, damage):
    copy = tmp_path / "8"
    shutil.copytree(version, copy)
    if damage == "graph":
        (copy / "saved_model.pb").write_bytes(b"half")
    elif damage == "variables":
        shutil.rmtree(copy / "variables")
    else:
        (copy / "assets.extra").mkdir()
        (copy / "assets.extra" / "electra.json").write_text(json.dumps({"head": 1}))
    with pytest.raises(InputError, match="export the model again"):
        ModelVersion(copy)


def test_a_model_without_a_usable_signature_is_refused(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda wave: wave, [tf.TensorSpec([None], tf.complex64, "wave")])
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.call})
    with pytest.raises(InputError, match="must have a signature of strings, numbers and booleans"):
        ModelVersion(tmp_path / "1")


@pytest.mark.parametrize(
    ("name", "value"), [("queue", 0), ("body_bytes", 1.5), ("timeout", 0), ("batch_wait", -1)]
)
def test_a_limit_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name} must be"):
        Limits(**{name: value})
