"""Attention, compared with tf_keras with equal variables."""

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
    """Return our layer and that of tf_keras with equal random variables."""
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
def test_outputs_and_probabilities_equal_those_of_tf_keras(case):
    inputs, options, call = CASES[case]
    ours, theirs = pair(*inputs, **options)
    got = ours(*inputs, **call, return_attention_scores=True)
    want = theirs(*inputs, **call, return_attention_scores=True)
    for one, other in zip(got, want):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_array_equal(ours(*inputs, **call), got[0])


def test_gradients_equal_those_of_tf_keras():
    ours, theirs = pair(QUERY, QUERY)

    def gradients(layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(QUERY, QUERY, attention_mask=SELF_MASK) ** 2)
        found = tape.gradient(loss, layer.trainable_variables)
        return {v.name.split("/", 1)[1]: g for v, g in zip(layer.trainable_variables, found)}

    expected = gradients(theirs)
    for name, gradient in gradients(ours).items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-4, err_msg=name)


def test_arguments_are_those_of_tf_keras():
    ours = layers.MultiHeadAttention(num_heads=2, key_dim=3).get_config()
    theirs = tf_keras.layers.MultiHeadAttention(num_heads=2, key_dim=3).get_config()
    theirs = theirs.keys() - {"query_shape", "key_shape", "value_shape"}
    assert theirs <= ours.keys()


@pytest.fixture(scope="module")
def attention():
    """A layer with dropout."""
    return layers.MultiHeadAttention(num_heads=2, key_dim=3, dropout=0.5)


def test_masks_of_all_ranks_are_equivalent(attention):
    mask = np.int32([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    expected = attention(QUERY, attention_mask=mask)
    for shape in ([B, 1, T], [B, 1, 1, T]):
        np.testing.assert_array_equal(
            attention(QUERY, attention_mask=mask.reshape(shape)), expected
        )
    full = np.broadcast_to(mask[:, np.newaxis, np.newaxis], [B, 2, T, T])
    for dtype in (bool, np.float32, np.int64):
        np.testing.assert_array_equal(attention(QUERY, attention_mask=full.astype(dtype)), expected)


def test_forbidden_positions_have_probability_zero(attention):
    mask = np.int32([[1, 1, 1, 0, 0]] * B)
    _, probabilities = attention(QUERY, attention_mask=mask, return_attention_scores=True)
    np.testing.assert_array_equal(probabilities[..., 3:], np.zeros([B, 2, T, 2]))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_position_that_may_attend_nowhere_attends_equally_everywhere(dtype):
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=3, dtype=dtype)
    _, probabilities = layer(QUERY, attention_mask=np.zeros([B, T]), return_attention_scores=True)
    np.testing.assert_allclose(
        tf.cast(probabilities, tf.float32), np.full([B, 2, T, T], 1 / T), 1e-2
    )


def test_a_query_without_value_attends_to_itself(attention):
    np.testing.assert_array_equal(attention(QUERY), attention(QUERY, QUERY))
    np.testing.assert_array_equal(attention(QUERY), attention(QUERY, QUERY, QUERY))


def test_one_product_for_query_key_and_value_equals_three(attention):
    # A copy is another object, so that the three are projected apart.
    np.testing.assert_allclose(attention(QUERY, QUERY.copy()), attention(QUERY, QUERY), atol=1e-6)


def test_dropout_applies_to_probabilities_in_training_only(attention):
    def called(training):
        with randomness.stream(randomness.Key(1)):
            return attention(QUERY, training=training).numpy()

    np.testing.assert_array_equal(called(True), called(True))
    assert not np.allclose(called(True), called(False))
    np.testing.assert_array_equal(called(False), attention(QUERY))


def test_softmax_is_float32_in_half_precision(attention):
    half = layers.MultiHeadAttention(num_heads=2, key_dim=3, dtype="mixed_bfloat16")
    graph = tf.function(half).get_concrete_function(tf.TensorSpec([B, T, 6])).graph
    softmax = [op for op in graph.get_operations() if op.type == "Softmax"]
    assert [op.outputs[0].dtype for op in softmax] == [tf.float32]


@pytest.mark.parametrize("axes", [2, (1, 2), 0])
def test_another_attention_axis_raises(axes):
    with pytest.raises(
        InputError, match=r"attention_axes must be None or 1, was .*; move the axis"
    ):
        layers.MultiHeadAttention(2, 3, attention_axes=axes)


@pytest.mark.parametrize("shape", [[T], [B, 1, 1, T, T]])
def test_a_mask_of_another_rank_raises(attention, shape):
    with pytest.raises(InputError, match=rf"attention_mask must be .* had {len(shape)} axes"):
        attention(QUERY, attention_mask=np.ones(shape))


# === Masks of heads ===
def test_a_head_mask_multiplies_the_probabilities(attention):
    plain, probabilities = attention(QUERY, return_attention_scores=True)
    output, masked = attention(QUERY, head_mask=[1.0, 0.0], return_attention_scores=True)
    np.testing.assert_array_equal(masked[:, 0], probabilities[:, 0])
    np.testing.assert_array_equal(masked[:, 1], np.zeros([B, T, T]))
    assert not np.allclose(output, plain)
    # What the second head says does not count.
    attention.value_kernel.assign(attention.value_kernel * [[1.0], [3.0]])
    changed = attention(QUERY, head_mask=[1.0, 0.0])
    attention.value_kernel.assign(attention.value_kernel * [[1.0], [1 / 3]])
    np.testing.assert_allclose(changed, output, atol=1e-6)


def test_head_masks_of_all_shapes_are_equivalent(attention):
    mask = np.float32([0.5, 2.0])
    expected = attention(QUERY, head_mask=mask)
    for shape in ([B, 2], [B, 2, 1, 1], [1, 2, 1, 1], [B, 2, T, T]):
        full = np.broadcast_to(mask if len(shape) == 2 else mask[:, np.newaxis, np.newaxis], shape)
        np.testing.assert_allclose(attention(QUERY, head_mask=full), expected, atol=1e-6)


def test_a_head_mask_applies_after_dropout():
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=3, dropout=0.5)

    def called(**options):
        with randomness.stream(randomness.Key(1)):
            return layer(QUERY, training=True, **options)

    np.testing.assert_allclose(called(head_mask=[3.0, 3.0]), 3 * called(), atol=1e-5)


@pytest.mark.parametrize("shape", [[], [B, 2, T]])
def test_a_head_mask_of_another_rank_raises(attention, shape):
    with pytest.raises(InputError, match=rf"head_mask must be .* had {len(shape)} axes"):
        attention(QUERY, head_mask=np.ones(shape))


# === Caches ===
@pytest.fixture(scope="module", params=["absolute", "relative_key", "relative_key_query"])
def causal(request):
    """A layer of each position type."""
    options = {"position_embedding_type": request.param, "max_length": 2 * T}
    layer = layers.MultiHeadAttention(2, 3, bias_initializer="random_normal", **options)
    layer(QUERY)
    return layer


PADDING = np.int32([[1, 1, 1, 1, 1], [1, 0, 0, 1, 1]])


@pytest.mark.parametrize("steps", [[1] * T, [3, 2]])
def test_steps_with_a_cache_give_the_outputs_of_the_whole_sequence(causal, steps):
    whole, scores = causal(
        QUERY, attention_mask=PADDING, use_causal_mask=True, return_attention_scores=True
    )
    cache, first = causal.init_cache(B), 0
    for count in steps:
        last = first + count
        output, probabilities, cache = causal(
            QUERY[:, first:last],
            attention_mask=PADDING[:, :last],
            use_causal_mask=True,
            return_attention_scores=True,
            cache=cache,
        )
        np.testing.assert_allclose(output, whole[:, first:last], atol=1e-5)
        np.testing.assert_allclose(probabilities, scores[:, :, first:last, :last], atol=1e-5)
        first = last
    assert cache["key"].shape == cache["value"].shape == [B, T, 2, 3]


@pytest.mark.parametrize("use_causal_mask", [True, False])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_cache_of_fixed_length_gives_the_same_outputs_with_static_shapes(
    causal, use_causal_mask, compiled
):
    @tf.function(jit_compile=compiled)
    def step(x, cache, index):
        return causal(x, use_causal_mask=use_causal_mask, cache=cache, cache_index=index)

    fixed, growing = causal.init_cache(B, T + 2), causal.init_cache(B)
    for i in range(T):
        x = QUERY[:, i : i + 1]
        output, fixed = step(x, fixed, tf.constant(i))
        expected, growing = causal(x, use_causal_mask=use_causal_mask, cache=growing)
        np.testing.assert_allclose(output, expected, atol=1e-5)
    assert step.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(fixed["key"][:, :T], growing["key"], atol=1e-6)
    np.testing.assert_array_equal(fixed["value"][:, T:], np.zeros([B, 2, 2, 3]))


def test_a_full_cache_raises(causal):
    cache = causal.init_cache(B, T + 1)
    causal(QUERY, cache=cache, cache_index=1)
    with pytest.raises(
        InputError, match="room for 5 more tokens in a cache of 6 slots, was 2; make"
    ):
        causal(QUERY, cache=cache, cache_index=2)


def test_a_cache_has_the_compute_dtype():
    layer = layers.MultiHeadAttention(2, 3, value_dim=5, dtype="mixed_bfloat16")
    output, cache = layer(QUERY, cache=layer.init_cache(B))
    assert output.dtype == cache["key"].dtype == cache["value"].dtype == tf.bfloat16
    assert (cache["key"].shape, cache["value"].shape) == ([B, T, 2, 3], [B, T, 2, 5])


def test_states_may_be_projected_once_for_several_calls():
    layer = layers.MultiHeadAttention(2, 3, value_dim=4, bias_initializer="random_normal")
    expected = layer(QUERY, VALUE, attention_mask=CROSS_MASK)
    np.testing.assert_array_equal(
        layer(QUERY, layer.project(VALUE), attention_mask=CROSS_MASK), expected
    )


# === Relative positions ===
@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
def test_distance_scores_are_added_before_the_division(kind):
    options = {"position_embedding_type": kind, "max_length": T}
    layer = layers.MultiHeadAttention(2, 4, bias_initializer="random_normal", **options)
    _, probabilities = layer(QUERY, return_attention_scores=True)
    query, key = (
        np.einsum("bth,hnd->btnd", QUERY, kernel) + bias
        for kernel, bias in (
            (layer.query_kernel, layer.query_bias),
            (layer.key_kernel, layer.key_bias),
        )
    )
    query, key = np.float32(query), np.float32(key)
    scores = np.einsum("btnd,bsnd->bnts", query, key) + layer.relative_key(query, key)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(scores / 2), atol=1e-5)


def test_only_relative_positions_have_vectors_of_distances(attention):
    assert [v.name.split("/", 1)[1] for v in attention.variables if "relative" in v.name] == []
    layer = layers.MultiHeadAttention(2, 4, position_embedding_type="relative_key", max_length=T)
    layer(QUERY)
    assert layer.variables[-1].shape == [2 * T - 1, 4]
    assert layer.variables[-1] is layer.relative_key.embeddings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"position_embedding_type": "relative"},
            "must be one of absolute, relative_key, relative_key_query, was 'relative'",
        ),
        ({"position_embedding_type": "relative_key"}, "max_length must be .* was None"),
        ({"num_kv_heads": 1}, "num_kv_heads must be left out or None, was 1: every head"),
        (
            {"src_block_size": 64},
            "src_block_size must be left out or None, was 64: attention covers",
        ),
        (
            {"tgt_block_size": 64},
            "tgt_block_size must be left out or None, was 64: attention covers",
        ),
        ({"use_sigmoid_attn": True}, "use_sigmoid_attn must be left out or False, was True: the"),
        ({"sigmoid_attn_bias": -2.0}, "sigmoid_attn_bias must be left out or None, was -2.0: the"),
    ],
)
def test_unsupported_arguments_raise(options, message):
    with pytest.raises(InputError, match=message):
        layers.MultiHeadAttention(2, 3, **options)
