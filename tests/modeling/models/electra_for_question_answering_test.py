"""Answers in a text: which positions count, and that the model learns them."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

TEXT = ("input_word_ids", "input_mask", "input_type_ids")
L = tiny.LENGTH


@pytest.fixture(scope="module")
def model():
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForQuestionAnswering(tiny.without_dropout())


def batch(start, end):
    labels = {"start_positions": np.int64(start), "end_positions": np.int64(end)}
    return {**{k: x for k, x in tiny.batch().items() if k in TEXT}, **labels}


def cross_entropy(logits, targets: dict):
    scores = tf.nn.log_softmax(logits).numpy()
    return np.mean([-scores[row, position] for row, position in targets.items()])


@pytest.mark.parametrize(
    ("start", "end", "starts", "ends"),
    [
        ([1, 4], [3, 4], {0: 1, 1: 4}, {0: 3, 1: 4}),
        ([[1], [4]], [[3], [4]], {0: 1, 1: 4}, {0: 3, 1: 4}),
        ([1, L], [3, 99], {0: 1}, {0: 3}),  # the second answer was cut off
        ([1, L - 1], [3, L], {0: 1, 1: L - 1}, {0: 3}),  # half of it
        ([-1, 4], [-100, 4], {0: 0, 1: 4}, {0: 0, 1: 4}),  # there is none
    ],
)
def test_the_loss_is_the_mean_of_those_of_both_ends(model, start, end, starts, ends):
    outputs = model(batch(start, end))
    expected = cross_entropy(outputs["start_logits"], starts) / 2
    expected += cross_entropy(outputs["end_logits"], ends) / 2
    compiled = tf.function(model, jit_compile=True)(batch(start, end))
    for found in (outputs, compiled):
        np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


def test_where_no_answer_is_in_the_rows_the_loss_is_0(model):
    assert float(model(batch([L, L], [L + 1, L]))["loss"]) == 0


def test_an_end_alone_is_refused(model):
    inputs = batch([1, 4], [3, 4])
    del inputs["start_positions"]
    with pytest.raises(InputError, match="together, start_positions is missing"):
        model(inputs)


@pytest.mark.slow
def test_it_learns_a_batch_by_heart():
    tf_keras.utils.set_random_seed(1)
    model = models.ElectraForQuestionAnswering(tiny.without_dropout())
    assert tiny.learnt(model, batch([1, 4], [3, 4])) < 0.05


def test_fit_takes_pairs_of_inputs_and_both_labels(model):
    inputs = batch([1, 4], [3, 4])
    both = {name: inputs.pop(name) for name in ("start_positions", "end_positions")}
    model.compile()
    for labels in (both, tuple(both.values())):
        loss = model.evaluate(tf.data.Dataset.from_tensors((inputs, labels)), verbose=0)
        assert loss == pytest.approx(float(model({**inputs, **both})["loss"]), rel=1e-5)
