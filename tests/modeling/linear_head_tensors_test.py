"""A linear classifier in a file of the Hugging Face head computes the same logits there."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special

from official_nlp.errors import InputError
from official_nlp.interchange import huggingface
from official_nlp.modeling import linear_head_tensors, models
from tests.modeling import tiny

# By width, of logits whose inputs have the standard deviation 1.
LARGEST_ERROR = {32: 1e-6, 256: 4e-6, 768: 8e-6}
IDS = {"input_ids": np.array([[2, 5, 6, 3], [2, 7, 8, 3]])}


def hugging_face_logits(x, state):
    """Return what the two layers with gelu compute from the first tokens, in float32."""
    hidden = x @ state["classifier.dense.weight"].T + state["classifier.dense.bias"]
    hidden = hidden * (1 + special.erf(hidden / np.sqrt(np.float32(2)))) / 2
    return hidden @ state["classifier.out_proj.weight"].T + state["classifier.out_proj.bias"]


def stored(layer) -> dict:
    tensors = linear_head_tensors.named_tensors("classifier", layer)
    assert all(tensor.to_hugging_face().shape == tensor.shape for tensor in tensors)
    return {tensor.name: tensor.to_hugging_face() for tensor in tensors}


@pytest.mark.parametrize("width", LARGEST_ERROR)
@pytest.mark.parametrize("classes", [1, 3, 16])
def test_the_two_layers_compute_the_logits_of_one(width, classes):
    random = np.random.default_rng(width)
    layer = tf_keras.layers.Dense(classes)
    layer.build([None, width])
    layer.kernel.assign(random.normal(0, 0.05, [width, classes]))
    layer.bias.assign(random.normal(0, 0.05, [classes]))
    # Mostly as LayerNorm returns them, and some that are very small or very large.
    x = random.normal(size=[2000, width]).astype(np.float32)
    scale = np.ones([2000, 1])
    scale[1000:] = 10.0 ** random.integers(-4, 4, [1000, 1])
    x = (x * scale).astype(np.float32)
    exact = x.astype(np.float64) @ layer.kernel.numpy() + layer.bias.numpy()
    found = hugging_face_logits(x, stored(layer))
    assert found.dtype == np.float32
    error = np.abs(found - exact) / np.maximum(scale, 1)
    assert error.max() < LARGEST_ERROR[width]


def test_the_form_is_that_of_the_page():
    layer = tf_keras.layers.Dense(2)
    layer.build([None, 5])
    layer.kernel.assign([[1, 6], [2, 7], [3, 8], [4, 9], [5, 10]])
    layer.bias.assign([0.5, -0.5])
    state = stored(layer)
    rows = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    expected = np.concatenate([rows, -rows, np.zeros([1, 5])])
    np.testing.assert_array_equal(state["classifier.dense.weight"], expected)
    np.testing.assert_array_equal(state["classifier.dense.bias"], np.zeros(5))
    np.testing.assert_array_equal(
        state["classifier.out_proj.weight"], [[1, 0, -1, 0, 0], [0, 1, 0, -1, 0]]
    )
    np.testing.assert_array_equal(state["classifier.out_proj.bias"], [0.5, -0.5])


# === Models ===
def classifier(head="linear", **changes):
    tf_keras.utils.set_random_seed(1)
    model = models.ElectraForSequenceClassification(
        tiny.config(**{"num_labels": 3, **changes}), head=head
    )
    model.classifier.out_proj.bias.assign(tf.range(model.config.num_labels, dtype=tf.float32))
    return model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_saved_linear_head_is_loaded_with_either_head(tmp_path, dtype):
    model = classifier()
    expected = model(IDS)["logits"]
    model.save_pretrained(tmp_path, dtype)
    kind = models.ElectraForSequenceClassification
    dense = kind.from_pretrained(tmp_path, strict=True)
    linear = kind.from_pretrained(tmp_path, strict=True, head="linear")
    assert (dense.head, linear.head) == ("dense", "linear")
    np.testing.assert_allclose(dense(IDS)["logits"], linear(IDS)["logits"], rtol=1e-5, atol=1e-5)
    if dtype == "float32":
        np.testing.assert_array_equal(linear(IDS)["logits"], expected)
        found = huggingface.read_folder(tmp_path).arrays
        x = model.encoder(IDS)["sequence_output"][:, 0].numpy()
        np.testing.assert_allclose(hugging_face_logits(x, found), expected, rtol=1e-5, atol=1e-5)


def test_the_saved_configuration_is_that_of_hugging_faces_class(tmp_path):
    classifier().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert "head" not in config


@pytest.mark.parametrize(
    ("head", "changes"), [("dense", {}), ("linear", {"num_labels": 2}), ("linear", {})]
)
def test_another_head_in_the_file_is_refused_or_newly_initialized(tmp_path, head, changes):
    classifier(head, **changes).save_pretrained(tmp_path)
    state = huggingface.read_folder(tmp_path)
    if (head, changes) == ("linear", {}):  # trained further in another program
        state.arrays["classifier.dense.bias"][0] = 1e-9
        huggingface.write_folder(tmp_path, json.dumps(state.config), state.arrays)
    kind = models.ElectraForSequenceClassification
    options = {"head": "linear", "num_labels": 3}
    with pytest.raises(InputError, match=r"does not fit the model: classifier\..*=True"):
        kind.from_pretrained(tmp_path, **options)
    with pytest.warns(UserWarning, match="newly initialized, because .* lacks them: classifier"):
        loaded = kind.from_pretrained(tmp_path, ignore_mismatched_sizes=True, **options)
    assert all(line.startswith("classifier.") for line in loaded.load_report.mismatched)
    assert loaded.load_report.mismatched
    encoder = "electra.encoder.layer.0.output.dense.weight"
    np.testing.assert_array_equal(loaded.state()[encoder], state.arrays[encoder])


def test_a_single_tensor_of_another_head_is_refused():
    model = classifier()
    tensors = {tensor.name: tensor for tensor in model.named_tensors()}
    for name in ("classifier.dense.weight", "classifier.out_proj.weight", "classifier.dense.bias"):
        value = tensors[name].to_hugging_face() + 1
        with pytest.raises(InputError, match=f"{name}: a trained dense layer in the file"):
            tensors[name].assign_hugging_face(value)


def test_more_labels_than_half_the_width_are_refused():
    width = tiny.config().hidden_size
    assert classifier(num_labels=width // 2)(IDS)["logits"].shape == [2, width // 2]
    with pytest.raises(InputError, match=f"at most hidden_size / 2 = {width // 2} labels, had 9"):
        classifier(num_labels=width // 2 + 1)


def test_an_unknown_head_is_refused():
    with pytest.raises(InputError, match="head must be one of dense, linear, was 'wide'"):
        classifier("wide")
