"""Vectors of absolute positions."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import layers


def test_positions_start_at_0_in_every_sequence():
    layer = layers.PositionEmbedding(7)
    vectors = layer(tf.zeros([2, 5, 4]))
    np.testing.assert_array_equal(vectors, [layer.position_embeddings.numpy()[:5]] * 2)


def test_positions_may_be_given():
    layer = layers.PositionEmbedding(7)
    vectors = layer(tf.zeros([1, 3, 4]), position_ids=[[6, 0, 6]])
    np.testing.assert_array_equal(vectors, [layer.position_embeddings.numpy()[[6, 0, 6]]])


def test_positions_may_be_counted_along_another_axis():
    layer = layers.PositionEmbedding(7, seq_axis=2)
    vectors = layer(tf.zeros([2, 3, 5, 4]))
    assert vectors.shape == [2, 3, 5, 4]
    np.testing.assert_array_equal(vectors[1, 2], layer.position_embeddings.numpy()[:5])


def test_the_length_may_be_dynamic():
    layer = layers.PositionEmbedding(7)
    layer(tf.zeros([1, 1, 4]))
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 4])])
    np.testing.assert_array_equal(graph(tf.zeros([2, 5, 4])), layer(tf.zeros([2, 5, 4])))


def test_an_input_that_is_too_long_raises():
    with pytest.raises(InputError, match="has 8 positions along axis 1, the table max_length=7; "):
        layers.PositionEmbedding(7)(tf.zeros([1, 8, 4]))


def test_a_table_without_length_raises():
    with pytest.raises(InputError, match="max_length must be a number of positions, was None"):
        layers.PositionEmbedding(None)


def test_gradients_are_summed_over_the_batch_in_float32():
    # A sum of ones in bfloat16, which has 8 significant bits, does not exceed 256.
    layer = layers.PositionEmbedding(2, dtype="mixed_bfloat16")
    inputs = tf.zeros([1000, 2, 4])
    for ids in (None, tf.zeros([1000, 2], tf.int32)):
        with tf.GradientTape() as tape:
            vectors = layer(inputs, position_ids=ids)
        assert vectors.dtype == tf.bfloat16
        gradient = tf.convert_to_tensor(tape.gradient(vectors, layer.position_embeddings))
        assert float(gradient[0, 0]) == (1000 if ids is None else 2000)
