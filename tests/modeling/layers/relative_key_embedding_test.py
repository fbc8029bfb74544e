"""Scores of distances, compared with the formula in loops."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import layers

B, T, N, D, LONGEST = 2, 4, 3, 5, 6
_random = np.random.default_rng(0)
QUERY = _random.normal(size=[B, T, N, D]).astype(np.float32)
KEY = _random.normal(size=[B, T, N, D]).astype(np.float32)


def expected(layer, query, key, offset=0):
    """Compute the scores one position at a time."""
    table = layer.embeddings.numpy()
    scores = np.zeros([B, N, query.shape[1], key.shape[1]])
    for t in range(query.shape[1]):
        for s in range(key.shape[1]):
            vector = table[offset + t - s + LONGEST - 1]
            scores[:, :, t, s] = query[:, t] @ vector
            if layer.position_embedding_type == "relative_key_query":
                scores[:, :, t, s] += key[:, s] @ vector
    return scores


@pytest.fixture(params=["relative_key", "relative_key_query"])
def layer(request):
    """A layer for six positions."""
    made = layers.RelativeKeyEmbedding(LONGEST, request.param, initializer="random_normal")
    made.build([B, T, N, D])
    made.embeddings.assign(_random.normal(size=[2 * LONGEST - 1, D]))
    return made


def test_a_distance_is_the_query_position_minus_the_key_position(layer):
    np.testing.assert_allclose(layer(QUERY, KEY), expected(layer, QUERY, KEY), atol=1e-5)


@pytest.mark.parametrize("offset", [3, np.int32(3), np.int64(3)])
def test_an_offset_selects_the_scores_of_later_queries(layer, offset):
    whole = layer(QUERY, KEY)
    np.testing.assert_allclose(layer(QUERY[:, 3:], KEY, offset), whole[:, :, 3:], atol=1e-5)


def test_shapes_may_be_dynamic_and_the_graph_compiled(layer):
    specs = [tf.TensorSpec([None, None, N, D])] * 2
    graph = tf.function(layer, input_signature=[*specs, tf.TensorSpec([], tf.int32)])
    later = expected(layer, QUERY, KEY, 2)
    np.testing.assert_allclose(graph(QUERY, KEY, 2), later, atol=1e-5)
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(QUERY, KEY, tf.constant(2)), later, atol=1e-5)


def test_positive_and_negative_distances_have_vectors(layer):
    assert layer.embeddings.shape == [11, D]
    full = np.ones([1, LONGEST, N, D], np.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(full, full))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.embeddings))
    assert (gradient.numpy() != 0).all()


def test_more_keys_than_positions_raise(layer):
    with pytest.raises(
        InputError, match=r"7 keys, but only distances below max_length=6 have vectors; shorten"
    ):
        layer(QUERY, np.zeros([B, 7, N, D], np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": None}, "max_length must be a number of positions, was None"),
        (
            {"max_length": 4, "position_embedding_type": "absolute"},
            "position_embedding_type must be one of relative_key, relative_key_query, was 'abs",
        ),
    ],
)
def test_invalid_arguments_raise(options, message):
    with pytest.raises(InputError, match=message):
        layers.RelativeKeyEmbedding(**options)
