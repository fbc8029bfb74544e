"""Training the pre-trainer: which loss moves what, `fit`, replicas, files."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.errors import InputError
from official_nlp.modeling import losses, networks
from official_nlp.modeling.models import sharing
from official_nlp.training import distribution
from tests.modeling import tiny

KEY = randomness.Key(7)


def called(model, batch, **options):
    with randomness.stream(KEY, 3):
        return model(batch, **options)


# === Gradients ===
def gradients(model, batch, term):
    with randomness.stream(KEY), tf.GradientTape() as tape:
        loss_sum, _ = losses.electra_loss(batch, model(batch, training=True))[term]
    found = tape.gradient(loss_sum, model.trainable_variables)
    return {v.ref() for v, g in zip(model.trainable_variables, found) if g is not None}


def refs(*owners):
    return {v.ref() for owner in owners for v in owner.trainable_variables}


@pytest.mark.parametrize("mode", sharing.MODES)
def test_each_term_of_the_loss_moves_its_own_network_and_no_other(batch, mode):
    model = tiny.pretrainer(mode)
    generator, discriminator = model.generator_network, model.discriminator_network
    heads = model.discriminator_projection, model.discriminator_head
    assert gradients(model, batch, "mlm") == refs(generator, model.masked_lm)
    assert gradients(model, batch, "rtd") == refs(discriminator, *heads)


def test_only_shared_embeddings_feel_both_terms(model, batch):
    both = gradients(model, batch, "mlm") & gradients(model, batch, "rtd")
    assert both == refs(model.generator_network.embeddings)
    assert len(both) == 5


# === Training with fit ===
def dataset(rows=2):
    return tf.data.Dataset.from_tensor_slices(tiny.batch(rows)).batch(rows)


def test_fit_learns_and_reports_both_terms():
    model = tiny.pretrainer(dropout=False, layers=1)
    weights = {"generator_weight": 2.0, "discriminator_weight": 20.0}
    model.compile(tf_keras.optimizers.Adam(0.01), **weights, run_eagerly=True)
    history = model.fit(dataset().repeat(16), epochs=2, steps_per_epoch=8, verbose=0).history
    assert history.keys() == {"loss", "mlm_loss", "rtd_loss"}
    assert history["mlm_loss"][1] < history["mlm_loss"][0]
    weighed = 2 * np.array(history["mlm_loss"]) + 20 * np.array(history["rtd_loss"])
    np.testing.assert_allclose(history["loss"], weighed, rtol=1e-5)
    evaluated = model.evaluate(dataset(), verbose=0, return_dict=True)
    assert evaluated.keys() == history.keys()
    assert evaluated["mlm_loss"] < history["mlm_loss"][0]


def test_the_loss_of_fit_is_the_loss_of_the_losses(model, batch):
    model.compile("sgd")
    with randomness.stream(KEY):
        logs = model.test_step(batch)
    with randomness.stream(KEY):
        terms = losses.electra_loss(batch, model(batch))
    total = loss_terms.weighted_total(terms, {"mlm": 1.0, "rtd": 50.0})
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-6)


def fitted(strategy):
    with strategy.scope():
        model = tiny.pretrainer(dropout=False, layers=1)
        # A generator that is sure makes the samples certain.
        model.masked_lm.bias.assign(1e4 * np.eye(tiny.VOCABULARY, dtype=np.float32)[9])
        model.compile(tf_keras.optimizers.SGD(1e-3), run_eagerly=True)
    history = model.fit(dataset(rows=4), verbose=0).history
    evaluated = model.evaluate(dataset(rows=4), verbose=0, return_dict=True)
    return [v.numpy() for v in model.trainable_variables], history, evaluated


def test_fit_on_two_replicas_takes_the_step_of_one_device(two_devices):
    # The rows of the two replicas have unequal numbers of tokens.
    one = fitted(tf.distribute.get_strategy())
    two = fitted(distribution.create_strategy("mirrored"))
    for got, want in zip(tf.nest.flatten(two), tf.nest.flatten(one)):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["loss", "metrics", "loss_weights", "weighted_metrics"])
def test_another_loss_or_metric_is_refused(model, name):
    with pytest.raises(
        InputError, match=rf"{name} must be left out, was \['x'\]; the model has its"
    ):
        model.compile("adam", **{name: ["x"]})


def test_an_unknown_keyword_of_compile_is_refused(model):
    with pytest.raises(TypeError, match="generator_wait"):
        model.compile("adam", generator_wait=1.0)


# === Files ===
def test_a_file_of_a_compiled_model_keeps_how_it_was_compiled_and_trains_on(tmp_path, batch):
    model = tiny.pretrainer(layers=1)
    model.compile(
        tf_keras.optimizers.Adam(0.01),
        generator_weight=3.0,
        discriminator_weight=7.0,
        run_eagerly=True,
    )
    model.fit(dataset(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = tf_keras.models.load_model(tmp_path / "model.keras")
    assert again.loss_weights == {"mlm": 3.0, "rtd": 7.0}
    assert again.run_eagerly
    assert isinstance(again.optimizer, tf_keras.optimizers.Adam)
    assert int(again.optimizer.iterations) == 1
    for one, other in zip(again.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(one, other)
    again.fit(dataset(), verbose=0)
    assert int(again.optimizer.iterations) == 2


@pytest.mark.parametrize("mode", sharing.MODES)
def test_a_checkpoint_comes_back_whole_and_into_one_object(tmp_path, batch, mode):
    model, again = (tiny.pretrainer(mode, seed=seed, num_classes=2) for seed in (1, 2))
    random = np.random.default_rng(3)
    for variable in model.variables:
        variable.assign(random.normal(size=variable.shape))
    objects = [id(v) for v in again.variables]
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "model"))
    tf.train.Checkpoint(model=again).read(path).assert_consumed()
    for one, other in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [id(v) for v in again.variables] == objects
    assert len(set(objects)) == len(objects)
    parts = [
        again.generator_network,
        again.discriminator_network,
        again.masked_lm,
        again.classification,
        again.discriminator_projection,
        again.discriminator_head,
    ]
    assert {id(v) for part in parts for v in part.variables} == set(objects)
    table = again.generator_network.get_embedding_table()
    assert again.masked_lm.table is table
    assert (again.discriminator_network.get_embedding_table() is table) == (
        mode not in ("untied", "gdes")
    )
    for name, value in called(model, batch).items():
        np.testing.assert_array_equal(called(again, batch)[name], value, err_msg=name)


def test_a_shared_table_is_stored_once(tmp_path):
    path = tf.train.Checkpoint(model=tiny.pretrainer()).write(str(tmp_path / "model"))
    stored = [name for name, _ in tf.train.list_variables(path) if "VARIABLE_VALUE" in name]
    assert len(stored) == len(tiny.pretrainer().variables)


def test_a_fine_tuning_job_finds_the_discriminator_as_encoder(tmp_path, model):
    path = tf.train.Checkpoint(**model.checkpoint_items).write(str(tmp_path / "model"))
    encoder = networks.ElectraEncoder(tiny.config())
    tf.train.Checkpoint(encoder=encoder).read(path).assert_consumed()
    for ours, theirs in zip(encoder.variables, model.discriminator_network.variables):
        np.testing.assert_array_equal(ours, theirs)


# === Packed rows ===
ONE_ROW_EACH = {
    "input_word_ids": [[2, 4, 7, 3, 0, 0, 0, 0], [2, 9, 4, 3, 0, 0, 0, 0]],
    "input_mask": [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]],
    "input_type_ids": [[0, 0, 1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0, 0, 0]],
    "masked_lm_positions": [[1, 0], [2, 0]],
    "masked_lm_ids": [[6, 0], [8, 0]],
    "masked_lm_weights": [[1.0, 0.0], [1.0, 0.0]],
}
SAMPLED = [[20, 0], [8, 0]]
PACKED = {
    "input_word_ids": [[2, 4, 7, 3, 2, 9, 4, 3]],
    "document_ids": [[1, 1, 1, 1, 2, 2, 2, 2]],
    "input_type_ids": [[0, 0, 1, 1, 0, 1, 1, 1]],
    "masked_lm_positions": [[1, 6]],
    "masked_lm_ids": [[6, 8]],
    "masked_lm_weights": [[1.0, 1.0]],
}
PACKED_SAMPLED = [[20, 8]]


def of_parts(model, rows, sampled_ids):
    """The terms of the loss and their gradients, the samples being given."""
    rows = {name: tf.constant(values) for name, values in rows.items()}
    with tf.GradientTape() as tape:
        outputs = model.generate(rows)
        corrupted = model.corrupt(rows, None, sampled_ids)
        outputs["disc_label"] = corrupted["disc_label"]
        outputs["disc_logits"] = model.discriminate(
            corrupted["input_word_ids"],
            rows.get("input_mask"),
            rows["input_type_ids"],
            document_ids=rows.get("document_ids"),
        )
        terms = losses.electra_loss(rows, outputs)
        total = loss_terms.weighted_total(terms, {"rtd": 50.0})
    gradients = tape.gradient(total, model.trainable_variables)
    return terms, [tf.convert_to_tensor(gradient) for gradient in gradients]


@pytest.mark.parametrize("mode", ["shared", "gdes"])
def test_two_documents_in_a_row_are_two_rows(mode):
    model = tiny.pretrainer(mode, dropout=False)
    expected, gradients = of_parts(model, ONE_ROW_EACH, SAMPLED)
    terms, packed_gradients = of_parts(model, PACKED, PACKED_SAMPLED)
    assert float(terms["rtd"][1]) == 8
    for name in ("mlm", "rtd"):
        np.testing.assert_allclose(terms[name], expected[name], atol=1e-5)
    for got, want, v in zip(packed_gradients, gradients, model.trainable_variables, strict=True):
        # The largest are near 10.
        np.testing.assert_allclose(got, want, atol=1e-5, rtol=1e-5, err_msg=v.name)


def test_a_packed_batch_can_be_called_and_fitted():
    model = tiny.pretrainer(num_token_predictions=2)
    packed = {name: tf.constant(values) for name, values in PACKED.items()}
    assert called(model, packed, training=True)["disc_logits"].shape == [1, 8]
    model.compile("sgd", run_eagerly=True)
    history = model.fit(tf.data.Dataset.from_tensors(packed), verbose=0).history
    assert np.isfinite(history["loss"]).all()
