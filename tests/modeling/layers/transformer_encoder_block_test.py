"""The Transformer layer of encoders and decoders."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers

B, T, S, H = 2, 5, 7, 8
_random = np.random.default_rng(0)
X = _random.normal(size=[B, T, H]).astype(np.float32)
MEMORY = _random.normal(size=[B, S, H]).astype(np.float32)
MASK = np.int32([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]])[:, np.newaxis]


def block(**options):
    options = {"bias_initializer": "random_normal", **options}
    return layers.TransformerEncoderBlock(2, 12, "gelu", **options)


def test_each_part_ends_with_residual_and_layer_norm():
    made = block()
    result = made([X, MASK])
    attended = made.attention_norm(X + made.attention(X, attention_mask=MASK))
    inner = made.output_dense(tf_keras.activations.gelu(made.intermediate(attended)))
    np.testing.assert_allclose(result, made.output_norm(attended + inner), atol=1e-5)


def test_norm_first_normalizes_the_input_of_each_part():
    made = block(norm_first=True)
    result = made([X, MASK])
    attended = X + made.attention(made.attention_norm(X), attention_mask=MASK)
    inner = made.intermediate(made.output_norm(attended))
    expected = attended + made.output_dense(tf_keras.activations.gelu(inner))
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_key_and_value_may_be_another_sequence(norm_first):
    made = block(norm_first=norm_first)
    mask = np.ones([B, T, S])
    result = made([X, MEMORY, mask])
    assert result.shape == [B, T, H]
    np.testing.assert_array_equal(made([X, MEMORY, None]), result)
    assert not np.allclose(made([X, -MEMORY, mask]), result)


def test_key_and_value_may_have_their_own_layer_norm():
    made = block(norm_first=True, diff_q_kv_att_layer_norm=True)
    before = made([X, MEMORY, None]).numpy()
    made.key_value_norm.gamma.assign(np.full([H], 3.0))
    assert not np.allclose(made([X, MEMORY, None]), before)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mask", [None, MASK, np.repeat(MASK, T, axis=1)])
def test_leading_positions_equal_those_of_the_whole_output(norm_first, mask):
    made = block(norm_first=norm_first)
    inputs = X if mask is None else [X, mask]
    np.testing.assert_allclose(made(inputs, output_range=2), made(inputs)[:, :2], atol=1e-6)


def test_the_constructor_may_select_leading_positions():
    assert block(output_range=1)(X).shape == [B, 1, H]


def test_attention_without_a_residual():
    made = block(use_query_residual=False)
    result = made(X)
    attended = made.attention_norm(made.attention(X))
    inner = made.output_dense(tf_keras.activations.gelu(made.intermediate(attended)))
    np.testing.assert_allclose(result, made.output_norm(attended + inner), atol=1e-5)


def test_widths_of_heads_and_output_may_be_given():
    made = block(key_dim=3, value_dim=6, output_last_dim=10, use_query_residual=False)
    assert made(X).shape == [B, T, 10]
    assert made.attention.query_kernel.shape == [H, 2, 3]
    assert made.attention.value_kernel.shape == [H, 2, 6]


def test_probabilities_are_returned_on_request():
    output, scores = block(return_attention_scores=True)([X, MASK])
    assert (output.shape, scores.shape) == ([B, T, H], [B, 2, T, T])


@pytest.mark.parametrize("rate", ["output_dropout", "attention_dropout", "inner_dropout"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_each_dropout_acts_in_training(rate, norm_first):
    made = block(**{rate: 0.5}, norm_first=norm_first)
    with randomness.stream(randomness.Key(1)):
        training = made(X, training=True)
    assert not np.allclose(training, made(X))


def test_regularizers_and_constraints_apply_to_every_kernel():
    made = block(kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="non_neg")
    made(X)
    kernels = [v for v in made.trainable_variables if "kernel" in v.name]
    biases = [v for v in made.trainable_variables if "/bias" in v.name]
    assert (len(kernels), len(biases)) == (6, 6)
    assert len(made.losses) == 12
    assert all(isinstance(v.constraint, tf_keras.constraints.NonNeg) for v in kernels)


def test_layer_norm_computes_in_float32_with_its_small_epsilon():
    made = block(dtype="mixed_bfloat16")
    assert made(X).dtype == tf.bfloat16
    for norm in (made.attention_norm, made.output_norm):
        assert (norm.compute_dtype, norm.epsilon) == ("float32", 1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_attention_heads": 3}, "width 8 must be a multiple of num_attention_heads=3; change"),
        ({"diff_q_kv_att_layer_norm": True}, "diff_q_kv_att_layer_norm=True needs norm_first=True"),
        ({"attention_axes": 2}, "attention_axes must be None or 1, was 2"),
        ({"position_embedding_type": "rotary"}, "position_embedding_type must be one of absolute"),
        ({"position_embedding_type": "relative_key"}, "max_length must be .* was None"),
        ({"num_kv_heads": 1}, "Block: num_kv_heads must be left out or None, was 1: every head"),
        ({"src_block_size": 64}, "src_block_size must be left out"),
        ({"tgt_block_size": 64}, "tgt_block_size must be left out"),
        ({"use_sigmoid_attn": True}, "use_sigmoid_attn must be left out or False"),
        ({"sigmoid_attn_bias": 1.0}, "sigmoid_attn_bias must be left out"),
        ({"use_rms_norm": True}, "use_rms_norm must be left out or False, was True: ELECTRA is"),
        ({"linformer_dim": 4}, "linformer_dim must be left out or None, was 4: keys and values"),
        ({"linformer_shared_kv_projection": False}, "shared_kv_projection must be left out or Tr"),
    ],
)
def test_arguments_that_exclude_each_other_raise(options, message):
    options = {"num_attention_heads": 2, "inner_dim": 12, "inner_activation": "gelu", **options}
    with pytest.raises(InputError, match=message):
        layers.TransformerEncoderBlock(**options)(X)


@pytest.mark.parametrize("inputs", [X[0], X[:, np.newaxis], [X[:, np.newaxis], None]])
def test_inputs_of_another_rank_raise(inputs):
    with pytest.raises(InputError, match=r"\[batch, length, width\], had [24] axes"):
        block()(inputs)


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_of_inputs_raises(count):
    with pytest.raises(InputError, match=f"inputs must be x, .* was a list of {count}"):
        block()([X] * count)


# === Decoder ===
STATES_MASK = np.int32([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]])


def decoder(**options):
    return block(add_cross_attention=True, **options)


def gelu_network(made, x):
    return made.output_dense(tf_keras.activations.gelu(made.intermediate(x)))


def test_cross_attention_comes_after_self_attention_with_its_own_residual_and_norm():
    made = decoder()
    result = made(X, encoder_hidden_states=MEMORY, encoder_attention_mask=STATES_MASK)
    x = made.attention_norm(X + made.attention(X))
    x = made.cross_norm(x + made.cross_attention(x, MEMORY, attention_mask=STATES_MASK))
    np.testing.assert_allclose(result, made.output_norm(x + gelu_network(made, x)), atol=1e-5)


def test_norm_first_normalizes_the_input_of_the_cross_attention_too():
    made = decoder(norm_first=True)
    result = made(X, encoder_hidden_states=MEMORY, encoder_attention_mask=STATES_MASK)
    x = X + made.attention(made.attention_norm(X))
    x = x + made.cross_attention(made.cross_norm(x), MEMORY, attention_mask=STATES_MASK)
    expected = x + gelu_network(made, made.output_norm(x))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_without_encoder_states_the_cross_attention_is_skipped():
    made = decoder(return_attention_scores=True)
    assert [part.shape for part in made(X)] == [[B, T, H], [B, 2, T, T]]
    parts = made(X, encoder_hidden_states=MEMORY)
    assert [part.shape for part in parts] == [[B, T, H], [B, 2, T, T], [B, 2, T, S]]


def test_head_masks_and_causal_masks_apply_to_the_attention():
    made = decoder(return_attention_scores=True)
    _, scores, cross = made(
        X, encoder_hidden_states=MEMORY, head_mask=[1.0, 0.0], use_causal_mask=True
    )
    assert not np.triu(scores, 1).any()
    for one in (scores, cross):
        assert not one[:, 1].numpy().any()
        np.testing.assert_allclose(tf.reduce_sum(one[:, 0], -1), np.ones([B, T]), atol=1e-6)


def test_a_call_may_override_whether_probabilities_are_returned():
    made = block()
    assert made(X, return_attention_scores=True)[1].shape == [B, 2, T, T]
    made = block(return_attention_scores=True)
    assert made(X, return_attention_scores=False).shape == [B, T, H]


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("states_first", [False, True])
def test_steps_give_the_outputs_of_the_whole_sequence(norm_first, fixed, states_first):
    options = {"position_embedding_type": "relative_key", "max_length": T + 2}
    made = decoder(norm_first=norm_first, return_attention_scores=True, **options)
    memory = {"encoder_hidden_states": MEMORY, "encoder_attention_mask": STATES_MASK}
    whole, scores, cross = made(X, use_causal_mask=True, **memory)
    states = MEMORY if states_first else None
    cache = made.init_cache(B, T + 2 if fixed else 0, encoder_hidden_states=states)
    for i in range(T):
        if states_first or i:
            memory.pop("encoder_hidden_states", None)
        output, now, cross_now, cache = made(
            X[:, i : i + 1],
            use_causal_mask=True,
            cache=cache,
            cache_index=i if fixed else None,
            **memory,
        )
        np.testing.assert_allclose(output, whole[:, i : i + 1], atol=1e-5)
        np.testing.assert_allclose(now[..., : i + 1], scores[:, :, i : i + 1, : i + 1], atol=1e-5)
        np.testing.assert_allclose(cross_now, cross[:, :, i : i + 1], atol=1e-5)
    assert cache.keys() == {"key", "value", "cross_key", "cross_value"}


def test_leading_positions_of_a_decoder_equal_those_of_the_whole_output():
    made = decoder()
    mask = np.ones([B, 1, T, T], np.int32)
    options = {"encoder_hidden_states": MEMORY, "use_causal_mask": True}
    options["encoder_attention_mask"] = np.repeat(STATES_MASK[:, np.newaxis], T, axis=1)
    whole = made([X, mask], **options)
    np.testing.assert_allclose(made([X, mask], output_range=2, **options), whole[:, :2], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "states", "message"),
    [
        ({}, MEMORY, "states must be None .* build the block with add_cross_attention=True"),
        (
            {"add_cross_attention": True},
            MEMORY[..., 1:],
            "must have the width of the block, 8, had 7",
        ),
    ],
)
def test_encoder_states_that_cannot_be_used_raise(options, states, message):
    with pytest.raises(InputError, match=message):
        block(**options)(X, encoder_hidden_states=states)


# === Recomputation ===
def pair(**options):
    """Return two blocks with equal variables, the second with recomputation."""
    options = {
        "add_cross_attention": True,
        "position_embedding_type": "relative_key_query",
        "max_length": T,
        "output_dropout": 0.3,
        "attention_dropout": 0.3,
        "inner_dropout": 0.3,
        **options,
    }
    plain, twice = block(**options), block(recompute=True, **options)
    plain(X), twice(X)
    twice.set_weights(plain.get_weights())
    return plain, twice


def gradients(made):
    """Return outputs and gradients in training, with all inputs of a block."""
    x, states, heads = tf.constant(X), tf.constant(MEMORY), tf.constant([1.0, 0.5])
    with tf.GradientTape() as tape, randomness.stream(randomness.Key(3), 5):
        tape.watch([x, states, heads])
        output, scores, cross_scores = made(
            [x, tf.constant(MASK)],
            encoder_hidden_states=states,
            encoder_attention_mask=tf.constant(STATES_MASK),
            head_mask=heads,
            use_causal_mask=True,
            return_attention_scores=True,
            training=True,
        )
        weights = tf.reshape(tf.range(B * T * H, dtype=tf.float32), [B, T, H]) / 40
        loss = tf.reduce_sum(tf.cast(output, tf.float32) * weights)
        loss += tf.reduce_sum(tf.cast(scores, tf.float32) ** 2)
    found = tape.gradient(loss, [x, states, heads, *made.trainable_variables])
    return [output, scores, cross_scores], [tf.convert_to_tensor(g) for g in found]


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


EXECUTORS = {
    "eager": lambda run: run,
    "graph": tf.function,
    "xla": lambda run: tf.function(run, jit_compile=True),
}


# The numbers are equal in eager execution, and in a float32 graph. Graph optimizers and compilers
# rewrite the two programs differently, which changes rounding: norm of the difference, relative.
@pytest.mark.parametrize(
    ("executor", "policy", "norm_first", "rounding"),
    [
        ("eager", "float32", True, 0),
        ("eager", "mixed_bfloat16", False, 0),
        ("graph", "float32", False, 0),
        slow("eager", "float32", False, 0),
        slow("eager", "mixed_float16", True, 0),
        slow("graph", "mixed_bfloat16", True, 2e-2),
        slow("xla", "float32", True, 1e-5),
        slow("xla", "mixed_float16", False, 2e-3),
    ],
)
def test_recomputation_gives_the_same_numbers_with_dropout(executor, policy, norm_first, rounding):
    plain, twice = pair(dtype=policy, norm_first=norm_first)
    execute = EXECUTORS[executor]
    expected, got = (execute(lambda made=made: gradients(made))() for made in (plain, twice))
    for one, other in zip(got, expected):  # outputs, gradients
        one, other = (
            np.concatenate([np.ravel(tf.cast(x, tf.float64)) for x in values])
            for values in (one, other)
        )
        assert np.linalg.norm(one - other) <= rounding * np.linalg.norm(other)
    assert all(gradient.numpy().any() for gradient in got[1])


def test_nothing_is_recomputed_outside_training():
    _, twice = pair()
    operations = tf.function(lambda: twice(X, training=False)).get_concrete_function().graph
    assert "CustomGradient" not in str(operations.as_graph_def())
    operations = tf.function(lambda: twice(X, training=True)).get_concrete_function().graph
    assert "CustomGradient" in str(operations.as_graph_def())


def test_recomputation_outside_a_stream_draws_different_bits_in_each_call():
    _, twice = pair()
    assert not np.array_equal(twice(X, training=True), twice(X, training=True))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["eager", "graph"])
def test_recomputation_takes_less_memory(executor, repository):
    def peak(recompute):
        command = [sys.executable, "-m", "tests.modeling.layers.block_memory", executor, recompute]
        environment = {**os.environ, "PYTHONPATH": str(repository)}
        result = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=repository, env=environment
        )
        return float(result.stdout.split()[-1])

    assert peak("yes") < 0.5 * peak("no")
