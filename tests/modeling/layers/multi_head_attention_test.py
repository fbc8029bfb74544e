"""Attention, against tf_keras's own with the same variables."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers

B, T, S = 2, 5, 7
_random = np.random.default_rng(0)
QUERY = _random.normal(size=[B, T, 6]).astype(np.float32)
VALUE = _random.normal(size=[B, S, 8]).astype(np.float32)
KEY = _random.normal(size=[B, S, 4]).astype(np.float32)
CROSS_MASK = _random.integers(0, 2, [B, T, S]).astype(bool)
SELF_MASK = _random.integers(0, 2, [B, T, T]).astype(bool)
# In tf_keras a query without any allowed key attends by its scores: here every one has a key.
CROSS_MASK[..., 0], SELF_MASK[..., 0] = True, True


def pair(*inputs, **options):
    """Returns our layer and tf_keras's with the same, random variables."""
    options = {"num_heads": 2, "key_dim": 3, "bias_initializer": "random_normal", **options}
    ours = layers.MultiHeadAttention(**options)
    theirs = tf_keras.layers.MultiHeadAttention(**options)
    ours(*inputs), theirs(*inputs)
    values = {v.name.split("/", 1)[1]: v for v in theirs.variables}
    assert len(values) == len(ours.variables)
    for variable in ours.variables:
        variable.assign(values[variable.name.split("/", 1)[1]])
    return ours, theirs


CASES = {
    "self": ((QUERY, QUERY), {}, {}),
    "self, masked": ((QUERY, QUERY), {}, {"attention_mask": SELF_MASK}),
    "self, causal": ((QUERY, QUERY), {}, {"use_causal_mask": True}),
    "self, causal and masked": (
        (QUERY, QUERY),
        {},
        {"use_causal_mask": True, "attention_mask": SELF_MASK},
    ),
    "cross": ((QUERY, VALUE), {}, {}),
    "cross, masked": ((QUERY, VALUE), {}, {"attention_mask": CROSS_MASK}),
    "cross, own key": ((QUERY, VALUE, KEY), {}, {}),
    "cross, causal": ((QUERY, VALUE), {}, {"use_causal_mask": True}),
    "wide values": ((QUERY, QUERY), {"value_dim": 5}, {}),
    "another width": ((QUERY, QUERY), {"output_shape": 9}, {}),
    "no biases": ((QUERY, QUERY), {"use_bias": False}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_probabilities_are_tf_keras_s(case):
    inputs, options, call = CASES[case]
    ours, theirs = pair(*inputs, **options)
    got = ours(*inputs, **call, return_attention_scores=True)
    want = theirs(*inputs, **call, return_attention_scores=True)
    for one, other in zip(got, want):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_array_equal(ours(*inputs, **call), got[0])


def test_gradients_are_tf_keras_s():
    ours, theirs = pair(QUERY, QUERY)

    def gradients(layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(QUERY, QUERY, attention_mask=SELF_MASK) ** 2)
        found = tape.gradient(loss, layer.trainable_variables)
        return {v.name.split("/", 1)[1]: g for v, g in zip(layer.trainable_variables, found)}

    expected = gradients(theirs)
    for name, gradient in gradients(ours).items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-4, err_msg=name)


def test_arguments_are_tf_keras_s():
    ours = layers.MultiHeadAttention(num_heads=2, key_dim=3).get_config()
    theirs = tf_keras.layers.MultiHeadAttention(num_heads=2, key_dim=3).get_config()
    theirs = theirs.keys() - {"query_shape", "key_shape", "value_shape"}
    assert theirs <= ours.keys()


@pytest.fixture(scope="module")
def attention():
    """A layer with dropout."""
    return layers.MultiHeadAttention(num_heads=2, key_dim=3, dropout=0.5)


def test_a_mask_of_tokens_of_pairs_and_of_heads_mean_the_same(attention):
    mask = np.int32([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    expected = attention(QUERY, attention_mask=mask)
    for shape in ([B, 1, T], [B, 1, 1, T]):
        np.testing.assert_array_equal(
            attention(QUERY, attention_mask=mask.reshape(shape)), expected
        )
    full = np.broadcast_to(mask[:, np.newaxis, np.newaxis], [B, 2, T, T])
    for dtype in (bool, np.float32, np.int64):
        np.testing.assert_array_equal(attention(QUERY, attention_mask=full.astype(dtype)), expected)


def test_forbidden_positions_get_no_probability_at_all(attention):
    mask = np.int32([[1, 1, 1, 0, 0]] * B)
    _, probabilities = attention(QUERY, attention_mask=mask, return_attention_scores=True)
    np.testing.assert_array_equal(probabilities[..., 3:], np.zeros([B, 2, T, 2]))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_position_that_may_attend_nowhere_attends_everywhere_alike(dtype):
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=3, dtype=dtype)
    _, probabilities = layer(QUERY, attention_mask=np.zeros([B, T]), return_attention_scores=True)
    np.testing.assert_allclose(
        tf.cast(probabilities, tf.float32), np.full([B, 2, T, T], 1 / T), 1e-2
    )


def test_a_query_alone_attends_to_itself(attention):
    np.testing.assert_array_equal(attention(QUERY), attention(QUERY, QUERY))
    np.testing.assert_array_equal(attention(QUERY), attention(QUERY, QUERY, QUERY))


def test_one_product_for_all_three_equals_three(attention):
    # A copy is another object, so that the three are projected apart.
    np.testing.assert_allclose(attention(QUERY, QUERY.copy()), attention(QUERY, QUERY), atol=1e-6)


def test_dropout_drops_probabilities_in_training_alone(attention):
    def called(training):
        with randomness.stream(randomness.Key(1)):
            return attention(QUERY, training=training).numpy()

    np.testing.assert_array_equal(called(True), called(True))
    assert not np.allclose(called(True), called(False))
    np.testing.assert_array_equal(called(False), attention(QUERY))


def test_softmax_is_float32_where_the_rest_is_half(attention):
    half = layers.MultiHeadAttention(num_heads=2, key_dim=3, dtype="mixed_bfloat16")
    graph = tf.function(half).get_concrete_function(tf.TensorSpec([B, T, 6])).graph
    softmax = [op for op in graph.get_operations() if op.type == "Softmax"]
    assert [op.outputs[0].dtype for op in softmax] == [tf.float32]


@pytest.mark.parametrize("axes", [2, (1, 2), 0])
def test_another_axis_is_refused(axes):
    with pytest.raises(
        InputError, match=r"attention_axes must be None or 1, was .*; move the axis"
    ):
        layers.MultiHeadAttention(2, 3, attention_axes=axes)


@pytest.mark.parametrize("shape", [[T], [B, 1, 1, T, T]])
def test_a_mask_of_another_rank_is_refused(attention, shape):
    with pytest.raises(InputError, match=rf"attention_mask must be .* had {len(shape)} axes"):
        attention(QUERY, attention_mask=np.ones(shape))
