"""The output head of the generator."""

import operator

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import layers

B, L, H, E, V = 2, 5, 6, 4, 11
X = np.random.default_rng(0).normal(size=[B, L, H]).astype(np.float32)
POSITIONS = np.int32([[4, 0, 4], [1, 2, 3]])


@pytest.fixture
def table():
    """An embedding table."""
    made = layers.OnDeviceEmbedding(V, E, initializer="random_normal")
    made.build()
    return made


def test_scores_are_products_of_transformed_vectors_with_the_table(table):
    head = layers.MaskedLM(table, activation="gelu")
    result = head(X, POSITIONS)
    head.bias.assign(np.arange(V, dtype=np.float32))
    gathered = np.take_along_axis(X, POSITIONS[..., np.newaxis], axis=1)
    hidden = head.layer_norm(tf_keras.activations.gelu(head.dense(gathered)))
    expected = hidden @ tf.transpose(table.embeddings)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(head(X, POSITIONS), expected + np.arange(V), atol=1e-5)


def test_without_positions_every_position_is_scored(table):
    head = layers.MaskedLM(table)
    everywhere = np.broadcast_to(np.arange(L), [B, L])
    np.testing.assert_array_equal(head(X), head(X, everywhere))


def test_predictions_are_log_probabilities(table):
    logits = layers.MaskedLM(table)
    predictions = layers.MaskedLM(table, output="predictions")
    expected = tf.nn.log_softmax(logits(X))
    predictions(X)
    predictions.set_weights(logits.get_weights())
    np.testing.assert_allclose(predictions(X), expected, atol=1e-6)


def test_the_table_may_be_the_variable_of_another_layer(table):
    by_layer, by_variable = layers.MaskedLM(table), layers.MaskedLM(table.embeddings)
    by_layer(X), by_variable(X)
    for name in ("dense.kernel", "layer_norm.gamma", "bias"):
        find = operator.attrgetter(name)
        find(by_variable).assign(find(by_layer))
    np.testing.assert_array_equal(by_variable(X), by_layer(X))
    assert by_variable.table is table.embeddings


def test_training_the_head_trains_the_table(table):
    head = layers.MaskedLM(table)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(X) ** 2)
    assert np.abs(tape.gradient(loss, table.embeddings)).max() > 0


def test_the_gradient_of_the_table_is_computed_once_per_batch(table):
    head = layers.MaskedLM(table)
    head(X)

    @tf.function
    def gradient(x):
        return tf.gradients(tf.reduce_sum(head(x) ** 2), [head.table.handle])

    operations = gradient.get_concrete_function(tf.TensorSpec([B, L, H])).graph.get_operations()
    shapes = [
        output.shape.as_list() for op in operations for output in op.outputs if output.shape.rank
    ]
    assert [V, E] in shapes
    assert not [shape for shape in shapes if sorted(shape) == sorted([B, V, E])]


def test_the_shape_of_the_scores_is_known_while_tracing(table):
    head = layers.MaskedLM(table)
    head(X)
    for batch in (B, None):
        positions = tf.TensorSpec([batch, 3], tf.int32)
        traced = tf.function(head).get_concrete_function(tf.TensorSpec([batch, L, H]), positions)
        assert traced.output_shapes == tf.TensorShape([batch, 3, V])


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("of", ["layer", "variable"])
def test_only_the_dense_layer_computes_in_half_precision(dtype, of):
    table = layers.OnDeviceEmbedding(V, E, initializer="random_normal", dtype=dtype)
    table.build()
    head = layers.MaskedLM(table if of == "layer" else table.embeddings, dtype=dtype)
    assert head(X).dtype == tf.float32
    head.bias.assign(np.arange(V) / 3)  # no number of half precision
    hidden = head.layer_norm(head.dense(X))
    assert (head.dense(X).dtype, hidden.dtype) == (
        tf.as_dtype(head.dense.compute_dtype),
        tf.float32,
    )
    assert head.dense.dtype_policy.name == dtype
    expected = np.float64(hidden) @ np.float64(table.embeddings).T + np.float64(head.bias)
    np.testing.assert_allclose(head(X), expected, atol=2e-6)


def test_the_policy_is_serialized(table):
    head = layers.MaskedLM(table, dtype="mixed_bfloat16")
    assert head.get_config()["dtype"] == "mixed_bfloat16"
    copy = layers.MaskedLM.from_config(head.get_config())
    copy(X)
    assert copy.dense.dtype_policy.name == "mixed_bfloat16"


def test_a_deserialized_head_has_its_own_table(table):
    head = layers.MaskedLM(table, activation="gelu_new", output="predictions", name="head")
    copy = layers.MaskedLM.from_config(head.get_config())
    assert copy.table is not table.embeddings
    assert copy.table.shape == table.embeddings.shape
    assert copy.get_config() == head.get_config()


def test_an_unknown_output_raises(table):
    with pytest.raises(InputError, match='"probs": output must be "logits" or "predictions"'):
        layers.MaskedLM(table, output="probs")


def test_a_head_tied_to_a_variable_cannot_be_serialized(table):
    with pytest.raises(NotImplementedError, match="belongs to another layer; pass that layer"):
        layers.MaskedLM(table.embeddings).get_config()


# === Hugging Face ===
