"""What the models with one head have in common: calls, labels, training, the vocabulary."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import models
from official_nlp.training import distribution
from tests.modeling import tiny

TEXT = ("input_word_ids", "input_mask", "input_type_ids")
HUGGING_FACE = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(scope="module")
def batch():
    """Text alone, four rows, padded in two."""
    return {name: x for name, x in tiny.batch(rows=4).items() if name in TEXT}


@pytest.fixture(scope="module")
def labels():
    """A class for each token, some of which do not count."""
    labels = np.random.default_rng(1).integers(0, 3, [4, tiny.LENGTH]).astype(np.int32)
    labels[0, 4:], labels[1, 1:] = -100, -100
    return tf.constant(labels)


@pytest.fixture(scope="module")
def model():
    """Not to be changed for good."""
    return made()


def made(seed=1, dropout=False, **changes):
    tf_keras.utils.set_random_seed(seed)
    config = (tiny.config if dropout else tiny.without_dropout)(num_labels=3, **changes)
    return models.ElectraForTokenClassification(config)


def cross_entropy(logits, labels):
    """The mean over what counts, by the formula."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(logs, np.maximum(labels, 0)[..., np.newaxis], -1)[..., 0]
    return -chosen[labels != -100].mean()


def dataset(batch, labels, rows, weights=None):
    """Pairs, or triples with a weight for each row."""
    parts = (batch, labels) if weights is None else (batch, labels, weights)
    return tf.data.Dataset.from_tensor_slices(parts).batch(rows)


def compiled(model, loss=None, metrics=(), **options):
    optimizer = tf_keras.optimizers.SGD(0.1)
    model.compile(optimizer, loss=loss, metrics=list(metrics), **options)
    return model


# === Calls ===
def test_a_dict_a_list_and_keywords_are_one_call(model, batch):
    expected = model(batch)["logits"]
    tensors = [batch[name] for name in TEXT]
    theirs = dict(zip(HUGGING_FACE, tensors))
    for given, keywords in (
        (theirs, {}),
        (collections.UserDict(theirs), {}),
        (tensors, {}),
        (None, theirs),
        (None, batch),
        (tensors[0], dict(zip(TEXT[1:], tensors[1:]))),
        ({**theirs, "position_ids": None}, {"inputs_embeds": None}),
    ):
        np.testing.assert_array_equal(model(given, **keywords)["logits"], expected)


def test_outputs_are_a_plain_dict_of_what_is_asked_for(model, batch, labels):
    outputs = model(batch, labels=labels, output_hidden_states=True, output_attentions=True)
    assert type(outputs) is dict
    assert list(outputs) == ["loss", "logits", "hidden_states", "attentions"]
    assert [len(outputs[name]) for name in ("hidden_states", "attentions")] == [3, 2]
    assert list(model(batch)) == ["logits"]


def test_the_configuration_asks_for_outputs(batch):
    model = made(output_hidden_states=True, output_attentions=True)
    assert list(model(batch)) == ["logits", "hidden_states", "attentions"]
    assert list(model(batch, output_attentions=False)) == ["logits", "hidden_states"]


@pytest.mark.parametrize(
    ("given", "keywords", "message"),
    [
        ([1, 2, 3, 4], {}, "a list of inputs must hold ids, mask and types, held 4"),
        ({"input_ids": [[1]]}, {"input_ids": [[1]]}, "give input_ids once"),
        (None, {"no_such": 1}, "unknown input 'no_such'"),
        (None, {"input_ids": [[1]], "input_word_ids": [[1]]}, "not both"),
        (None, {}, "exactly one of input_word_ids and inputs_embeds"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, given, keywords, message):
    with pytest.raises(InputError, match=message):
        model(given, **keywords)


def test_a_head_must_be_said():
    class ElectraForNothing(models.ElectraFor):
        """Has no head."""

    nothing = ElectraForNothing(tiny.config())
    with pytest.raises(NotImplementedError, match="ElectraForNothing must have a method _head"):
        nothing(input_ids=tf.constant([[1]]))


def test_in_training_dropout_is_drawn_from_the_stream(batch):
    model, outputs = made(dropout=True), []
    for first_row in (0, 0, 1):
        with randomness.stream(randomness.Key(3), first_row):
            outputs.append(model(batch, training=True)["logits"].numpy())
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])
    assert not np.allclose(model(batch, training=True)["logits"], outputs[0])


def test_recomputation_changes_memory_alone(batch, labels):
    results = []
    for recompute in (False, True):
        tf_keras.utils.set_random_seed(1)
        model = models.ElectraForTokenClassification(tiny.config(num_labels=3), recompute=recompute)
        with tf.GradientTape() as tape, randomness.stream(randomness.Key(3)):
            loss = model(batch, labels=labels, training=True)["loss"]
        results.append(
            tape.gradient(loss, model.encoder.transformer_layers[0].attention.key_kernel)
        )
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


# === Labels ===
def test_the_loss_is_the_mean_over_labels_that_count(model, batch, labels):
    outputs = model(batch, labels=labels)
    assert (outputs["loss"].dtype, outputs["loss"].shape) == (tf.float32, [])
    expected = cross_entropy(outputs["logits"], labels)
    np.testing.assert_allclose(outputs["loss"], expected, rtol=1e-6)


def test_where_no_label_counts_the_loss_is_0(model, batch, labels):
    assert model(batch, labels=tf.fill(labels.shape, -100))["loss"] == 0


def test_labels_of_another_shape_are_refused(model, batch, labels):
    with pytest.raises(InputError, match=r"labels must be \[4, 8\] as the outputs, were \[4, 7\]"):
        model(batch, labels=labels[:, :7])


def test_a_graph_and_half_precision_give_the_loss(batch, labels):
    model = made()
    expected = model(batch, labels=labels)["loss"]
    run = tf.function(lambda inputs, labels: model(inputs, labels=labels)["loss"])
    np.testing.assert_allclose(run(batch, labels), expected, rtol=1e-6)
    half = models.ElectraForTokenClassification(model.config, dtype="mixed_bfloat16")
    half.set_weights(model.get_weights())
    loss = half(batch, labels=labels)["loss"]
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, expected, rtol=0.05)


# === Training with fit ===
def test_labels_may_be_in_the_dict_or_beside_it(batch, labels):
    beside = dataset(batch, labels, 4)
    inside = tf.data.Dataset.from_tensors({**batch, "labels": labels})
    arrays = {name: x.numpy() for name, x in {**batch, "labels": labels}.items()}
    losses = []
    for data in (beside, inside, beside.map(lambda x, y: (x, {"labels": y})), arrays):
        model = compiled(made(), run_eagerly=True)
        losses.append(model.fit(data, epochs=2, batch_size=None, verbose=0).history["loss"])
        assert model.evaluate(data, verbose=0) < losses[-1][-1]
    np.testing.assert_allclose(losses, losses[:1] * 4, rtol=1e-6)
    assert losses[0][1] < losses[0][0]


def test_the_reported_loss_is_the_mean_over_all_labels_of_all_batches(model, batch, labels):
    compiled(model)
    expected = model(batch, labels=labels)["loss"]
    assert len(set(np.sum(labels != -100, axis=1))) > 1
    for rows in (1, 3, 4):
        got = model.evaluate(dataset(batch, labels, rows), verbose=0)
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_fit_without_labels_says_so(model, batch):
    compiled(model, run_eagerly=True)
    data = tf.data.Dataset.from_tensors(batch)
    with pytest.raises(InputError, match="fit and evaluate need labels: in the dict"):
        model.fit(data, verbose=0)
    with pytest.raises(InputError, match=r"need labels.*holds input_word_ids, input_mask"):
        model.evaluate(data, verbose=0)


@pytest.mark.parametrize("loss", [None, "keras"])
def test_metrics_count_what_the_loss_counts(batch, labels, loss):
    if loss:
        loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(made(), loss, ["accuracy"])
    logs = model.evaluate(dataset(batch, labels, 2), verbose=0, return_dict=True)
    counts = labels.numpy() != -100
    right = np.argmax(model(batch)["logits"], axis=-1)[counts] == labels.numpy()[counts]
    assert sorted(logs) == ["accuracy", "loss"]
    np.testing.assert_allclose(logs["accuracy"], right.mean(), rtol=1e-6)


@pytest.mark.slow
def test_a_loss_of_keras_trains_on_the_logits(batch, labels):
    # Of whole rows, as Keras takes the mean over rows of what counts in a batch.
    labels = tf.maximum(labels, 0)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    histories = [
        compiled(made(), each).fit(dataset(batch, labels, 4), epochs=3, verbose=0).history["loss"]
        for each in (None, loss)
    ]
    np.testing.assert_allclose(*histories, rtol=1e-5)
    doubled = compiled(made(), lambda target, logits: 2 * loss(target, logits), run_eagerly=True)
    history = doubled.fit(dataset(batch, labels, 4), verbose=0).history["loss"]
    np.testing.assert_allclose(history[0], 2 * histories[0][0], rtol=1e-5)


def test_rows_have_their_sample_weights(model, batch, labels):
    compiled(model, run_eagerly=True, weighted_metrics=[])
    weights = tf.constant([1.0, 0.0, 0.5, 0.0])
    got = model.evaluate(dataset(batch, labels, 4, weights), verbose=0)
    logits = model(batch)["logits"]
    sums = [np.sum(labels[i] != -100) * w for i, w in ((0, 1.0), (2, 0.5))]
    losses = [cross_entropy(logits[i], labels[i]) for i in (0, 2)]
    np.testing.assert_allclose(got, np.dot(sums, losses) / np.sum(sums), rtol=1e-5)


def test_losses_that_layers_add_count(batch, labels):
    model = compiled(made(), run_eagerly=True)
    before = model.encoder.transformer_layers[0].intermediate.kernel.numpy()
    penalty = tf_keras.regularizers.L2(0.1)
    model.encoder.transformer_layers[0].intermediate.kernel_regularizer = penalty
    model.add_loss(lambda: penalty(model.encoder.transformer_layers[0].intermediate.kernel))
    other = compiled(made(), run_eagerly=True)
    for each in (model, other):
        each.fit(dataset(batch, labels, 4), verbose=0)
    kernels = [m.encoder.transformer_layers[0].intermediate.kernel for m in (model, other)]
    # The gradient of 0.1 w^2 at a learning rate of 0.1.
    np.testing.assert_allclose(kernels[0] - kernels[1], -0.02 * before, atol=1e-6)


def test_predict_returns_scores_of_all_rows_without_labels(batch, labels):
    model = made(output_hidden_states=True)
    data = tf.data.Dataset.from_tensor_slices({**batch, "labels": labels}).batch(3)
    outputs = model.predict(data, verbose=0)
    assert list(outputs) == ["logits", "hidden_states"]
    np.testing.assert_allclose(outputs["logits"], model(batch)["logits"], atol=1e-6)
    beside = model.predict(dataset(batch, labels, 3), verbose=0)
    np.testing.assert_array_equal(beside["logits"], outputs["logits"])


def test_half_precision_with_scaled_losses_trains(batch, labels):
    model = models.ElectraForTokenClassification(
        tiny.without_dropout(num_labels=3), dtype="mixed_float16"
    )
    compiled(model)
    assert isinstance(model.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
    losses = model.fit(dataset(batch, labels, 4), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_two_replicas_take_the_step_of_one(batch, labels, two_devices):
    one = compiled(made(num_hidden_layers=1))
    one.fit(dataset(batch, labels, 4), verbose=0)
    with distribution.create_strategy("mirrored").scope():
        mirrored = compiled(made(num_hidden_layers=1))
    logs = mirrored.fit(dataset(batch, labels, 4), verbose=0).history
    expected = made(num_hidden_layers=1)(batch, labels=labels)["loss"]
    np.testing.assert_allclose(logs["loss"], [expected], rtol=1e-5)
    for got, want in zip(mirrored.get_weights(), one.get_weights()):
        np.testing.assert_allclose(got, want, atol=1e-6)


# === Files ===
@pytest.mark.slow
def test_a_trained_model_is_saved_and_goes_on(tmp_path, batch, labels):
    model = made()
    model.compile("adam", metrics=["accuracy"])
    data = dataset(batch, labels, 2)
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(batch)["logits"], model(batch)["logits"])
    for each in (model, loaded):
        each.fit(data, verbose=0)
    for got, want in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(got, want)


def test_a_saved_model_asks_for_no_labels_even_if_it_was_called_with_them(tmp_path, batch, labels):
    model = made()
    model(batch, labels=labels)
    model.save(tmp_path / "model", save_format="tf")
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    np.testing.assert_allclose(signature(**batch)["logits"], model(batch)["logits"], atol=1e-6)


def test_metrics_are_no_variables_of_the_model(batch, labels):
    model = made()
    before = [variable.name for variable in model.variables]
    compiled(model, run_eagerly=True).fit(dataset(batch, labels, 4), verbose=0)
    assert [variable.name for variable in model.variables] == before


# === The vocabulary ===
RESIZED = {
    "ElectraForTokenClassification": {},
    "ElectraForMaskedLM": {},
    "ElectraForMaskedLM untied": {"tie_word_embeddings": False},
    "ElectraForCausalLM": {"is_decoder": True},
}


@pytest.mark.parametrize("size", [tiny.VOCABULARY - 8, tiny.VOCABULARY, tiny.VOCABULARY + 8])
@pytest.mark.parametrize("name", RESIZED)
def test_tokens_keep_their_numbers_in_another_vocabulary(name, size):
    tf_keras.utils.set_random_seed(1)
    old = getattr(models, name.split()[0])(tiny.without_dropout(**RESIZED[name]))
    for variable in old.variables:
        variable.assign(np.random.default_rng(3).normal(size=variable.shape))
    before = old.get_weights()
    new = old.resize_token_embeddings(size)
    assert type(new) is type(old)
    assert new.config == old.config.replace(vocab_size=size)
    kept = min(size, tiny.VOCABULARY)
    ids = tf.constant(np.random.default_rng(2).integers(0, kept, [2, tiny.LENGTH]))
    expected, got = old(input_ids=ids)["logits"], new(input_ids=ids)["logits"]
    if "Token" not in name:
        assert got.shape[-1] == size
        expected, got = expected[..., :kept], got[..., :kept]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    table = new.get_input_embeddings().embeddings
    assert table.shape == [size, 8]
    if size > kept:
        assert 0.1 < np.std(table[kept:]) < 0.3  # initializer_range is 0.2
    for now, then in zip(old.get_weights(), before):
        np.testing.assert_array_equal(now, then)


def test_a_vocabulary_that_cannot_be_is_refused(model):
    for size in (0, -3, 4.5):
        with pytest.raises(InputError, match="vocab_size must be a positive integer"):
            model.resize_token_embeddings(size)
    ending = made(eos_token_id=31)
    with pytest.raises(InputError, match="eos_token_id must be a number below vocab_size=30"):
        ending.resize_token_embeddings(30)


def test_the_word_table_is_read_and_set(batch):
    model, other = made(seed=1), made(seed=2)
    assert model.get_input_embeddings() is model.encoder.get_embedding_layer()
    table = other.get_input_embeddings()
    for value in (table, table.embeddings, table.embeddings.numpy()):
        model.get_input_embeddings().embeddings.assign(tf.zeros(table.embeddings.shape))
        model.set_input_embeddings(value)
        np.testing.assert_array_equal(model.encoder.get_embedding_table(), table.embeddings)
    assert model.get_output_embeddings() is None
    with pytest.raises(InputError, match=r"must be \[32, 8\], were \[31, 8\]; for another vocab"):
        model.set_input_embeddings(np.zeros([31, 8]))


@pytest.mark.slow
def test_fit_with_ids_out_of_range_has_no_loss_under_xla(batch, labels):
    ids = tf.where(labels == 0, 77, batch["input_word_ids"])
    model = compiled(made(), jit_compile=True)
    history = model.fit(dataset({**batch, "input_word_ids": ids}, labels, 2), verbose=0).history
    assert np.isnan(history["loss"]).all()
