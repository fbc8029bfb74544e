"""The encoder: its inputs and outputs, what it shares, and Hugging Face's numbers."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import networks
from tests.modeling import hugging_face_weights, tiny


@pytest.fixture(scope="module")
def encoder():
    """An encoder of two layers."""
    return networks.ElectraEncoder(tiny.config())


def text(batch=None):
    batch = batch or tiny.batch()
    return {name: batch[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}


def sequence(encoder, inputs, **options):
    return encoder(inputs, **options)["sequence_output"].numpy()


# === Inputs ===
def test_inputs_may_be_named_as_tfnlp_or_as_hugging_face_names_them_or_listed(encoder):
    ids, mask, types = text().values()
    expected = sequence(encoder, text())
    named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    numbers = {name: value.numpy().tolist() for name, value in text().items()}
    for inputs in (named, [ids, mask, types], (ids, mask, types), numbers):
        np.testing.assert_array_equal(sequence(encoder, inputs), expected)


def test_without_mask_and_types_all_is_real_and_of_type_0(encoder):
    ids = text()["input_word_ids"]
    full = [ids, tf.ones_like(ids), tf.zeros_like(ids)]
    for inputs in ({"input_word_ids": ids}, [ids], ids, {"input_ids": ids, "input_mask": None}):
        np.testing.assert_array_equal(sequence(encoder, inputs), sequence(encoder, full))


def test_vectors_may_take_the_place_of_ids(encoder):
    ids, mask, types = text().values()
    vectors = encoder.get_embedding_layer()(ids)
    inputs = {"inputs_embeds": vectors, "input_mask": mask, "input_type_ids": types}
    np.testing.assert_array_equal(sequence(encoder, inputs), sequence(encoder, text()))


def test_padding_changes_nothing_for_the_real_tokens(encoder):
    inputs = text()
    ids = inputs["input_word_ids"].numpy()
    changed = np.where(inputs["input_mask"], ids, (ids + 7) % tiny.VOCABULARY)
    before = sequence(encoder, inputs)
    after = sequence(encoder, {**inputs, "input_word_ids": changed})
    real = inputs["input_mask"].numpy() == 1
    np.testing.assert_allclose(after[real], before[real], atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_ids_may_have_either_integer_type(encoder, dtype):
    inputs = {name: tf.cast(value, dtype) for name, value in text().items()}
    np.testing.assert_array_equal(sequence(encoder, inputs), sequence(encoder, text()))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"input_word_ids": [[1]], "input_ids": [[1]]},
            "'input_word_ids' or 'input_ids', not both",
        ),
        ({"input_ids": [[1]], "input_mask": [[1]], "attention_mask": [[1]]}, "'attention_mask'"),
        (
            {"input_word_ids": [[1]], "mask": [[1]]},
            "unknown input 'mask'; the encoder takes input_",
        ),
        ({"input_mask": [[1]]}, "either input_word_ids or inputs_embeds"),
        ({}, "either input_word_ids or inputs_embeds"),
        ({"input_ids": [[1]], "inputs_embeds": [[[0.0] * 8]]}, "input_word_ids or inputs_embeds"),
        ([[[1]]] * 4, "held 4 tensors; give others by name"),
    ],
)
def test_inputs_that_cannot_be_meant_are_refused(encoder, inputs, message):
    inputs = tf.nest.map_structure(tf.constant, inputs)
    with pytest.raises(InputError, match=message):
        encoder(inputs)


def test_a_row_longer_than_the_table_of_positions_is_refused(encoder):
    with pytest.raises(InputError, match="9 positions along axis 1, the table max_length=8; short"):
        encoder(tf.ones([1, 9], tf.int32))


# === Outputs ===
def test_outputs_are_the_last_and_all_layers_and_what_is_asked_for(encoder):
    plain = encoder(text())
    assert plain.keys() == {"sequence_output", "encoder_outputs"}
    asked = encoder(text(), output_hidden_states=True, output_attentions=True)
    assert asked.keys() == {*plain, "hidden_states", "attentions"}
    assert [x.shape for x in asked["encoder_outputs"]] == [[2, 8, 16]] * 2
    assert [x.shape for x in asked["hidden_states"]] == [[2, 8, 16]] * 3
    assert [x.shape for x in asked["attentions"]] == [[2, 2, 8, 8]] * 2
    assert asked["encoder_outputs"][-1] is asked["sequence_output"] is asked["hidden_states"][-1]


def test_the_configuration_may_ask_for_outputs_and_the_call_overrules_it():
    config = tiny.config(output_hidden_states=True, output_attentions=True)
    encoder = networks.ElectraEncoder(config)
    assert {"hidden_states", "attentions"} <= encoder(text()).keys()
    assert "attentions" not in encoder(text(), output_attentions=False)


def test_there_is_a_projection_only_where_the_widths_differ():
    assert networks.ElectraEncoder(tiny.config(embedding_size=16)).embeddings_project is None
    assert networks.ElectraEncoder(tiny.config()).embeddings_project is not None


def test_dropout_is_for_training_alone(encoder):
    def called(training):
        with randomness.stream(randomness.Key(1)):
            return sequence(encoder, text(), training=training)

    np.testing.assert_array_equal(called(True), called(True))
    assert not np.array_equal(called(True), called(False))
    np.testing.assert_array_equal(called(False), sequence(encoder, text()))


def test_the_layers_draw_different_dropout():
    # The two layers are made equal, and see equal inputs when the first one's part is zero.
    encoder = networks.ElectraEncoder(tiny.config(hidden_dropout_prob=0.0))
    x = tf.random.stateless_normal([1, 8, 16], [1, 2])  # noqa: TID251
    first, second = encoder.transformer_layers
    second.set_weights(first.get_weights())
    with randomness.stream(randomness.Key(1)):
        one, other = first(x, training=True)[0], second(x, training=True)[0]
    assert not np.allclose(one, other)


# === Sharing and configuration ===
def test_embeddings_handed_over_are_the_same_objects(encoder):
    wider = tiny.config(hidden_size=32)
    other = networks.ElectraEncoder(wider, embeddings=encoder.embeddings)
    assert other.embeddings is encoder.embeddings
    ours = {v.ref() for v in encoder.trainable_variables}
    shared = [v for v in other.trainable_variables if v.ref() in ours]
    assert len(shared) == 5  # three tables, gamma and beta
    assert other.get_embedding_table() is encoder.get_embedding_table()


def test_a_word_table_handed_over_is_all_that_is_shared(encoder):
    other = networks.ElectraEncoder(tiny.config(), embeddings=encoder.get_embedding_layer())
    ours = {v.ref() for v in encoder.trainable_variables}
    shared = [v for v in other.trainable_variables if v.ref() in ours]
    assert [v.ref() for v in shared] == [encoder.get_embedding_table().ref()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 40}, "must have vocab_size=40 as the configuration says, had 32; networks"),
        ({"embedding_size": 12}, "embedding_width=12"),
        ({"max_position_embeddings": 16}, "max_length=16"),
        ({"type_vocab_size": 3}, "type_vocab_size=3"),
        ({"layer_norm_eps": 1e-6}, "norm_epsilon=1e-06"),
    ],
)
def test_embeddings_of_other_sizes_are_refused(encoder, changes, message):
    with pytest.raises(InputError, match=message):
        networks.ElectraEncoder(tiny.config(**changes), embeddings=encoder.embeddings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type .* 'relative_key'"),
        ({"is_decoder": True}, "is_decoder and add_cross_attention must be false"),
        ({"add_cross_attention": True}, "is_decoder and add_cross_attention must be false"),
    ],
)
def test_options_that_are_not_supported_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        networks.ElectraEncoder(tiny.config(**changes))


def test_its_keras_configuration_is_flat_with_hugging_faces_names(encoder):
    config = encoder.get_config()
    assert config["hidden_size"] == 16
    assert config["num_hidden_layers"] == 2
    assert networks.ElectraEncoder.from_config(config).config == encoder.config


def test_keys_that_are_not_known_survive_keras_configuration():
    config = networks.ElectraConfig.from_dict({**tiny.config().to_dict(), "note": [1]})
    encoder = networks.ElectraEncoder(config)
    assert networks.ElectraEncoder.from_config(encoder.get_config()).config.extra == {"note": [1]}


@pytest.mark.parametrize("initializer", ["truncated_normal", "fan_in"])
def test_every_matrix_starts_at_its_own_random_value(initializer):
    encoder = networks.ElectraEncoder(tiny.config(initializer=initializer))
    values = [
        v.numpy() for v in encoder.trainable_variables if len(v.shape) > 1 and "bias" not in v.name
    ]
    assert all(np.std(value) > 0 for value in values)
    assert len({value.tobytes() for value in values}) == len(values)


def test_variables_exist_after_construction_and_take_no_part_of_another_dtype():
    encoder = networks.ElectraEncoder(tiny.config(), dtype="mixed_bfloat16")
    assert len(encoder.trainable_variables) == 7 + 2 * 16
    assert all(v.dtype == tf.float32 for v in encoder.variables)
    outputs = encoder(text(), output_hidden_states=True)
    assert outputs["sequence_output"].dtype == tf.bfloat16
    again = networks.ElectraEncoder.from_config(encoder.get_config())
    assert again.dtype_policy.name == "mixed_bfloat16"


def test_it_is_a_layer_of_functional_models(encoder):
    symbolic = [tf_keras.Input([8], dtype=tf.int32) for _ in range(3)]
    model = tf_keras.Model(symbolic, encoder(symbolic)["sequence_output"])
    inputs = list(text().values())
    np.testing.assert_allclose(model(inputs), sequence(encoder, inputs), atol=1e-6)


# === Hugging Face ===
CASES = [
    "ids",
    "mask",
    "left_pad",
    "types",
    "positions",
    "embeds",
    "embeds_mask_types",
    "mask_3d",
    "row_all_masked",
    "float_mask",
    "short",
    "max_len",
]


@pytest.fixture(scope="module")
def reference(outside_data):
    """A reference model's encoder, filled, and its arrays."""
    folder = outside_data / "golden/hf_tiny_model_inputs"
    config, weights, arrays = hugging_face_weights.read(folder)
    encoder = networks.ElectraEncoder(config)
    hugging_face_weights.fill_encoder(encoder, weights)
    return encoder, arrays


@pytest.mark.parametrize("case", CASES)
def test_hidden_states_and_attentions_are_hugging_faces(reference, case):
    encoder, arrays = reference
    inputs = hugging_face_weights.case(arrays, case, "in")
    expected = hugging_face_weights.case(arrays, case, "out")
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    outputs = encoder(inputs, output_hidden_states=True, output_attentions=True)
    np.testing.assert_allclose(outputs["sequence_output"], expected["last_hidden_state"], atol=1e-5)
    np.testing.assert_allclose(
        tf.stack(outputs["hidden_states"]), expected["hidden_states"], atol=1e-5
    )
    np.testing.assert_allclose(tf.stack(outputs["attentions"]), expected["attentions"], atol=1e-5)


def test_an_encoder_without_projection_is_hugging_faces(outside_data):
    folder = outside_data / "golden/hf_tiny_model_no_projection"
    config, weights, arrays = hugging_face_weights.read(folder)
    encoder = networks.ElectraEncoder(config)
    hugging_face_weights.fill_encoder(encoder, weights)
    for case in ("plain", "full"):
        inputs = hugging_face_weights.case(arrays, case, "in")
        expected = hugging_face_weights.case(arrays, case, "out")["last_hidden_state"]
        np.testing.assert_allclose(sequence(encoder, inputs), expected, atol=1e-5)
