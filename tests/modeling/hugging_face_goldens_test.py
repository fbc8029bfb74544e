"""Folders that Hugging Face's library wrote give its own numbers, in every format and class."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import models, networks

CLASSES = {
    "ElectraModel": networks.ElectraEncoder,
    **{name: getattr(models, name) for name in models.__all__ if name.startswith("ElectraFor")},
}
# Every folder, and the class that wrote it.
FOLDERS = {
    "hf_tf_h5_masked_lm": "ElectraForMaskedLM",
    "hf_tf_h5_model_base": "ElectraModel",
    "hf_tf_h5_multiple_choice": "ElectraForMultipleChoice",
    "hf_tf_h5_pretraining": "ElectraForPreTraining",
    "hf_tf_h5_question_answering": "ElectraForQuestionAnswering",
    "hf_tf_h5_sequence_classification": "ElectraForSequenceClassification",
    "hf_tf_h5_token_classification": "ElectraForTokenClassification",
    "hf_tiny_causal_lm": "ElectraForCausalLM",
    "hf_tiny_causal_lm_cross_attention": "ElectraForCausalLM",
    "hf_tiny_fp16_stored_pretraining": "ElectraForPreTraining",
    "hf_tiny_masked_lm": "ElectraForMaskedLM",
    "hf_tiny_masked_lm_gelu_new": "ElectraForMaskedLM",
    "hf_tiny_masked_lm_small_variance": "ElectraForMaskedLM",
    "hf_tiny_masked_lm_small_variance_eps1e-5": "ElectraForMaskedLM",
    "hf_tiny_masked_lm_untied": "ElectraForMaskedLM",
    "hf_tiny_model_base": "ElectraModel",
    "hf_tiny_model_inputs": "ElectraModel",
    "hf_tiny_model_no_projection": "ElectraModel",
    "hf_tiny_model_relative_key": "ElectraModel",
    "hf_tiny_model_relative_key_query": "ElectraModel",
    "hf_tiny_multiple_choice": "ElectraForMultipleChoice",
    "hf_tiny_pair_discriminator": "ElectraForPreTraining",
    "hf_tiny_pair_generator": "ElectraForMaskedLM",
    "hf_tiny_pretraining": "ElectraForPreTraining",
    "hf_tiny_pretraining_gelu_new": "ElectraForPreTraining",
    "hf_tiny_pretraining_relative_key": "ElectraForPreTraining",
    "hf_tiny_pytorch_bin_masked_lm_legacy": "ElectraForMaskedLM",
    "hf_tiny_pytorch_bin_pretraining": "ElectraForPreTraining",
    "hf_tiny_question_answering": "ElectraForQuestionAnswering",
    "hf_tiny_sequence_classification": "ElectraForSequenceClassification",
    "hf_tiny_sequence_classification_relu": "ElectraForSequenceClassification",
    "hf_tiny_sequence_multilabel": "ElectraForSequenceClassification",
    "hf_tiny_sequence_regression": "ElectraForSequenceClassification",
    "hf_tiny_sharded_pretraining": "ElectraForPreTraining",
    "hf_tiny_token_classification": "ElectraForTokenClassification",
}
PICKLES = [name for name in FOLDERS if "_pytorch_bin_" in name]
WITHOUT_PICKLES = [name for name in FOLDERS if name not in PICKLES]
# Absolute; sums over the vocabulary's vectors round more than others.
TOLERANCE, TOLERANCE_OF_LOGITS = 1e-5, 2e-5
STEPS = 3  # that a decoder was made to take one by one


def read_cases(folder) -> dict[str, dict[str, dict]]:
    """Arrays by case, part (in, out, ...) and name."""
    cases = {}
    with np.load(folder / "expected.npz") as arrays:
        for key, value in arrays.items():
            case, part, name = key.split("__")
            cases.setdefault(case, {}).setdefault(part, {})[name] = value
    return cases


def outputs_of(model, inputs: dict) -> dict[str, np.ndarray]:
    """All that the model returns, as Hugging Face's arrays have it."""
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    options = {"output_hidden_states": True, "output_attentions": True}
    if "use_cache" in inputs:
        options["use_cache"] = bool(inputs.pop("use_cache"))
    outputs = model(inputs, **options)
    past = outputs.pop("past_key_values", [])
    found = {name: np.array(value) for name, value in outputs.items()}
    for kept in ("key", "value") if past else ():
        of_layers = np.array([layer[kept] for layer in past])  # [layers, B, L, N, D]
        found[f"past_{kept}"] = of_layers.transpose(0, 1, 3, 2, 4)
    if "sequence_output" in found:
        found["last_hidden_state"] = found.pop("sequence_output")
    return found


def assert_hugging_faces(model, folder):
    compared = 0
    for case, parts in read_cases(folder).items():
        # What a float64 of theirs gave is no number of ours.
        assert parts.keys() <= {"in", "out", "out64", "step"}
        found = outputs_of(model, parts["in"])
        for name, expected in parts["out"].items():
            tolerance = TOLERANCE_OF_LOGITS if name == "logits" else TOLERANCE
            np.testing.assert_allclose(
                found[name], expected, rtol=0, atol=tolerance, err_msg=f"{case}: {name}"
            )
            compared += 1
        if "step" in parts:
            assert parts["step"].keys() == {"logits"}
            assert_steps(model, parts["in"]["input_ids"], parts["step"]["logits"])
    assert compared


def assert_steps(model, ids, expected):
    """The last tokens one by one, with the keys and values of those before them."""
    past = model({"input_ids": ids[:, :-STEPS]}, use_cache=True)["past_key_values"]
    for step in range(STEPS):
        place = ids.shape[1] - STEPS + step
        inputs = {"input_ids": ids[:, place : place + 1], "past_key_values": past}
        outputs = model(inputs, use_cache=True)
        past = outputs["past_key_values"]
        np.testing.assert_allclose(
            outputs["logits"][:, 0], expected[:, step], rtol=0, atol=TOLERANCE_OF_LOGITS
        )


def load(folder):
    return CLASSES[FOLDERS[folder.name]].from_pretrained(folder, strict=True)


def test_every_folder_has_a_row(outside_data):
    folders = (outside_data / "golden").glob("hf_*")
    assert sorted(FOLDERS) == sorted(folder.name for folder in folders)


@pytest.mark.parametrize("name", WITHOUT_PICKLES)
def test_outputs_are_hugging_faces(golden, name):
    assert_hugging_faces(load(golden(name)), golden(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", PICKLES)
def test_outputs_of_a_pickle_are_hugging_faces(golden, name):
    pytest.importorskip("torch", reason="pickles are read by torch, an extra")
    assert_hugging_faces(load(golden(name)), golden(name))


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_without_torch_is_refused_and_the_way_out_named(golden, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"official_nlp\[torch\].* safe_serialization=True"):
        load(golden(name))


@pytest.mark.parametrize("name", WITHOUT_PICKLES)
def test_what_is_saved_again_is_the_same_to_the_bit(golden, name, tmp_path):
    before = load(golden(name))
    before.save_pretrained(tmp_path)
    after = type(before).from_pretrained(tmp_path, strict=True)
    assert after.config.to_dict() | {"dtype": 0} == before.config.to_dict() | {"dtype": 0}
    states = before.state(), after.state()
    assert states[0].keys() == states[1].keys()
    for tensor, value in states[0].items():
        np.testing.assert_array_equal(states[1][tensor], value)
