"""A classifier of tokens: what counts, its dropout, and that it learns."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import models
from tests.modeling import tiny

TEXT = ("input_word_ids", "input_mask", "input_type_ids")
LABELS = np.int32([[-100, 0, 2, 1, 1, -100, 2, -100], [-100, 1, -100, 0, 2, -100, -100, -100]])


def make(**changes):
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForTokenClassification(tiny.config(num_labels=3, **changes))


def batch(labels=LABELS):
    return {**{k: x for k, x in tiny.batch().items() if k in TEXT}, "labels": labels}


def test_the_loss_is_the_mean_of_the_tokens_that_count_eagerly_and_compiled():
    model = make()
    outputs = model(batch())
    scores = tf.nn.log_softmax(outputs["logits"]).numpy()
    expected = np.mean([-scores[i, j, LABELS[i, j]] for i, j in np.argwhere(LABELS >= 0)])
    compiled = tf.function(model, jit_compile=True)(batch())
    for found in (outputs, compiled):
        np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)


def test_where_no_token_counts_the_loss_is_0():
    assert float(make()(batch(np.full_like(LABELS, -100)))["loss"]) == 0


def test_labels_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"labels must be \[2, 8\] as the outputs, were \[2, 7\]"):
        make()(batch(LABELS[:, 1:]))


@pytest.mark.parametrize(("rate", "expected"), [(None, 0.1), (0.0, 0.0), (0.4, 0.4)])
def test_the_dropout_of_the_classifier_is_the_networks_unless_said(rate, expected):
    assert make(classifier_dropout=rate).classifier.dropout_rate == expected


@pytest.mark.slow
def test_it_learns_a_batch_by_heart():
    model = make(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert tiny.learnt(model, batch()) < 0.05


def test_a_metric_of_keras_sees_the_tokens_that_count():
    model = make()
    model.compile(metrics=["sparse_categorical_accuracy"])
    _, accuracy = model.evaluate(tf.data.Dataset.from_tensors(batch()), verbose=0)
    right = model(batch())["logits"].numpy().argmax(-1)[LABELS >= 0] == LABELS[LABELS >= 0]
    assert accuracy == pytest.approx(right.mean())
