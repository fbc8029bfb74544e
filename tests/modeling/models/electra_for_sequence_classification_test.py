"""A classifier of rows: its losses for each kind of problem, its dropout, and that it learns."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

TEXT = ("input_word_ids", "input_mask", "input_type_ids")
SINGLE, MULTI = "single_label_classification", "multi_label_classification"
# Number of outputs, the configuration's problem, the labels of two rows, and what they are.
PROBLEMS = {
    "single": (3, None, np.int32([2, 0]), SINGLE),
    "single of 64 bits": (3, None, np.int64([2, 0]), SINGLE),
    "single, one does not count": (3, None, np.int32([-100, 1]), SINGLE),
    "single, said so": (2, SINGLE, np.int32([1, 1]), SINGLE),
    "single with an axis": (3, None, np.int32([[2], [0]]), SINGLE),
    "multiple": (3, None, np.float32([[1, 0, 1], [0, 0, 1]]), MULTI),
    "multiple of booleans": (2, None, np.array([[True, False], [False, False]]), MULTI),
    "multiple of integers, said so": (2, MULTI, np.int32([[1, 0], [0, 1]]), MULTI),
    "regression": (1, None, np.float32([0.25, -3]), "regression"),
    "regression on integers": (1, None, np.int32([4, -3]), "regression"),
    "regression with an axis": (1, None, np.float32([[0.25], [-3]]), "regression"),
    "regression of several": (3, "regression", np.float32([[1, 2, 3], [4, 5, 6]]), "regression"),
}


def make(num_labels=3, **changes):
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForSequenceClassification(tiny.config(num_labels=num_labels, **changes))


def text():
    return {name: value for name, value in tiny.batch().items() if name in TEXT}


def expected_loss(kind, logits, labels):
    logits = np.float64(logits)
    if kind == SINGLE:
        scores = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        labels = labels.reshape(-1)
        return np.mean([-scores[i, label] for i, label in enumerate(labels) if label >= 0])
    labels = labels.reshape(logits.shape)
    if kind == MULTI:
        chances = 1 / (1 + np.exp(-logits))
        return np.mean(-np.log(np.where(labels, chances, 1 - chances)))
    return np.mean((logits - labels) ** 2)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_loss_is_that_of_the_problem_eagerly_and_compiled(name):
    num_labels, problem_type, labels, kind = PROBLEMS[name]
    model = make(num_labels, problem_type=problem_type)
    batch = {**text(), "labels": labels}
    outputs = model(batch)
    compiled = tf.function(model, jit_compile=True)(batch)
    assert outputs["loss"].dtype == tf.float32
    for found in (outputs, compiled):
        expected = expected_loss(kind, outputs["logits"], labels)
        np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


def test_where_no_label_counts_the_loss_is_0():
    assert float(make()({**text(), "labels": [-100, -100]})["loss"]) == 0


def test_a_regression_keeps_the_digits_of_its_labels_in_half_precision():
    tf_keras.utils.set_random_seed(1)
    model = models.ElectraForSequenceClassification(
        tiny.config(num_labels=1), dtype="mixed_bfloat16"
    )
    labels = np.float32([100.25, -7.125])
    outputs = model({**text(), "labels": labels})
    np.testing.assert_allclose(
        outputs["loss"], expected_loss("regression", outputs["logits"], labels), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "labels", "message"),
    [
        ({}, np.float32([1, 0]), r"labels must be \[2, 3\] as the outputs, were \[2\]"),
        ({}, np.int32([[1, 0], [0, 1]]), r"labels must be \[2\] as the outputs, were \[2, 2\]"),
        ({"problem_type": SINGLE}, np.float32([1, 0]), "must be integers, .*, were float32"),
        ({"problem_type": MULTI}, np.int32([1, 0]), r"labels must be \[2, 3\]"),
    ],
)
def test_labels_that_do_not_fit_the_problem_are_refused(changes, labels, message):
    with pytest.raises(InputError, match=message):
        make(**changes)({**text(), "labels": labels})


@pytest.mark.parametrize(("rate", "expected"), [(None, 0.1), (0.0, 0.0), (0.4, 0.4)])
def test_the_dropout_of_the_classifier_is_the_networks_unless_said(rate, expected):
    head = make(classifier_dropout=rate).classifier
    assert (head.first_dropout_rate, head.dropout_rate) == (expected, expected)


def test_a_linear_head_is_dropout_and_one_layer_on_the_first_token():
    tf_keras.utils.set_random_seed(1)
    config = tiny.config(num_labels=3, classifier_dropout=0.4)
    model = models.ElectraForSequenceClassification(config, head="linear")
    assert model.classifier.dense is None
    assert (model.classifier.dropout_rate, model.classifier.first_dropout_rate) == (0.4, 0.0)
    first = model.encoder(text())["sequence_output"][:, 0]
    expected = first @ model.classifier.out_proj.kernel + model.classifier.out_proj.bias
    np.testing.assert_allclose(model(text())["logits"], expected, rtol=1e-5, atol=1e-6)


def test_the_head_survives_resizing_and_a_configuration():
    model = models.ElectraForSequenceClassification(tiny.config(), head="linear")
    for again in (model.resize_token_embeddings(40), type(model).from_config(model.get_config())):
        assert again.head == "linear"
        assert again.classifier.dense is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_labels", "labels"),
    [(3, np.int32([2, 0])), (3, np.float32([[1, 0, 1], [0, 1, 0]])), (1, np.float32([0.5, -1]))],
)
def test_it_learns_a_batch_by_heart(num_labels, labels):
    model = make(num_labels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert tiny.learnt(model, {**text(), "labels": labels}) < 0.05


@pytest.mark.parametrize(
    ("num_labels", "labels", "metric", "expected"),
    [
        (3, np.int32([2, -100]), "sparse_categorical_accuracy", lambda x: x[0].argmax() == 2),
        (
            3,
            np.float32([[1, 0, 1], [0, 1, 0]]),
            lambda y, x: tf_keras.metrics.binary_accuracy(y, x, threshold=0.0),
            lambda x: np.mean((x > 0) == [[1, 0, 1], [0, 1, 0]]),
        ),
        (
            1,
            np.float32([0.5, -1]),
            "mean_absolute_error",
            lambda x: np.mean(np.abs(x[:, 0] - [0.5, -1])),
        ),
    ],
)
def test_metrics_of_keras_see_the_labels_that_count(num_labels, labels, metric, expected):
    model = make(num_labels)
    model.compile(metrics=[metric])
    dataset = tf.data.Dataset.from_tensors((text(), labels))
    _, found = model.evaluate(dataset, verbose=0)
    logits = model.predict(dataset, verbose=0)["logits"]
    assert found == pytest.approx(float(expected(logits)), rel=1e-5)
