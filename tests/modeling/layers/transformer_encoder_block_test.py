"""One layer of an encoder."""

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


def test_after_each_part_comes_the_residual_then_layer_norm():
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


def test_another_sequence_may_have_its_own_layer_norm():
    made = block(norm_first=True, diff_q_kv_att_layer_norm=True)
    before = made([X, MEMORY, None]).numpy()
    made.key_value_norm.gamma.assign(np.full([H], 3.0))
    assert not np.allclose(made([X, MEMORY, None]), before)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mask", [None, MASK, np.repeat(MASK, T, axis=1)])
def test_leading_positions_alone_equal_those_of_all(norm_first, mask):
    made = block(norm_first=norm_first)
    inputs = X if mask is None else [X, mask]
    np.testing.assert_allclose(made(inputs, output_range=2), made(inputs)[:, :2], atol=1e-6)


def test_leading_positions_may_be_a_matter_of_construction():
    assert block(output_range=1)(X).shape == [B, 1, H]


def test_attention_without_a_residual():
    made = block(use_query_residual=False)
    result = made(X)
    attended = made.attention_norm(made.attention(X))
    inner = made.output_dense(tf_keras.activations.gelu(made.intermediate(attended)))
    np.testing.assert_allclose(result, made.output_norm(attended + inner), atol=1e-5)


def test_the_widths_of_heads_and_output_may_be_given():
    made = block(key_dim=3, value_dim=6, output_last_dim=10, use_query_residual=False)
    assert made(X).shape == [B, T, 10]
    assert made.attention.query_kernel.shape == [H, 2, 3]
    assert made.attention.value_kernel.shape == [H, 2, 6]


def test_probabilities_come_when_asked_for():
    output, scores = block(return_attention_scores=True)([X, MASK])
    assert (output.shape, scores.shape) == ([B, T, H], [B, 2, T, T])


@pytest.mark.parametrize("rate", ["output_dropout", "attention_dropout", "inner_dropout"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_each_dropout_acts_in_training(rate, norm_first):
    made = block(**{rate: 0.5}, norm_first=norm_first)
    with randomness.stream(randomness.Key(1)):
        training = made(X, training=True)
    assert not np.allclose(training, made(X))


def test_regularizers_and_constraints_reach_every_map():
    made = block(kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="non_neg")
    made(X)
    kernels = [v for v in made.trainable_variables if "kernel" in v.name]
    biases = [v for v in made.trainable_variables if "/bias" in v.name]
    assert (len(kernels), len(biases)) == (6, 6)
    assert len(made.losses) == 12
    assert all(isinstance(v.constraint, tf_keras.constraints.NonNeg) for v in kernels)


def test_layer_norm_reckons_in_float32_with_its_small_epsilon():
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
    ],
)
def test_arguments_that_exclude_each_other_are_refused(options, message):
    options = {"num_attention_heads": 2, "inner_dim": 12, "inner_activation": "gelu", **options}
    with pytest.raises(InputError, match=message):
        layers.TransformerEncoderBlock(**options)(X)


@pytest.mark.parametrize("inputs", [X[0], X[:, np.newaxis], [X[:, np.newaxis], None]])
def test_an_input_without_or_with_more_than_one_axis_of_tokens_is_refused(inputs):
    with pytest.raises(InputError, match=r"\[batch, length, width\], had [24] axes"):
        block()(inputs)


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_of_inputs_is_refused(count):
    with pytest.raises(InputError, match=f"inputs must be x, .* was a list of {count}"):
        block()([X] * count)
