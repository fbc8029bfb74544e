"""What tfnlp's pre-trainer gets wrong is right here. Each test is named after what is right."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import loss_terms, randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers, losses, models, networks, ops
from official_nlp.modeling.models.sharing import MODES
from tests.modeling import tiny

B, L, P, V = 2, tiny.LENGTH, tiny.PREDICTIONS, tiny.VOCABULARY
WEIGHTS = {"mlm": 1.0, "rtd": 50.0}


def called(model, batch, seed=1, **options):
    with randomness.stream(randomness.Key(seed)):
        return model(batch, **options)


def step(model, batch):
    """Returns the total loss and its gradients."""
    with tf.GradientTape() as tape:
        terms = losses.electra_loss(batch, called(model, batch, training=True))
        total = loss_terms.weighted_total(terms, WEIGHTS)
    return total, tape.gradient(total, model.trainable_variables)


# === The sentence loss is a scalar ===
def test_the_sentence_loss_is_a_mean_and_multiplies_no_other_gradient(batch):
    model = tiny.pretrainer(num_classes=2)
    labelled = {**batch, "next_sentence_labels": tf.constant([[1], [0]])}
    total, with_labels = step(model, labelled)
    plain_total, without = step(model, batch)
    assert total.shape == plain_total.shape == []
    head = {v.ref() for v in model.classification.trainable_variables}
    generator = {v.ref() for v in model.generator_network.trainable_variables}
    for variable, got, want in zip(model.trainable_variables, with_labels, without):
        if variable.ref() in head:
            assert want is None
            assert np.abs(got).max() > 0
        elif variable.ref() not in generator:
            # The sentence head reads the generator: what it does not read keeps its gradient.
            np.testing.assert_array_equal(got, want)


# === Mixed precision trains ===
@pytest.fixture(
    scope="module", params=["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def half(request):
    """A pre-trainer made under a global policy, and compiled under it."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(request.param)
    try:
        model = tiny.pretrainer(layers=1, dropout=False, num_classes=2)
        model.compile(tf_keras.optimizers.Adam(0.01))
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    assert model.generator_network.dtype_policy.name == request.param
    return model


def test_half_precision_has_float32_variables_scores_losses_and_gradients(half, batch):
    sequence = half.discriminator_network(batch["input_word_ids"])["sequence_output"]
    assert sequence.dtype == tf.as_dtype(half.compute_dtype) != tf.float32
    kinds = {name: value.dtype for name, value in called(half, batch).items()}
    assert kinds.pop("disc_label") == tf.int32
    assert set(kinds.values()) == {tf.float32}
    total, gradients = step(half, batch)
    gradients = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    assert {v.dtype for v in [*half.variables, *gradients, total]} == {tf.float32}
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_last_products_are_computed_in_float32(half, batch):
    ids = batch["input_word_ids"]
    for variable in half.discriminator_head.variables:
        variable.assign_add(tf.fill(variable.shape, 1 / 3))  # no number of half precision
    sequence = half.discriminator_network(ids)["sequence_output"]
    hidden = half.discriminator_activation(half.discriminator_projection(sequence))
    assert hidden.dtype != tf.float32
    kernel, bias = (np.float64(v) for v in half.discriminator_head.variables)
    expected = np.float64(tf.cast(hidden, tf.float64)) @ kernel + bias
    np.testing.assert_allclose(half.discriminate(ids), expected[..., 0], atol=1e-5)


def test_half_precision_trains(half, batch):
    scaled = isinstance(half.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (half.dtype_policy.name == "mixed_float16")
    values = [v.numpy() for v in half.trainable_variables]
    # The scale of float16's loss begins so high that the first steps are left out.
    data = tf.data.Dataset.from_tensors(batch).repeat()
    history = half.fit(data, epochs=3, steps_per_epoch=15, verbose=0).history
    for name in ("loss", "mlm_loss", "rtd_loss"):
        assert np.isfinite(history[name]).all()
        assert history[name][2] < history[name][0], name
    moved = [not np.array_equal(a, b) for a, b in zip(values, half.trainable_variables)]
    # No labels for the sentence head; of a key's bias only rounding moves.
    assert np.mean(moved) > 0.9
    assert all(np.isfinite(v).all() for v in half.trainable_variables)


# === It can be saved and loaded ===
def test_a_saved_model_gives_the_models_outputs_for_any_number_of_rows(tmp_path):
    module = tf.Module()
    module.model = model = tiny.pretrainer(layers=1)
    spec = {name: tf.TensorSpec([None, *x.shape[1:]], x.dtype) for name, x in tiny.batch().items()}
    module.run = tf.function(lambda batch: model(batch), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))
    batch = tiny.batch(rows=5)
    outputs, expected = served.run(batch), called(model, batch)
    assert outputs.keys() == expected.keys()
    np.testing.assert_allclose(outputs["lm_outputs"], expected["lm_outputs"], atol=1e-5)
    # Samples are drawn anew in every call.
    assert not np.array_equal(served.run(batch)["disc_logits"], outputs["disc_logits"])


# === Any encoder will do ===
@pytest.fixture(scope="module")
def tfnlp():
    """Model Garden's networks; they take ten seconds to import."""
    from official.nlp.modeling import networks as theirs  # noqa: TID251

    return theirs


def foreign(tfnlp, name):
    sizes = {
        "vocab_size": V,
        "hidden_size": 8,
        "num_layers": 1,
        "num_attention_heads": 2,
        "max_sequence_length": L,
        "inner_dim": 16,
    }
    return {
        "BertEncoder": lambda: tfnlp.BertEncoder(**sizes, dict_outputs=True),
        "BertEncoderV2": lambda: tfnlp.BertEncoderV2(**sizes),
    }[name]()


@pytest.mark.parametrize("name", ["BertEncoder", "BertEncoderV2"])
def test_tfnlps_encoders_work_as_either_network(tfnlp, batch, name):
    model = models.ElectraPretrainer(foreign(tfnlp, name), foreign(tfnlp, name), V, 0, P)
    outputs = called(model, batch)
    assert outputs["lm_outputs"].shape == [B, P, V]
    assert outputs["disc_logits"].shape == [B, L]
    assert model.sharing == "untied"
    table = model.generator_network.get_embedding_table()
    assert model.masked_lm.table is table
    _, gradients = step(model, batch)
    missing = [v for v, g in zip(model.trainable_variables, gradients) if g is None]
    # Their pooler is of no use to anybody.
    assert all("pooler" in v.name for v in missing)
    with pytest.raises(InputError, match=f"generator_network cannot be rebuilt .* {name}"):
        model.get_config()


def test_tfnlps_encoder_that_returns_a_list_is_refused_by_name(tfnlp):
    encoder = tfnlp.BertEncoder(V, 8, 1, 2, L, inner_dim=16)
    with pytest.raises(TypeError, match=r"generator_network must return a dict .* returned list"):
        models.ElectraPretrainer(encoder, encoder, V, 0, P)


def test_tfnlps_and_our_encoder_work_together(tfnlp, batch):
    ours = networks.ElectraEncoder(tiny.config())
    model = models.ElectraPretrainer(ours, foreign(tfnlp, "BertEncoderV2"), V, 0, P)
    assert called(model, batch)["disc_logits"].shape == [B, L]


# === All embeddings are shared ===
def test_all_tables_and_their_layer_norm_are_shared_and_their_widths_are_checked(model):
    first, second = model.generator_network, model.discriminator_network
    mine = {v.ref() for v in first.trainable_variables}
    shared = [v.shape.as_list() for v in second.trainable_variables if v.ref() in mine]
    assert sorted(shared) == [[2, 8], [8], [8], [8, 8], [32, 8]]
    narrow = tiny.config(embedding_size=4)
    with pytest.raises(InputError, match=r"embedding_width=8 .* had 4"):
        models.ElectraPretrainer.from_config_pair(narrow, tiny.config())


# === Sampling takes little memory ===
@pytest.mark.parametrize(
    ("options", "copies"),
    [
        ({}, []),
        ({"temperature": 0.5}, ["RealDiv"]),
        ({"disallow_correct": True}, ["TensorScatterUpdate"]),
    ],
    ids=str,
)
def test_sampling_draws_a_number_a_position_and_makes_no_one_hot_vector(batch, options, copies):
    model = tiny.pretrainer(**options)
    corrupt = tf.function(lambda logits: model.corrupt(batch, logits))
    vocabulary = 2000
    logits = tf.TensorSpec([B, P, vocabulary])
    operations = corrupt.get_concrete_function(logits).graph.get_operations()
    assert not [op for op in operations if op.type == "OneHot"]
    random = [op for op in operations if "Random" in op.type]
    assert [op.type for op in random] == ["RandomUniformInt", "StatelessRandomUniformFullIntV2"]
    # Philox makes numbers by four: at most three are thrown away.
    assert random[1].outputs[0].shape.num_elements() < B * (P + 4)
    free = ("Identity", "StopGradient", "Placeholder", "Reshape")
    large = [
        op.type
        for op in operations
        if op.type not in free
        and any(output.shape.num_elements() >= B * P * vocabulary for output in op.outputs)
    ]
    # One copy, filled up to whole blocks, in which softmax works; and those that are asked for.
    assert sorted(large) == sorted(["PadV2", "Softmax", *copies])


# === What can be chosen ===
@pytest.mark.parametrize("sharing", MODES)
def test_sharing_temperature_and_both_weights_can_be_chosen(sharing):
    model = tiny.pretrainer(sharing, temperature=0.5)
    model.compile("sgd", generator_weight=2.0, discriminator_weight=0.5)
    assert (model.sharing, model.temperature) == (sharing, 0.5)
    terms = {
        "mlm": (tf.constant(6.0), tf.constant(2.0)),
        "rtd": (tf.constant(8.0), tf.constant(4.0)),
    }
    assert float(loss_terms.weighted_total(terms, model.loss_weights)) == 2 * 3 + 0.5 * 2


# === Replacing makes no third token ===
@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_a_position_drawn_twice_gets_one_of_its_samples_and_the_first_position_can_change(
    model, batch, dtype
):
    integers = {k: tf.cast(v, dtype) for k, v in batch.items() if v.dtype == tf.int32}
    slots = {
        "masked_lm_positions": tf.constant([[4, 4, 0]] * 2, dtype),
        "masked_lm_ids": tf.constant([[9, 9, 2]] * 2, dtype),
        "masked_lm_weights": tf.ones([2, 3]),
    }
    samples = tf.constant([[20, 41, 7]] * 2, dtype)
    corrupted = model.corrupt({**integers, **slots}, None, sampled_ids=samples)
    assert corrupted["input_word_ids"].dtype == dtype
    np.testing.assert_array_equal(corrupted["input_word_ids"][:, 4], [20, 20])
    np.testing.assert_array_equal(corrupted["input_word_ids"][:, 0], [7, 7])


# === Nothing is dead ===
def test_every_variable_learns_and_none_is_there_without_its_use(model, batch):
    _, gradients = step(model, batch)
    for variable, gradient in zip(model.trainable_variables, gradients):
        assert gradient is not None, variable.name
        if "key/bias" not in variable.name:  # softmax does not see it
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.name
    names = [v.name for v in model.variables]
    assert not [name for name in names if "pooler" in name or "classification" in name]
    assert not model.non_trainable_variables


@pytest.mark.parametrize("keyword", ["sequence_length", "classification_heads", "cls_heads"])
def test_keywords_that_mean_nothing_are_refused(keyword):
    with pytest.raises(TypeError, match=keyword):
        tiny.pretrainer(**{keyword: 1})


# === Inference needs no labels ===
def test_training_is_an_argument_and_the_networks_can_be_run_apart(model, batch):
    training, inference = (called(model, batch, training=mode) for mode in (True, False))
    assert not np.allclose(training["lm_outputs"], inference["lm_outputs"])
    scores = model.discriminate(batch["input_word_ids"])
    assert scores.shape == [B, L]
    np.testing.assert_array_equal(model.discriminate(batch["input_word_ids"]), scores)
    filled = model.generate({k: batch[k] for k in ("input_word_ids", "masked_lm_positions")})
    assert filled["lm_outputs"].shape == [B, P, V]


# === Shapes are known while tracing ===
def test_every_shape_in_the_graph_of_a_step_is_static():
    model, batch = tiny.pretrainer(layers=1), tiny.batch()

    @tf.function
    def traced(batch):
        total, gradients = step(model, batch)
        return total, [tf.convert_to_tensor(g) for g in gradients]

    graph = traced.get_concrete_function(batch).graph
    unknown = [
        (op.type, op.name, output.shape)
        for op in graph.get_operations()
        for output in op.outputs
        if output.dtype != tf.resource
        and not output.shape.is_fully_defined()
        and op.type != "BroadcastGradientArgs"  # lists of axes
    ]
    assert not unknown
    host = [
        op.type for op in graph.get_operations() if op.type in ("PyFunc", "EagerPyFunc", "Where")
    ]
    assert not host


# === Randomness can be repeated ===
def test_samples_are_a_function_of_seed_and_place_under_every_executor(model, batch):
    lm_outputs = model.generate(batch)["lm_outputs"]

    def sampled(lm_outputs, first_row=0):
        with randomness.stream(randomness.Key(5), first_row):
            return model.corrupt(batch, lm_outputs)["sampled_ids"]

    expected = sampled(lm_outputs)
    for compiled in (tf.function(sampled), tf.function(sampled, jit_compile=True)):
        np.testing.assert_array_equal(compiled(lm_outputs), expected)
    assert not np.array_equal(sampled(lm_outputs, first_row=100), expected)


def test_a_token_of_one_in_ten_thousand_is_drawn_that_often():
    logits = np.full([50, 400, 2], np.log([0.9999, 0.0001]), np.float32)
    drawn = [ops.sample_tokens(logits, randomness.Key(seed)).numpy() for seed in range(20)]
    assert abs(np.sum(drawn) - 40) < 5 * 40**0.5


# === Heads can be copied ===
def test_a_head_tied_to_the_layer_of_a_table_can_be_cloned():
    table = layers.OnDeviceEmbedding(V, 8, name="table")
    ids = tf_keras.Input([L], dtype=tf.int32)
    positions = tf_keras.Input([P], dtype=tf.int32)
    head = layers.MaskedLM(table, activation="gelu", name="head")
    model = tf_keras.Model([ids, positions], head(table(ids), positions))
    clone = tf_keras.models.clone_model(model)
    inputs = [tiny.batch()["input_word_ids"], tiny.batch()["masked_lm_positions"]]
    assert clone(inputs).shape == [B, P, V]
    assert clone.get_layer("head").table is not table.embeddings
    assert clone.get_layer("head").get_config() == head.get_config()


# === What tfnlp has right stays right ===
def test_a_sample_that_is_the_original_counts_as_original(model, batch):
    corrupted = model.corrupt(batch, None, sampled_ids=batch["masked_lm_ids"])
    assert not np.any(corrupted["disc_label"])


def test_no_gradient_of_the_discriminator_goes_through_the_samples(batch):
    model = tiny.pretrainer("untied")
    with tf.GradientTape() as tape:
        terms = losses.electra_loss(batch, called(model, batch))
        rtd = loss_terms.weighted_total({"rtd": terms["rtd"]}, {})
    own = [*model.generator_network.trainable_variables, model.masked_lm.bias]
    assert tape.gradient(rtd, own) == [None] * len(own)


def test_the_discriminators_loss_is_the_mean_over_real_tokens(model, batch):
    outputs = called(model, batch)
    mask = batch["input_mask"].numpy()
    spoilt = {**outputs, "disc_logits": tf.where(mask == 1, outputs["disc_logits"], 1e6)}
    plain, padded = (losses.electra_loss(batch, x)["rtd"] for x in (outputs, spoilt))
    assert float(plain[0]) == float(padded[0])
    assert float(plain[1]) == mask.sum()


def test_the_tie_survives_a_checkpoint_and_training_after_it(tmp_path, model, batch):
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "model"))
    again = tiny.pretrainer()
    tf.train.Checkpoint(model=again).read(path).assert_consumed()
    _, gradients = step(again, batch)
    tf_keras.optimizers.SGD(0.1).apply_gradients(zip(gradients, again.trainable_variables))
    first, second = again.generator_network, again.discriminator_network
    assert first.get_embedding_table() is second.get_embedding_table() is again.masked_lm.table
    assert first.embeddings.layer_norm.gamma is second.embeddings.layer_norm.gamma


def test_the_discriminator_is_what_fine_tuning_reads(model):
    assert model.checkpoint_items == {"encoder": model.discriminator_network}
