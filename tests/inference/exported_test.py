"""Exported folders are opened like models, and damaged ones refused."""

import json
import shutil

import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.inference.predictor import Predictor
from tests.serving.conftest import exported  # noqa: F401


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
    with pytest.raises(InputError, match="must have the keys head, length"):
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
