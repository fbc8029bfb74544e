"""The encoder: inputs, outputs, sharing, and agreement with Hugging Face."""

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
def test_inputs_may_have_names_of_tfnlp_or_hugging_face_or_be_a_list(encoder):
    ids, mask, types = text().values()
    expected = sequence(encoder, text())
    named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    numbers = {name: value.numpy().tolist() for name, value in text().items()}
    for inputs in (named, [ids, mask, types], (ids, mask, types), numbers):
        np.testing.assert_array_equal(sequence(encoder, inputs), expected)


def test_without_mask_and_types_all_tokens_are_real_and_of_type_0(encoder):
    ids = text()["input_word_ids"]
    full = [ids, tf.ones_like(ids), tf.zeros_like(ids)]
    for inputs in ({"input_word_ids": ids}, [ids], ids, {"input_ids": ids, "input_mask": None}):
        np.testing.assert_array_equal(sequence(encoder, inputs), sequence(encoder, full))


def test_vectors_may_replace_ids(encoder):
    ids, mask, types = text().values()
    vectors = encoder.get_embedding_layer()(ids)
    inputs = {"inputs_embeds": vectors, "input_mask": mask, "input_type_ids": types}
    np.testing.assert_array_equal(sequence(encoder, inputs), sequence(encoder, text()))


def test_padding_does_not_change_real_tokens(encoder):
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
        ({"input_mask": [[1]]}, "exactly one of input_word_ids and inputs_embeds"),
        ({}, "exactly one of input_word_ids and inputs_embeds"),
        (
            {"input_ids": [[1]], "inputs_embeds": [[[0.0] * 8]]},
            "exactly one of input_word_ids and inputs_embeds",
        ),
        ([[[1]]] * 4, "held 4 tensors; pass other inputs by name"),
        (
            {"input_ids": [[1]], "document_ids": [[1]], "position_ids": [[0]]},
            "position_ids must be left out with document_ids",
        ),
        (
            {"input_ids": [[1]], "encoder_attention_mask": [[1]]},
            "encoder_attention_mask needs encoder_hidden_states",
        ),
        (
            {"input_ids": [[1]], "encoder_hidden_states": [[[0.0] * 16]]},
            "encoder_hidden_states must be None for a block without cross-attention",
        ),
        ({"input_ids": [[1]], "head_mask": [[1.0, 1.0]] * 3}, r"\[2 layers, heads\] or .*\[3, 2\]"),
        ({"input_ids": [[1]], "head_mask": [[[1.0]]]}, r"head_mask must be .* was \[1, 1, 1\]"),
        ({"input_ids": [[1]], "past_key_values": []}, "past_key_values must be left out if"),
        (
            "some text",
            r"must be integer \[batch, length\], was string \(\); convert text with a tokenizer",
        ),
        ([[1, 2, 3]], r"must be integer \[batch, length\], was int32 \(3,\).* a list means ids"),
        ({"input_ids": [[1.0, 2.0]]}, r"must be integer \[batch, length\], was float32 \(1, 2\)"),
        (
            {"input_ids": [[1, 2]], "input_mask": [[1]]},
            r"input_mask must have the length .* 2, was",
        ),
        (
            {"inputs_embeds": [[[0.0] * 8]], "token_type_ids": [[0, 1]]},
            r"input_type_ids must have the length of the sequences, 1, was \(1, 2\)",
        ),
    ],
)
def test_invalid_inputs_raise(encoder, inputs, message):
    inputs = tf.nest.map_structure(tf.constant, inputs)
    with pytest.raises(InputError, match=message):
        encoder(inputs)


@pytest.mark.parametrize("config", [None, "folder", {"vocab_size": 32}])
def test_an_invalid_configuration_raises(config):
    with pytest.raises(InputError, match=r"config must be an ElectraConfig, was .* a folder"):
        networks.ElectraEncoder(config)


def test_a_sequence_longer_than_the_position_table_raises(encoder):
    with pytest.raises(InputError, match="9 positions along axis 1, the table max_length=8; short"):
        encoder(tf.ones([1, 9], tf.int32))


# === Outputs ===
def test_outputs_are_the_last_layer_all_layers_and_those_requested(encoder):
    plain = encoder(text())
    assert plain.keys() == {"sequence_output", "encoder_outputs"}
    asked = encoder(text(), output_hidden_states=True, output_attentions=True)
    assert asked.keys() == {*plain, "hidden_states", "attentions"}
    assert [x.shape for x in asked["encoder_outputs"]] == [[2, 8, 16]] * 2
    assert [x.shape for x in asked["hidden_states"]] == [[2, 8, 16]] * 3
    assert [x.shape for x in asked["attentions"]] == [[2, 2, 8, 8]] * 2
    assert asked["encoder_outputs"][-1] is asked["sequence_output"] is asked["hidden_states"][-1]


def test_a_call_overrides_the_outputs_requested_by_the_configuration():
    config = tiny.config(output_hidden_states=True, output_attentions=True)
    encoder = networks.ElectraEncoder(config)
    assert {"hidden_states", "attentions"} <= encoder(text()).keys()
    assert "attentions" not in encoder(text(), output_attentions=False)


def test_there_is_a_projection_only_if_widths_differ():
    assert networks.ElectraEncoder(tiny.config(embedding_size=16)).embeddings_project is None
    assert networks.ElectraEncoder(tiny.config()).embeddings_project is not None


def test_dropout_applies_in_training_only(encoder):
    def called(training):
        with randomness.stream(randomness.Key(1)):
            return sequence(encoder, text(), training=training)

    np.testing.assert_array_equal(called(True), called(True))
    assert not np.array_equal(called(True), called(False))
    np.testing.assert_array_equal(called(False), sequence(encoder, text()))


def test_layers_have_different_dropout_masks():
    # Both layers are made equal, and have equal inputs because the first one adds zero.
    encoder = networks.ElectraEncoder(tiny.config(hidden_dropout_prob=0.0))
    x = tf.random.stateless_normal([1, 8, 16], [1, 2])  # noqa: TID251
    first, second = encoder.transformer_layers
    second.set_weights(first.get_weights())
    with randomness.stream(randomness.Key(1)):
        one, other = first(x, training=True)[0], second(x, training=True)[0]
    assert not np.allclose(one, other)


# === Sharing and configuration ===
def test_shared_embeddings_are_the_same_objects(encoder):
    wider = tiny.config(hidden_size=32)
    other = networks.ElectraEncoder(wider, embeddings=encoder.embeddings)
    assert other.embeddings is encoder.embeddings
    ours = {v.ref() for v in encoder.trainable_variables}
    shared = [v for v in other.trainable_variables if v.ref() in ours]
    assert len(shared) == 5  # three tables, gamma and beta
    assert other.get_embedding_table() is encoder.get_embedding_table()


def test_the_word_table_alone_may_be_shared(encoder):
    other = networks.ElectraEncoder(tiny.config(), embeddings=encoder.get_embedding_layer())
    ours = {v.ref() for v in encoder.trainable_variables}
    shared = [v for v in other.trainable_variables if v.ref() in ours]
    assert [v.ref() for v in shared] == [encoder.get_embedding_table().ref()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 40}, "must have vocab_size=40 as in the configuration, had 32; networks"),
        ({"embedding_size": 12}, "embedding_width=12"),
        ({"max_position_embeddings": 16}, "max_length=16"),
        ({"type_vocab_size": 3}, "type_vocab_size=3"),
        ({"layer_norm_eps": 1e-6}, "norm_epsilon=1e-06"),
    ],
)
def test_shared_embeddings_of_other_sizes_raise(encoder, changes, message):
    with pytest.raises(InputError, match=message):
        networks.ElectraEncoder(tiny.config(**changes), embeddings=encoder.embeddings)


def test_the_keras_configuration_is_flat_with_hugging_face_names(encoder):
    config = encoder.get_config()
    assert config["hidden_size"] == 16
    assert config["num_hidden_layers"] == 2
    assert networks.ElectraEncoder.from_config(config).config == encoder.config


def test_unknown_keys_are_retained_in_the_keras_configuration():
    # Hugging Face files may have a key `dtype`, which is not the dtype of the layers.
    extra = {"note": [1], "dtype": "float16", "name": "x"}
    config = networks.ElectraConfig.from_dict({**tiny.config().to_dict(), **extra})
    encoder = networks.ElectraEncoder(config, dtype="mixed_bfloat16", recompute=True)
    again = networks.ElectraEncoder.from_config(encoder.get_config())
    assert again.config == config
    assert again.config.extra == extra
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert (again.name, again.recompute) == (encoder.name, True)


@pytest.mark.parametrize("initializer", ["truncated_normal", "fan_in"])
def test_every_matrix_has_its_own_random_initial_value(initializer):
    encoder = networks.ElectraEncoder(tiny.config(initializer=initializer))
    values = [
        v.numpy() for v in encoder.trainable_variables if len(v.shape) > 1 and "bias" not in v.name
    ]
    assert all(np.std(value) > 0 for value in values)
    assert len({value.tobytes() for value in values}) == len(values)


def test_variables_exist_after_construction_and_are_float32():
    encoder = networks.ElectraEncoder(tiny.config(), dtype="mixed_bfloat16")
    assert len(encoder.trainable_variables) == 7 + 2 * 16
    assert all(v.dtype == tf.float32 for v in encoder.variables)
    outputs = encoder(text(), output_hidden_states=True)
    assert outputs["sequence_output"].dtype == tf.bfloat16
    again = networks.ElectraEncoder.from_config(encoder.get_config())
    assert again.dtype_policy.name == "mixed_bfloat16"


def test_an_encoder_is_a_layer_of_functional_models(encoder):
    symbolic = [tf_keras.Input([8], dtype=tf.int32) for _ in range(3)]
    model = tf_keras.Model(symbolic, encoder(symbolic)["sequence_output"])
    inputs = list(text().values())
    np.testing.assert_allclose(model(inputs), sequence(encoder, inputs), atol=1e-6)


# === Hugging Face's decoder ===
@pytest.fixture(
    scope="module", params=["hf_tiny_causal_lm", "hf_tiny_causal_lm_cross_attention"], ids=str
)
def decoder(outside_data, request):
    """A decoder with reference weights, and reference inputs and outputs."""
    folder = outside_data / "golden" / request.param
    config, weights, arrays = hugging_face_weights.read(folder)
    encoder = networks.ElectraEncoder(config)
    hugging_face_weights.fill(encoder.named_tensors(), weights)
    inputs = hugging_face_weights.case(arrays, "plain", "in")
    inputs = {name: tf.constant(value) for name, value in inputs.items() if name != "use_cache"}
    return encoder, inputs, hugging_face_weights.case(arrays, "plain", "out")


ASKED = {"output_hidden_states": True, "output_attentions": True}


@pytest.mark.parametrize("fixed", [False, True])
def test_steps_of_a_decoder_give_hugging_face_outputs_of_the_whole_sequence(decoder, fixed):
    encoder, inputs, expected = decoder
    inputs = dict(inputs)
    ids, length = inputs["input_ids"], inputs["input_ids"].shape[1]
    states = inputs.pop("encoder_hidden_states", None)
    mask = {k: v for k, v in inputs.items() if k == "encoder_attention_mask"}
    past = encoder.init_cache(2, length + 1 if fixed else 0, encoder_hidden_states=states)

    @tf.function(jit_compile=fixed, reduce_retracing=True)
    def step(ids, past, index):
        return encoder(
            {"input_ids": ids, "past_key_values": past, **mask},
            cache_index=index if fixed else None,
            **ASKED,
        )

    for i in range(length):
        outputs = step(ids[:, i : i + 1], past, tf.constant(i))
        past = outputs["past_key_values"]
        hidden = tf.stack(outputs["hidden_states"])
        np.testing.assert_allclose(hidden, expected["hidden_states"][:, :, i : i + 1], atol=1e-5)
        attentions = tf.stack(outputs["attentions"])[..., : i + 1]
        wanted = expected["attentions"][:, :, :, i : i + 1, : i + 1]
        np.testing.assert_allclose(attentions, wanted, atol=1e-5)
        if states is not None:
            attentions = tf.stack(outputs["cross_attentions"])
            wanted = expected["cross_attentions"][:, :, :, i : i + 1]
            np.testing.assert_allclose(attentions, wanted, atol=1e-5)
    if fixed:
        assert step.experimental_get_tracing_count() == 1


# === Decoder ===
@pytest.fixture(scope="module")
def causal():
    """A decoder of two layers with cross-attention."""
    return networks.ElectraEncoder(tiny.config(is_decoder=True, add_cross_attention=True))


def test_decoders_return_a_cache_outside_training_by_default(causal):
    ids = text()["input_word_ids"]
    assert "past_key_values" in causal(ids)
    assert "past_key_values" not in causal(ids, training=True)
    assert "past_key_values" in causal(ids, training=True, use_cache=True)
    past = causal(ids[:, :3])["past_key_values"]
    inputs = {"input_ids": ids[:, 3:], "past_key_values": past}
    outputs = causal(inputs, use_cache=False, output_attentions=True)
    assert outputs.keys() == {"sequence_output", "encoder_outputs", "attentions"}
    quiet = networks.ElectraEncoder(tiny.config(is_decoder=True, use_cache=False))
    assert "past_key_values" not in quiet(ids)


def test_a_prompt_and_its_continuation_give_the_outputs_of_the_whole_sequence(causal):
    ids = text()["input_word_ids"]
    whole = sequence(causal, ids)
    first = causal(ids[:, :5])
    rest = causal({"input_ids": ids[:, 5:], "past_key_values": first["past_key_values"]})
    both = np.concatenate([first["sequence_output"], rest["sequence_output"]], axis=1)
    np.testing.assert_allclose(both, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({}, {"cache_index": 1}, "cache_index needs past_key_values, which init_cache creates"),
        ({"past_key_values": []}, {}, "a dict for each of 2 layers, had 0; pass the result"),
        (
            {"past_key_values": "7"},
            {},
            "hold 7 tokens: 2 more would exceed max_position_embeddings=8",
        ),
        ({"past_key_values": "9"}, {"cache_index": 7}, "hold 7 tokens: 2 more would exceed"),
        (
            {"past_key_values": "1", "document_ids": [[1, 1]]},
            {},
            "past_key_values must be left out with document_ids",
        ),
    ],
)
def test_invalid_caches_raise(causal, inputs, options, message):
    if inputs.get("past_key_values"):
        length = int(inputs["past_key_values"])
        inputs = {**inputs, "past_key_values": causal.init_cache(1, length)}
    with pytest.raises(InputError, match=message):
        causal({"input_ids": tf.ones([1, 2], tf.int32), **inputs}, **options)


def test_an_encoder_that_is_no_decoder_has_no_cache(encoder):
    with pytest.raises(InputError, match="use_cache and past_key_values must be left out if"):
        encoder(text(), use_cache=True)


# === Packed sequences ===
DOCUMENTS = np.int32([[9, 9, 9, 4, 4, 4, 4, 0], [2, 2, 7, 7, 7, 7, 7, 7]])


def documents():
    """Return the four documents as separate sequences, and their offsets."""
    ids = text()["input_word_ids"].numpy()
    types = text()["input_type_ids"].numpy()
    alone = {name: np.zeros([4, 8], np.int32) for name in tiny.batch() if name.startswith("input")}
    places = []
    for row in range(2):
        for number in dict.fromkeys(DOCUMENTS[row][DOCUMENTS[row] > 0]):
            here = np.flatnonzero(DOCUMENTS[row] == number)
            alone["input_word_ids"][len(places), : len(here)] = ids[row, here]
            alone["input_type_ids"][len(places), : len(here)] = types[row, here]
            alone["input_mask"][len(places), : len(here)] = 1
            places.append((row, here))
    packed = {"input_word_ids": ids, "input_type_ids": types, "document_ids": DOCUMENTS}
    return packed, alone, places


@pytest.mark.parametrize("positions", ["absolute", "relative_key", "relative_key_query"])
@pytest.mark.parametrize("is_decoder", [False, True])
def test_packed_documents_give_the_outputs_of_separate_documents(positions, is_decoder):
    config = tiny.config(position_embedding_type=positions, is_decoder=is_decoder)
    tf_keras.utils.set_random_seed(1)
    encoder = networks.ElectraEncoder(config)
    packed, alone, places = documents()
    factors = np.random.default_rng(2).normal(size=[4, 8, 16]).astype(np.float32)
    factors *= alone["input_mask"][..., np.newaxis]

    def run(inputs, together):
        with tf.GradientTape() as tape:
            states = encoder(inputs)["sequence_output"]
            if together:
                rows = [tf.gather(states[row], here) for row, here in places]
                states = tf.stack([tf.pad(row, [[0, 8 - len(row)], [0, 0]]) for row in rows])
            loss = tf.reduce_sum(states * factors)
        found = tape.gradient(loss, encoder.trainable_variables, unconnected_gradients="zero")
        return states * alone["input_mask"][..., np.newaxis], found

    states, gradients = run(packed, True)
    expected, expected_gradients = run(alone, False)
    np.testing.assert_allclose(states, expected, atol=1e-5)
    for variable, one, other in zip(encoder.trainable_variables, gradients, expected_gradients):
        one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
        atol = 1e-5 * max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=variable.name)
    assert np.isfinite(sequence(encoder, packed)).all()


def test_a_mask_restricts_packed_sequences_further(encoder):
    packed, _, _ = documents()
    mask = np.ones([2, 8], np.int32)
    np.testing.assert_array_equal(
        sequence(encoder, {**packed, "input_mask": mask}), sequence(encoder, packed)
    )
    mask[0, 1] = 0
    outputs = encoder({**packed, "input_mask": mask}, output_attentions=True)
    assert not outputs["attentions"][0][0, :, 0, 1].numpy().any()
    pairs = np.repeat(mask[:, np.newaxis], 8, axis=1)
    np.testing.assert_array_equal(
        sequence(encoder, {**packed, "input_mask": pairs}), outputs["sequence_output"]
    )


# === Recomputation ===
def test_recomputation_gives_the_same_gradients():
    results = []
    for recompute in (False, True):
        tf_keras.utils.set_random_seed(1)
        encoder = networks.ElectraEncoder(tiny.config(), recompute=recompute)

        @tf.function
        def step(encoder=encoder):
            with tf.GradientTape() as tape, randomness.stream(randomness.Key(1)):
                outputs = encoder(text(), training=True)
                loss = tf.reduce_sum(outputs["sequence_output"][..., :3] ** 3)
            found = tape.gradient(loss, encoder.trainable_variables)
            return outputs["sequence_output"], [tf.convert_to_tensor(g) for g in found]

        results.append(tf.nest.flatten(step()))
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("positions", ["absolute", "relative_key"])
def test_the_position_table_exists_and_is_trained_only_if_used(positions):
    encoder = networks.ElectraEncoder(tiny.config(position_embedding_type=positions))
    table = encoder.embeddings.position_embeddings.position_embeddings
    assert table.shape == [8, 8]
    assert any(v is table for v in encoder.variables)
    assert any(v is table for v in encoder.trainable_variables) == (positions == "absolute")
    encoder.trainable = False
    encoder.trainable = True
    assert any(v is table for v in encoder.trainable_variables) == (positions == "absolute")
