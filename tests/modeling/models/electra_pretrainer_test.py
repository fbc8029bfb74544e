"""Generator and discriminator together: outputs, corruption, gradients, training, files."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import losses, models, networks, ops
from official_nlp.modeling.models import pretrainer_tensors
from tests.modeling import hugging_face_weights, tiny

KEY = randomness.Key(7)
OUTPUTS = {
    "lm_outputs": ([2, tiny.PREDICTIONS, tiny.VOCABULARY], tf.float32),
    "sentence_outputs": ([2, 0], tf.float32),
    "disc_logits": ([2, tiny.LENGTH], tf.float32),
    "disc_label": ([2, tiny.LENGTH], tf.int32),
}


def called(model, batch, **options):
    with randomness.stream(KEY, 3):
        return model(batch, **options)


# === Outputs ===
@pytest.mark.parametrize("training", [False, True, None])
def test_outputs_are_exactly_four_with_their_shapes(model, batch, training):
    outputs = called(model, batch, training=training)
    assert {k: (v.shape, v.dtype) for k, v in outputs.items()} == OUTPUTS


def test_a_sentence_head_scores_its_classes(batch):
    outputs = called(tiny.pretrainer(num_classes=3), batch)
    assert outputs["sentence_outputs"].shape == [2, 3]


def test_log_probabilities_are_an_option(batch):
    outputs = called(tiny.pretrainer(output_type="predictions"), batch)
    np.testing.assert_allclose(
        tf.reduce_logsumexp(outputs["lm_outputs"], -1), np.zeros([2, 3]), atol=1e-6
    )


def test_a_call_is_its_three_parts(model, batch):
    expected = called(model, batch, training=True)
    with randomness.stream(KEY, 3):
        parts = model.generate(batch, training=True)
        corrupted = model.corrupt(batch, parts["lm_outputs"])
        parts["disc_logits"] = model.discriminate(
            corrupted["input_word_ids"], batch["input_mask"], batch["input_type_ids"], training=True
        )
    parts["disc_label"] = corrupted["disc_label"]
    for name, value in expected.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)


def test_inputs_that_may_be_missing_have_their_defaults(model, batch):
    full = {
        **batch,
        "input_mask": tf.ones([2, 8], tf.int32),
        "input_type_ids": tf.zeros([2, 8], tf.int32),
    }
    needed = ("input_word_ids", "masked_lm_positions", "masked_lm_ids")
    outputs, expected = called(model, {k: batch[k] for k in needed}), called(model, full)
    for name, value in expected.items():
        np.testing.assert_array_equal(outputs[name], value, err_msg=name)


def test_inputs_may_be_lists_and_other_integers(model, batch):
    expected = called(model, batch)
    lists = {name: value.numpy().tolist() for name, value in batch.items()}
    longs = {k: tf.cast(v, tf.int64) if v.dtype == tf.int32 else v for k, v in batch.items()}
    for inputs in (lists, longs):
        outputs = called(model, inputs)
        np.testing.assert_array_equal(outputs["disc_label"], expected["disc_label"])
        np.testing.assert_allclose(outputs["disc_logits"], expected["disc_logits"], atol=1e-6)


@pytest.mark.parametrize("missing", ["input_word_ids", "masked_lm_positions", "masked_lm_ids"])
def test_an_input_that_is_missing_is_named(model, batch, missing):
    inputs = {name: value for name, value in batch.items() if name != missing}
    with pytest.raises(InputError, match=f"the inputs lack {missing}; they hold input_mask, "):
        model(inputs)


def test_no_input_at_all_is_said(model):
    with pytest.raises(InputError, match=r"lack input_word_ids, .*; they hold nothing"):
        model.generate({})


# === Corruption ===
def test_labels_are_1_where_an_active_slots_token_changed(model, batch):
    corrupted = model.corrupt(batch, None, sampled_ids=[[9, 8, 7], [9, 8, 7]])
    original = batch["input_word_ids"].numpy()
    for row, slots, ids, used in zip(
        original,
        batch["masked_lm_positions"].numpy(),
        batch["masked_lm_ids"].numpy(),
        batch["masked_lm_weights"].numpy(),
    ):
        row[slots[used > 0]] = ids[used > 0]
    expected = original.copy()
    expected[0, [1, 3, 6]] = 9, 8, 7
    expected[1, [1, 3]] = 9, 8
    np.testing.assert_array_equal(corrupted["input_word_ids"], expected)
    np.testing.assert_array_equal(corrupted["disc_label"], expected != original)
    assert corrupted["disc_label"].dtype == tf.int32


def test_a_sample_that_is_the_original_is_no_replacement(model, batch):
    corrupted = model.corrupt(batch, None, sampled_ids=batch["masked_lm_ids"])
    assert not np.any(corrupted["disc_label"])
    assert not np.any(corrupted["input_word_ids"] == tiny.MASK)


def test_position_0_can_be_replaced_where_weights_say_so(model, batch):
    inputs = {**batch, "masked_lm_positions": [[0, 1, 2]] * 2, "masked_lm_weights": [[1, 0, 0]] * 2}
    corrupted = model.corrupt({**inputs, "masked_lm_ids": [[2, 0, 0]] * 2}, None, [[9, 9, 9]] * 2)
    np.testing.assert_array_equal(corrupted["disc_label"], [[1] + [0] * 7] * 2)


@pytest.mark.parametrize(("average", "expected"), [(False, 20), (True, 30)])
def test_of_two_samples_for_a_position_the_first_counts_or_their_mean(batch, average, expected):
    model = tiny.pretrainer(average_duplicates=average)
    inputs = {
        **batch,
        "masked_lm_positions": [[1, 1, 2]] * 2,
        "masked_lm_ids": [[5, 5, 6]] * 2,
        "masked_lm_weights": [[1, 1, 1]] * 2,
    }
    corrupted = model.corrupt(inputs, None, sampled_ids=[[20, 41, 6]] * 2)
    np.testing.assert_array_equal(corrupted["input_word_ids"][:, 1], [expected] * 2)
    np.testing.assert_array_equal(corrupted["disc_label"][:, :3], [[0, 1, 0]] * 2)


@pytest.mark.parametrize("training", [False, True])
def test_tokens_are_sampled_in_both_modes_from_the_stream(model, batch, training):
    def sampled(seed):
        with randomness.stream(randomness.Key(seed)):
            lm_outputs = model.generate(batch)["lm_outputs"]
            return model.corrupt(batch, lm_outputs)["sampled_ids"].numpy()

    assert sampled(1).tolist() == sampled(1).tolist() != sampled(2).tolist()
    # Outside a stream every call draws anew.
    first, second = (model(batch, training=training)["disc_logits"] for _ in range(2))
    assert not np.array_equal(first, second)


def test_calls_in_one_stream_are_the_same_and_in_numbered_scopes_are_not(model, batch):
    with randomness.stream(KEY, 3):
        first, second = (model(batch, training=True) for _ in range(2))
        scoped = []
        for _ in range(2):
            with randomness.scope():
                scoped.append(model(batch, training=True))
    for name in ("lm_outputs", "disc_logits"):
        np.testing.assert_array_equal(first[name], second[name])
        assert not np.array_equal(scoped[0][name], scoped[1][name])


def test_the_correct_token_may_be_ruled_out(batch):
    model = tiny.pretrainer(disallow_correct=True)
    active = batch["masked_lm_weights"].numpy().sum(axis=1)
    for seed in range(20):
        with randomness.stream(randomness.Key(seed)):
            label = model(batch)["disc_label"]
        np.testing.assert_array_equal(tf.reduce_sum(label, axis=1), active)


def test_a_low_temperature_takes_the_likeliest_token(batch):
    model = tiny.pretrainer(temperature=1e-4)
    lm_outputs = model.generate(batch)["lm_outputs"]
    sampled = model.corrupt(batch, lm_outputs)["sampled_ids"]
    np.testing.assert_array_equal(sampled, tf.argmax(lm_outputs, axis=-1))


def test_no_two_draws_of_a_step_have_the_same_key(monkeypatch, batch):
    keys = []
    original = randomness.random_bits

    def recording(key, *arguments):
        keys.append(key)
        return original(key, *arguments)

    monkeypatch.setattr(randomness, "random_bits", recording)
    called(tiny.pretrainer("whole"), batch, training=True)
    # For each of two networks the embeddings, and for each of two layers three; and the samples.
    assert len(keys) == len(set(keys)) == 2 * (1 + 2 * 3) + 1


# === Refusals ===
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be above 0, was 0"),
        ({"temperature": -1.0}, "temperature must be above 0, was -1.0"),
        ({"output_type": "probs"}, '"probs": output must be "logits" or "predictions"'),
        (
            {"sharing": "all"},
            "sharing must be one of shared, word_only, untied, whole, gdes, was 'all'",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    options = {"sharing": "shared", **options}
    with pytest.raises(InputError, match=message):
        tiny.pretrainer(**options)


def test_a_vocabulary_of_another_size_is_refused():
    encoder = networks.ElectraEncoder(tiny.config())
    with pytest.raises(InputError, match="vocab_size must be the generator's, 32, was 33"):
        models.ElectraPretrainer(encoder, encoder, 33, 0, 3)


class Foreign(tf_keras.Model):
    """A network of somebody else's, with variables only after the first call."""

    def __init__(self, as_list=False, **kwargs):
        super().__init__(**kwargs)
        self.as_list = as_list
        self.table = tf_keras.layers.Embedding(tiny.VOCABULARY, 8)

    def call(self, inputs, training=None):
        assert inputs.keys() == {"input_word_ids", "input_mask", "input_type_ids"}
        vectors = self.table(inputs["input_word_ids"])
        return {"sequence_output": [vectors * 0, vectors] if self.as_list else vectors}

    def get_embedding_layer(self):
        return self.table

    def get_config(self):
        raise NotImplementedError("somebody forgot this")


@pytest.mark.parametrize("as_list", [False, True])
def test_any_network_that_keeps_the_contract_will_do(batch, as_list):
    foreign = Foreign(as_list)
    model = models.ElectraPretrainer(foreign, foreign, tiny.VOCABULARY, 0, 3)
    outputs = called(model, batch)
    assert {k: (v.shape, v.dtype) for k, v in outputs.items()} == OUTPUTS
    assert model.masked_lm.table is foreign.table.embeddings
    assert model.sharing == "whole"
    assert np.abs(outputs["lm_outputs"]).max() > 0


def test_foreign_networks_may_share_their_word_table(batch):
    first, second = Foreign(), Foreign()
    second.table = first.table
    assert models.ElectraPretrainer(first, second, 32, 0, 3).sharing == "word_only"
    assert models.ElectraPretrainer(Foreign(), Foreign(), 32, 0, 3).sharing == "untied"


def test_a_network_that_returns_something_else_is_refused(model):
    class Listing(Foreign):
        def call(self, inputs, training=None):
            return [self.table(inputs["input_word_ids"])]

    ours = networks.ElectraEncoder(tiny.config())
    message = "must return a dict with 'sequence_output' when called .* Listing returned list"
    with pytest.raises(TypeError, match=f"discriminator_network {message}"):
        models.ElectraPretrainer(ours, Listing(), tiny.VOCABULARY, 0, 3)
    with pytest.raises(TypeError, match=f"generator_network {message}"):
        models.ElectraPretrainer(Listing(), ours, tiny.VOCABULARY, 0, 3)


def test_a_generator_without_a_table_is_refused():
    class Tableless(tf_keras.Model):
        def call(self, inputs, training=None):
            return {"sequence_output": tf.zeros([1, 2, 8])}

    with pytest.raises(
        TypeError, match=r"must have get_embedding_table\(\) or get_embedding_layer"
    ):
        models.ElectraPretrainer(Tableless(), Foreign(), tiny.VOCABULARY, 0, 3)


def test_a_network_that_cannot_be_rebuilt_is_named_when_the_model_is_written_down():
    ours = networks.ElectraEncoder(tiny.config())
    model = models.ElectraPretrainer(ours, Foreign(), tiny.VOCABULARY, 0, 3)
    message = "discriminator_network cannot be rebuilt .* Foreign: somebody forgot this; save its"
    with pytest.raises(InputError, match=message):
        model.get_config()


# === Parameters ===
def parameters(discriminator) -> int:
    """Count the parameters of a pre-trainer without allocating them."""
    # In a graph that never runs, variables have shapes and no memory.
    with tf.Graph().as_default():
        model = models.ElectraPretrainer.from_config_pair(discriminator.generator(), discriminator)
        assert not model.non_trainable_variables
        return sum(v.shape.num_elements() for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("name", "count"), [("small", 14_196_219), ("base", 119_386_427), ("large", 354_655_291)]
)
def test_presets_have_the_number_of_parameters_of_the_paper(name, count):
    preset = networks.ElectraConfig.preset(name)
    # Layers are equal, so two small models determine the count of a deep one.
    one, two = (parameters(preset.replace(num_hidden_layers=layers)) for layers in (1, 2))
    assert one + (preset.num_hidden_layers - 1) * (two - one) == count


def test_heads_start_as_the_original_starts_them():
    config = networks.ElectraConfig(vocab_size=50, num_hidden_layers=1, initializer_range=0.1)
    model = models.ElectraPretrainer.from_config_pair(config.generator(0.5), config)
    for dense in (model.masked_lm.dense, model.discriminator_projection, model.discriminator_head):
        kernel = dense.kernel.numpy()
        assert np.abs(kernel).max() <= 0.2
        assert abs(kernel.std() / 0.088 - 1) < 0.2
        np.testing.assert_array_equal(dense.bias, np.zeros_like(dense.bias))
    assert model.mlm_activation is ops.gelu


def test_predictions_a_row_are_as_many_as_tokens_unless_said():
    assert tiny.pretrainer().num_token_predictions == 8
    assert tiny.pretrainer(num_token_predictions=5).num_token_predictions == 5


def test_more_predictions_a_row_than_were_said_are_refused(batch):
    small = tiny.pretrainer(num_token_predictions=tiny.PREDICTIONS - 1)
    with pytest.raises(
        InputError, match=f"at most num_token_predictions=2 columns, had {tiny.PREDICTIONS}"
    ):
        small(batch)


def test_networks_of_others_that_share_a_table_are_not_serialized():
    first, second = Foreign(), Foreign()
    second.table = first.table
    model = models.ElectraPretrainer(first, second, 32, 0, 3)
    assert model.sharing == "word_only"
    with pytest.raises(InputError, match="only ElectraEncoders can share again"):
        model.get_config()


# === Hugging Face ===
def test_the_generators_head_has_the_exact_gelu_and_the_discriminators_its_networks():
    tanh = tiny.config(hidden_act="gelu_new")
    model = models.ElectraPretrainer.from_config_pair(tanh, tanh, sharing="whole")
    for made in (model, models.ElectraPretrainer.from_config(model.get_config())):
        assert made.masked_lm.activation is ops.gelu
        assert made.discriminator_activation is ops.gelu_new


def test_one_activation_is_for_both_heads_unless_a_second_is_given():
    encoder = networks.ElectraEncoder(tiny.config())
    for given, expected in ({}, "relu"), ({"discriminator_activation": "tanh"}, "tanh"):
        made = models.ElectraPretrainer(
            encoder, encoder, tiny.VOCABULARY, 0, 3, mlm_activation="relu", **given
        )
        assert made.masked_lm.activation is tf_keras.activations.relu
        assert made.discriminator_activation is tf_keras.activations.get(expected)
        assert made.get_config()["discriminator_activation"] == expected


@pytest.mark.parametrize("name", ["hf_tiny_masked_lm", "hf_tiny_masked_lm_gelu_new"])
def test_the_generator_is_hugging_faces(outside_data, name):
    config, weights, arrays = hugging_face_weights.read(outside_data / "golden" / name)
    model = models.ElectraPretrainer.from_config_pair(config, config, sharing="whole")
    hugging_face_weights.fill(pretrainer_tensors.generator(model), weights)
    inputs = hugging_face_weights.case(arrays, "plain", "in")
    rows, length = inputs["input_ids"].shape
    everywhere = np.tile(np.arange(length), [rows, 1])
    outputs = model.generate(
        {"input_word_ids": inputs["input_ids"], "masked_lm_positions": everywhere}
    )
    expected = hugging_face_weights.case(arrays, "plain", "out")["logits"]
    np.testing.assert_allclose(outputs["lm_outputs"], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["hf_tiny_pretraining", "hf_tiny_pretraining_gelu_new"])
def test_the_discriminator_is_hugging_faces(outside_data, name):
    config, weights, arrays = hugging_face_weights.read(outside_data / "golden" / name)
    model = models.ElectraPretrainer.from_config_pair(config, config, sharing="whole")
    hugging_face_weights.fill(pretrainer_tensors.discriminator(model), weights)
    for case in ("plain", "full", "labels_nomask"):
        if not (inputs := hugging_face_weights.case(arrays, case, "in")):
            continue
        expected = hugging_face_weights.case(arrays, case, "out")
        mask = inputs.get("attention_mask")
        logits = model.discriminate(inputs["input_ids"], mask, inputs.get("token_type_ids"))
        np.testing.assert_allclose(logits, expected["logits"], atol=1e-5)
        if "labels" in inputs:
            mask = tf.ones_like(inputs["labels"]) if mask is None else mask
            term = losses.replaced_token_loss(logits, inputs["labels"], mask)
            np.testing.assert_allclose(term[0] / term[1], expected["loss"], rtol=1e-5)
