"""Embeddings that add differences to those of another network."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import layers, networks
from tests.modeling import tiny

V, E, L = tiny.VOCABULARY, 8, tiny.LENGTH
IDS = np.random.default_rng(0).integers(0, V, [2, L])
TYPES = np.int32([[0] * 5 + [1] * 3] * 2)
POSITIONS = np.int32([[0, 1, 2, 3, 0, 1, 2, 3]] * 2)


def perturb(*parts):
    random = np.random.default_rng(4)
    for variable in (v for part in parts for v in part.variables):
        variable.assign_add(random.normal(size=variable.shape).astype(np.float32))


@pytest.fixture
def base():
    made = layers.ElectraEmbeddings(V, E, L)
    made.build(None)
    return made


@pytest.fixture
def perturbed(base):
    made = layers.DisentangledEmbeddings(base)
    made.build(None)
    perturb(base, made)
    return made


def test_initial_vectors_are_those_of_the_base(base):
    made = layers.DisentangledEmbeddings(base)
    np.testing.assert_array_equal(made(IDS, TYPES), base(IDS, TYPES))
    perturb(base.word_embeddings, base.position_embeddings, base.type_embeddings)
    np.testing.assert_array_equal(made(IDS, TYPES), base(IDS, TYPES))
    perturb(base.layer_norm)  # its own is another
    assert not np.allclose(made(IDS, TYPES), base(IDS, TYPES))


@pytest.mark.parametrize("given", ["word_ids", "inputs_embeds"])
def test_vectors_are_the_normalized_sum_of_base_and_differences(perturbed, base, given):
    words, positions, types = (own + other for own, other in zip(perturbed.own.tables, base.tables))
    vectors = tf.gather(words, IDS)
    summed = vectors + tf.gather(positions, POSITIONS) + tf.gather(types, TYPES)
    words = {"word_ids": IDS, "inputs_embeds": None}
    if given == "inputs_embeds":
        words = {"word_ids": None, "inputs_embeds": vectors}
    result = perturbed(**words, type_ids=TYPES, position_ids=POSITIONS)
    np.testing.assert_allclose(result, perturbed.own.layer_norm(summed), atol=1e-5)


def test_the_gradient_reaches_the_differences_and_not_the_base(perturbed, base):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(perturbed(IDS, TYPES) ** 3)
    both = [*perturbed.trainable_variables, *base.trainable_variables]
    gradients = tape.gradient(loss, both)
    assert all(gradient is not None for gradient in gradients[:5])
    assert gradients[5:] == [None] * 5


def test_only_the_differences_are_variables_of_the_layer(perturbed, base):
    assert len(perturbed.variables) == 5
    assert not {v.ref() for v in perturbed.variables} & {v.ref() for v in base.variables}


def test_no_sum_of_tables_is_computed_in_a_step(perturbed):
    @tf.function
    def step(ids, types):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(perturbed(ids, types) ** 3)
        return [g for g in tape.gradient(loss, perturbed.own.tables) if tf.is_tensor(g)]

    operations = step.get_concrete_function(IDS, TYPES).graph.get_operations()
    assert not [op.name for op in operations for x in op.outputs if x.shape == [V, E]]


def test_the_table_is_the_sum(perturbed, base):
    table = perturbed.get_embedding_table()
    expected = perturbed.own.tables[0] + base.tables[0]
    np.testing.assert_array_equal(table, expected)
    assert not hasattr(table, "assign")


def test_merged_embeddings_give_the_same_vectors_and_are_independent(perturbed, base):
    merged, expected = perturbed.merged(), perturbed(IDS, TYPES)
    perturb(base)
    np.testing.assert_allclose(merged(IDS, TYPES), expected, atol=1e-5)
    assert len(merged.variables) == 5


def test_half_precision_adds_in_half_precision(base):
    made = layers.DisentangledEmbeddings(base, dtype="mixed_bfloat16")
    assert made(IDS, TYPES).dtype == tf.bfloat16
    assert {v.dtype for v in made.variables} == {tf.float32}


# === In an encoder ===
@pytest.fixture
def encoder(perturbed):
    made = networks.ElectraEncoder(tiny.config(), embeddings=perturbed)
    perturb(made.transformer_layers[0])
    return made


def sequence(encoder):
    return encoder(IDS)["sequence_output"]


def test_a_file_of_the_encoder_contains_the_base(tmp_path, encoder, base):
    encoder.save(tmp_path / "encoder.keras")
    loaded = tf_keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(sequence(loaded), sequence(encoder), atol=1e-6)
    assert loaded.embeddings.base is not base


def test_a_checkpoint_of_the_encoder_contains_the_base(tmp_path, encoder):
    path = tf.train.Checkpoint(encoder=encoder).write(str(tmp_path / "encoder"))
    again = networks.ElectraEncoder.from_config(encoder.get_config())
    tf.train.Checkpoint(encoder=again).read(path).assert_consumed()
    np.testing.assert_array_equal(sequence(again), sequence(encoder))


def test_a_plain_encoder_does_not_load_differences_as_vectors(tmp_path, encoder):
    path = tf.train.Checkpoint(encoder=encoder).write(str(tmp_path / "encoder"))
    plain = networks.ElectraEncoder(tiny.config())
    with pytest.raises(AssertionError, match="5 Python objects that were not bound"):
        tf.train.Checkpoint(encoder=plain).read(path).assert_existing_objects_matched()


def test_an_encoder_with_a_sum_of_tables_has_no_table_layer(encoder):
    with pytest.raises(InputError, match=r"is a sum of two; use get_embedding_table\(\) or"):
        encoder.get_embedding_layer()


def test_sizes_are_checked_as_those_of_shared_embeddings(perturbed):
    with pytest.raises(InputError, match=r"max_length=16 .* had 8"):
        networks.ElectraEncoder(tiny.config(max_position_embeddings=16), embeddings=perturbed)
