"""Answers, their ends given their starts, and whether there is one."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

TEXT = ("input_word_ids", "input_mask", "input_type_ids")
L = tiny.LENGTH
# tiny.batch has the types 0 0 0 0 0 1 1 1, of which the second row has one token more and padding.
ALLOWED = np.array([[1, 0, 0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 0, 1, 0, 0]], bool)


def make(**options):
    tf_keras.utils.set_random_seed(1)
    config = tiny.without_dropout(num_hidden_layers=1)
    return models.ElectraForJointQuestionAnswering(config, **{"beam_size": 3, **options})


@pytest.fixture(scope="module")
def model():
    return make()


def text():
    return {name: x.numpy() for name, x in tiny.batch().items() if name in TEXT}


def labels(start, end, impossible=(0, 0)):
    return {
        "start_positions": np.int64(start),
        "end_positions": np.int64(end),
        "is_impossible": np.int64(impossible),
    }


def cross_entropy(logits, targets: dict):
    scores = tf.nn.log_softmax(logits).numpy()
    return np.mean([-scores[row, position] for row, position in targets.items()])


@pytest.mark.parametrize(
    ("start", "end", "impossible", "starts", "ends"),
    [
        ([5, 0], [6, 0], [0, 1], {0: 5, 1: 0}, {0: 6, 1: 0}),
        ([[5], [5]], [[7], [5]], [[0], [0]], {0: 5, 1: 5}, {0: 7, 1: 5}),
        ([5, L], [6, 99], [0, 0], {0: 5}, {0: 6}),  # the second answer was cut off
    ],
)
def test_the_loss_is_half_the_sum_of_three(model, start, end, impossible, starts, ends):
    batch = {**text(), **labels(start, end, impossible)}
    outputs = model(batch)
    given = model({**text(), "start_index": np.ravel(start)})
    np.testing.assert_array_equal(given["end_logits"], outputs["end_logits"])
    answerable = np.ravel(outputs["answerable_logits"]) * np.where(np.ravel(impossible), -1, 1)
    expected = cross_entropy(outputs["start_logits"], starts) / 2
    expected += cross_entropy(outputs["end_logits"], ends) / 2
    expected += np.mean(np.log1p(np.exp(-answerable))) / 2
    compiled = tf.function(model, jit_compile=True)(batch)
    for found in (outputs, compiled):
        np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


def test_answers_lie_in_the_text_or_at_the_first_token(model):
    outputs = model(text())
    np.testing.assert_array_equal(outputs["start_logits"].numpy() > -1000, ALLOWED)
    for ends, allowed in zip(outputs["end_logits"].numpy(), ALLOWED):
        assert ends.shape == (3, L)
        np.testing.assert_array_equal(ends > -1000, np.tile(allowed, [3, 1]))
    hugging_face = dict(zip(("input_ids", "attention_mask", "token_type_ids"), text().values()))
    np.testing.assert_array_equal(model(hugging_face)["end_logits"], outputs["end_logits"])
    unpadded = {k: x[1:, :6] for k, x in text().items() if k != "input_mask"}
    np.testing.assert_allclose(
        model(unpadded)["start_logits"], outputs["start_logits"][1:, :6], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_type_ids": None}, "token_type_ids are missing: they must be 1 for the tokens"),
        ({"input_mask": np.ones([2, L, L])}, r"attention_mask must be \[batch, length\]"),
        ({"start_positions": np.int32([0, 0])}, "given together, end_positions is missing"),
        (labels([0, 0], [0, 0], [1, 1, 1]), r"labels must be \[2\] as the outputs, were \[3\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, change, message):
    with pytest.raises(InputError, match=message):
        model({**text(), **change})


def test_a_beam_has_at_least_one_start():
    with pytest.raises(InputError, match="beam_size must be an integer from 1 to 1,000, was 0"):
        make(beam_size=0)


def test_it_learns_a_batch_by_heart_and_predicts_without_labels(tmp_path):
    model = make()
    batch = {**text(), **labels([6, 0], [7, 0], [0, 1])}
    assert tiny.learnt(model, batch) < 0.05
    found = model.predict(tf.data.Dataset.from_tensors(batch), verbose=0)
    assert found["end_logits"].shape == (2, 3, L)
    np.testing.assert_array_equal(found["start_top_index"][:, 0], [6, 0])
    np.testing.assert_array_equal(found["end_logits"][:, 0].argmax(axis=-1), [7, 0])
    np.testing.assert_array_equal(found["answerable_logits"] > 0, [True, False])
    # Although it was trained with labels, the saved model needs none.
    model.save(tmp_path / "model.keras")
    again = tf_keras.models.load_model(tmp_path / "model.keras")
    assert again.beam_size == 3
    for name, value in again(text()).items():
        np.testing.assert_allclose(value, found[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_saved_folder_names_the_class_and_is_loaded_again(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["ElectraForJointQuestionAnswering"]
    kind = models.ElectraForJointQuestionAnswering
    again = kind.from_pretrained(tmp_path, strict=True, beam_size=2)
    assert again.beam_size == 2
    outputs, expected = again(text()), model(text())
    np.testing.assert_array_equal(outputs["end_logits"], expected["end_logits"][:, :2])
    np.testing.assert_array_equal(outputs["answerable_logits"], expected["answerable_logits"])
    heads = {name for name in again.state() if not name.startswith("electra.")}
    parts = ("start", "end_hidden", "end", "answerable_hidden", "answerable")
    assert heads == {f"span_head.{part}.{leaf}" for part in parts for leaf in ("weight", "bias")}
