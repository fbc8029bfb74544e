"""Inputs of the pre-trainer: both spellings are taken, and all else is refused in our words."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling.models import pretrainer_inputs
from tests.modeling import tiny

ALIASES = {
    "input_word_ids": "input_ids",
    "input_mask": "attention_mask",
    "input_type_ids": "token_type_ids",
}
REQUIRED = ("input_word_ids", "masked_lm_positions", "masked_lm_ids")


@pytest.fixture(scope="module")
def model():
    return tiny.pretrainer(dropout=False, layers=1)


def other_spelling() -> dict:
    batch = tiny.batch()
    return {ALIASES.get(name, name): x for name, x in batch.items()}


def test_both_spellings_result_in_the_same_outputs(model):
    outputs = []
    for batch in (tiny.batch(), other_spelling()):
        with randomness.stream(randomness.Key(3)):
            outputs.append(model(batch))
    for name, value in outputs[0].items():
        np.testing.assert_array_equal(value, outputs[1][name], err_msg=name)


def with_value(name, value, index=(0, 1)) -> dict:
    """Return a batch with another value at one place of an input."""
    batch = tiny.batch()
    array = batch[name].numpy()
    if isinstance(value, float):
        array = array.astype(np.float32)
    array[index] = value
    return {**batch, name: array}


INT = np.int32
WRONG = [
    ({"attention_mask": np.ones([2, 8], INT)}, "give 'input_mask' or 'attention_mask', not both"),
    (
        {"masked_lm_position": 1},
        "unknown input 'masked_lm_position'; the pre-trainer takes input_w",
    ),
    ({"masked_lm_ids": None}, "the inputs lack masked_lm_ids"),
    ({"masked_lm_ids": np.zeros([2, 2], INT)}, r"shape of masked_lm_positions, \(2, 3\), was"),
    ({"masked_lm_weights": np.zeros([2, 2])}, r"masked_lm_weights must have the shape of masked"),
    (
        {"input_mask": np.ones([2, 7])},
        r"input_mask must have the shape of input_word_ids, \(2, 8\)",
    ),
    (
        {"input_type_ids": np.zeros([2, 8])},
        r"input_type_ids must be integers of two axes, .* float",
    ),
    ({"masked_lm_positions": np.zeros([2, 0], INT)}, r"at least 1 and at most .* had 0"),
    ({"masked_lm_positions": np.zeros([1, 3], INT)}, r"a row for each of the 2 sequences"),
]
OUT_OF_RANGE = [
    ("input_mask", float("nan"), r"input_mask must be 1 at tokens and 0 at padding, was nan"),
    ("input_mask", 0.5, r"input_mask must be 1 at tokens and 0 at padding, was 0.5"),
    ("input_mask", -1, r"input_mask must be 1 .* was -1"),
    ("input_word_ids", 32, r"input_word_ids must be from 0 to 31, .* was 32"),
    ("input_word_ids", -1, r"input_word_ids must be from 0 to 31, .* was -1"),
    ("masked_lm_positions", 8, r"masked_lm_positions must be from 0 to 7, .* was 8"),
    ("masked_lm_ids", 99, r"masked_lm_ids must be from 0 to 31, .* was 99"),
    ("masked_lm_weights", float("nan"), r"masked_lm_weights must be at least 0, was nan"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_inputs_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        pretrainer_inputs.read({**tiny.batch(), **changes}, REQUIRED, tiny.VOCABULARY, 3)


@pytest.mark.parametrize(("name", "value", "message"), OUT_OF_RANGE)
def test_values_out_of_range_are_refused(name, value, message):
    batch = with_value(name, value)
    with pytest.raises(InputError, match=message):
        pretrainer_inputs.read(batch, REQUIRED, tiny.VOCABULARY, 3)
    assert not pretrainer_inputs.are_valid(batch, tiny.VOCABULARY)


def test_batches_of_the_datasets_are_taken():
    batch = {**tiny.batch(), "stream_position": np.arange(2)}
    assert pretrainer_inputs.read(batch, REQUIRED, tiny.VOCABULARY, 3).keys() == batch.keys()


def test_an_unused_slot_may_hold_anything():
    batch = with_value("masked_lm_ids", -100, (1, 2))
    assert pretrainer_inputs.read(batch, REQUIRED, tiny.VOCABULARY, 3).keys() == batch.keys()
    assert pretrainer_inputs.are_valid(batch, tiny.VOCABULARY)


def test_inputs_that_are_no_dict_are_refused(model):
    with pytest.raises(InputError, match="inputs must be a dict of input_word_ids"):
        model.generate([1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": np.ones(2), "y": np.zeros(2)}, "sample_weight and class_weight must be"),
        ({"class_weight": {0: 0.0}, "y": np.zeros(2)}, "sample_weight and class_weight must be"),
        ({"y": np.zeros(2)}, "labels must be left out"),
    ],
)
def test_fit_refuses_what_it_would_not_use(model, options, message):
    model.compile(tf_keras.optimizers.SGD(0.1), run_eagerly=True)
    with pytest.raises(InputError, match=message):
        model.fit(tiny.batch(), verbose=0, **options)


def test_fit_checks_arrays_before_it_builds_a_graph(model):
    model.compile(tf_keras.optimizers.SGD(0.1), jit_compile=True)
    with pytest.raises(InputError, match="input_word_ids must be from 0 to 31"):
        model.fit(with_value("input_word_ids", 77), verbose=0)


@pytest.mark.slow
def test_fit_of_a_dataset_with_ids_out_of_range_has_no_loss_under_xla():
    model = tiny.pretrainer(dropout=False, layers=1)
    model.compile(tf_keras.optimizers.SGD(0.1), jit_compile=True)
    batch = with_value("input_word_ids", 77)
    history = model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history
    assert np.isnan(history["loss"]).all()
