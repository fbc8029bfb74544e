"""The discriminator alone: its loss counts real tokens, its numbers are the pre-trainer's."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import losses, models
from tests.modeling import tiny


@pytest.fixture(scope="module")
def batch():
    """Text alone; the second row has padding."""
    return {k: x for k, x in tiny.batch().items() if k.startswith("input_")}


@pytest.fixture(scope="module")
def labels():
    return tf.constant(np.random.default_rng(1).integers(0, 2, [2, tiny.LENGTH]), tf.int32)


@pytest.fixture(scope="module")
def model():
    """Not to be changed for good."""
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForPreTraining(tiny.without_dropout())


def binary_cross_entropy(logits, labels):
    """For each token, by the formula."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    return np.log1p(np.exp(-logits)) * labels + np.log1p(np.exp(logits)) * (1 - labels)


def test_the_loss_is_the_mean_over_real_tokens(model, batch, labels):
    outputs = model(batch, labels=labels)
    each = binary_cross_entropy(outputs["logits"], labels)
    expected = each[batch["input_mask"].numpy() == 1].mean()
    np.testing.assert_allclose(outputs["loss"], expected, rtol=1e-6)
    theirs = {"input_ids": batch["input_word_ids"], "attention_mask": batch["input_mask"]}
    theirs["token_type_ids"] = batch["input_type_ids"]
    assert model(theirs, labels=labels)["loss"] == outputs["loss"]


def test_without_a_mask_all_tokens_count(model, batch, labels):
    outputs = model(batch["input_word_ids"], labels=labels)
    expected = binary_cross_entropy(outputs["logits"], labels).mean()
    np.testing.assert_allclose(outputs["loss"], expected, rtol=1e-6)


def test_tokens_of_documents_count(model, batch, labels):
    documents = tf.constant([[1, 1, 2, 2, 2, 0, 0, 0], [3, 3, 3, 3, 3, 3, 3, 3]])
    outputs = model(input_ids=batch["input_word_ids"], document_ids=documents, labels=labels)
    each = binary_cross_entropy(outputs["logits"], labels)
    np.testing.assert_allclose(outputs["loss"], each[documents.numpy() > 0].mean(), rtol=1e-6)


def test_the_loss_is_that_of_the_pre_trainer(batch, labels):
    pretrainer = tiny.pretrainer(dropout=False)
    model = models.ElectraForPreTraining(tiny.without_dropout())
    model.encoder.set_weights(pretrainer.discriminator_network.get_weights())
    model.dense.set_weights(pretrainer.discriminator_projection.get_weights())
    model.dense_prediction.set_weights(pretrainer.discriminator_head.get_weights())
    outputs = model(batch, labels=labels)
    ids, mask, types = (batch[f"input_{name}"] for name in ("word_ids", "mask", "type_ids"))
    np.testing.assert_array_equal(outputs["logits"], pretrainer.discriminate(ids, mask, types))
    total, weight = losses.replaced_token_loss(outputs["logits"], labels, mask)
    np.testing.assert_allclose(outputs["loss"], total / weight, rtol=1e-6)


def test_labels_that_do_not_fit_are_refused(model, batch, labels):
    with pytest.raises(InputError, match=r"labels must be \[2, 8\].* were \[2, 5\]"):
        model(batch, labels=labels[:, :5])
    pairs = tf.ones([2, tiny.LENGTH, tiny.LENGTH])
    assert model({**batch, "input_mask": pairs})["logits"].shape == [2, tiny.LENGTH]
    with pytest.raises(InputError, match="a mask of pairs does not say which tokens count"):
        model({**batch, "input_mask": pairs}, labels=labels)


def test_metrics_see_every_real_token(model, batch, labels):
    accuracy = tf_keras.metrics.BinaryAccuracy(threshold=0.0)
    model.compile(metrics=[accuracy, tf_keras.metrics.AUC(from_logits=True)], run_eagerly=True)
    data = tf.data.Dataset.from_tensors({**batch, "labels": labels})
    logs = model.evaluate(data, verbose=0, return_dict=True)
    real = batch["input_mask"].numpy() == 1
    logits, labels = model(batch)["logits"].numpy()[real], labels.numpy()[real]
    np.testing.assert_allclose(logs["binary_accuracy"], np.mean((logits > 0) == labels), rtol=1e-6)
    assert 0 < logs["auc"] < 1


def test_the_heads_activation_is_the_encoders(batch):
    outputs = []
    for hidden_act in ("gelu", "relu"):
        model = models.ElectraForPreTraining(tiny.config(hidden_act=hidden_act))
        for variable in model.variables:
            variable.assign(np.random.default_rng(3).normal(size=variable.shape))
        sequence = model.encoder(batch)["sequence_output"]
        hidden = sequence @ model.dense.kernel + model.dense.bias
        hidden = tf.nn.relu(hidden) if hidden_act == "relu" else tf.nn.gelu(hidden)
        expected = hidden @ model.dense_prediction.kernel + model.dense_prediction.bias
        outputs.append(model(batch)["logits"])
        np.testing.assert_allclose(outputs[-1], expected[..., 0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(*outputs)
