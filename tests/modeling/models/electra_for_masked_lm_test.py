"""The generator alone: the vocabulary is scored everywhere, or at some positions."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import losses, models
from tests.modeling import tiny


@pytest.fixture(scope="module")
def batch():
    """Text alone."""
    return {k: x for k, x in tiny.batch().items() if k.startswith("input_")}


@pytest.fixture(scope="module")
def masked():
    """Positions, ids and weights of the masked slots, and the labels that say the same."""
    batch = tiny.batch()
    positions, ids, weights = (batch[f"masked_lm_{k}"] for k in ("positions", "ids", "weights"))
    labels = np.full([2, tiny.LENGTH], -100, np.int32)
    for row in range(2):
        for slot in np.flatnonzero(weights[row]):
            labels[row, positions[row, slot]] = ids[row, slot]
    return positions, ids, weights, tf.constant(labels)


def made(**changes):
    tf_keras.utils.set_random_seed(1)
    return models.ElectraForMaskedLM(tiny.without_dropout(**changes))


@pytest.fixture(scope="module")
def model():
    """Not to be changed for good."""
    return made()


def test_the_loss_is_that_of_the_pre_trainers_slots(model, batch, masked):
    positions, ids, weights, labels = masked
    outputs = model(batch, labels=labels)
    logits = tf.gather(outputs["logits"], positions, batch_dims=1)
    total, weight = losses.masked_lm_loss(logits, ids, weights)
    np.testing.assert_allclose(outputs["loss"], total / weight, rtol=1e-6)


def test_positions_give_the_scores_of_these_and_the_same_loss(model, batch, masked):
    positions, ids, weights, labels = masked
    everywhere = model(batch, labels=labels)
    here = {**batch, "masked_lm_positions": positions}
    outputs = model(here, labels=tf.where(weights > 0, ids, -100))
    expected = tf.gather(everywhere["logits"], positions, batch_dims=1)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-6)
    np.testing.assert_allclose(outputs["loss"], everywhere["loss"], rtol=1e-6)
    with pytest.raises(InputError, match=r"labels must be \[2, 3\] as the outputs, were \[2, 8\]"):
        model(here, labels=labels)


def test_labels_are_numbers_of_tokens(model, batch):
    with pytest.raises(InputError, match="labels must be integers, numbers of classes, were float"):
        model(batch, labels=tf.ones([2, 8]))


def test_it_is_the_generator_of_a_pre_trainer(batch, masked):
    pretrainer = tiny.pretrainer("untied", dropout=False)
    model = models.ElectraForMaskedLM(pretrainer.generator_network.config)
    model.encoder.set_weights(pretrainer.generator_network.get_weights())
    for part in ("dense", "layer_norm"):
        weights = getattr(pretrainer.masked_lm, part).get_weights()
        getattr(model.masked_lm, part).set_weights(weights)
    inputs = {**batch, "masked_lm_positions": masked[0]}
    expected = pretrainer.generate(inputs)["lm_outputs"]
    np.testing.assert_array_equal(model(inputs)["logits"], expected)


def test_the_output_is_tied_to_the_word_table_or_has_its_own(batch):
    tied, untied = made(), made(tie_word_embeddings=False)
    assert tied.get_output_embeddings() is tied.get_input_embeddings()
    assert len(untied.variables) == len(tied.variables) + 1
    table = untied.get_output_embeddings().embeddings
    assert table is not untied.get_input_embeddings().embeddings
    before = untied(batch)["logits"]
    untied.set_output_embeddings(2 * table)
    np.testing.assert_allclose(untied(batch)["logits"], 2 * before, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match=r"must be \[32, 8\], were \[8\]"):
        untied.set_output_embeddings(table[0])
    with pytest.raises(InputError, match="the output is tied to the word table: call set_input"):
        tied.set_output_embeddings(table)


def test_a_tied_table_has_the_gradients_of_both_ends(model, batch, masked):
    untied = made(tie_word_embeddings=False)
    untied.encoder.set_weights(model.encoder.get_weights())
    for part in ("dense", "layer_norm"):
        weights = getattr(model.masked_lm, part).get_weights()
        getattr(untied.masked_lm, part).set_weights(weights)
    untied.set_output_embeddings(model.get_input_embeddings())
    gradients = []
    for each in (model, untied):
        tables = {id(x.embeddings): x.embeddings for x in _tables(each)}.values()
        with tf.GradientTape() as tape:
            loss = each(batch, labels=masked[3])["loss"]
        found = tape.gradient(loss, list(tables))
        gradients.append(np.sum([tf.convert_to_tensor(x) for x in found], axis=0))
    np.testing.assert_allclose(*gradients, atol=1e-6)


def _tables(model):
    return model.get_input_embeddings(), model.get_output_embeddings()


def test_the_heads_activation_is_exact_gelu_whatever_the_encoders(batch):
    model = made(hidden_act="relu")
    hidden = model.masked_lm.dense(model.encoder(batch)["sequence_output"])
    hidden = model.masked_lm.layer_norm(tf.nn.gelu(hidden))
    table = model.get_output_embeddings().embeddings
    expected = tf.einsum("BLE,VE->BLV", hidden, table) + model.masked_lm.bias
    np.testing.assert_allclose(model(batch)["logits"], expected, rtol=1e-5, atol=1e-6)


def test_accuracy_counts_the_masked_tokens(model, batch, masked):
    labels = masked[3].numpy()
    model.compile(metrics=["accuracy"], run_eagerly=True)
    data = tf.data.Dataset.from_tensors((batch, labels))
    logs = model.evaluate(data, verbose=0, return_dict=True)
    right = np.argmax(model(batch)["logits"], axis=-1)[labels >= 0] == labels[labels >= 0]
    np.testing.assert_allclose(logs["accuracy"], right.mean(), rtol=1e-6)
