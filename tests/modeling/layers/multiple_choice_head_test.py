"""A head that scores the choices of a question."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers, ops

B, C, L, H = 2, 3, 5, 4
X = np.random.default_rng(0).normal(size=[B, C, L, H]).astype(np.float32)
INDEX = np.int32([[0, 4, 2], [3, 3, 1]])
SUMMARIES = {
    "first": X[:, :, 0],
    "last": X[:, :, -1],
    "mean": X.mean(axis=2),
    "cls_index": np.take_along_axis(X, INDEX[..., np.newaxis, np.newaxis], axis=2)[:, :, 0],
}


def _head(**options):
    return layers.MultipleChoiceHead(**{"summary_last_dropout": 0.0, **options})


@pytest.mark.parametrize("summary_type", SUMMARIES)
def test_a_choice_is_scored_by_its_summary(summary_type):
    head = _head(summary_type=summary_type, summary_activation="tanh")
    options = {"cls_index": INDEX} if summary_type == "cls_index" else {}
    logits = head(X, **options)
    kernel, bias, out_kernel, out_bias = (v.numpy() for v in head.trainable_variables)
    expected = np.tanh(SUMMARIES[summary_type] @ kernel + bias) @ out_kernel + out_bias
    np.testing.assert_allclose(logits, expected[..., 0], atol=1e-5)


def test_projection_and_activation_are_optional():
    head = _head(summary_use_proj=False, summary_activation=None)
    kernel, bias = (head(X), head.trainable_variables)[1]
    np.testing.assert_allclose(head(X), (X[:, :, 0] @ kernel + bias)[..., 0], atol=1e-5)


def test_choices_may_be_merged_into_the_first_axis():
    head = _head(summary_type="cls_index")
    flat = head(X.reshape(B * C, L, H), num_choices=C, cls_index=INDEX.reshape(-1))
    np.testing.assert_allclose(flat, head(X, cls_index=INDEX), atol=1e-6)


def test_without_an_index_the_last_token_is_used():
    head = _head(summary_type="cls_index")
    np.testing.assert_array_equal(head(X), head(X, cls_index=np.full([B, C], L - 1)))


def test_gelu_is_exact():
    assert _head(summary_activation="gelu").summary_activation is ops.gelu


@pytest.mark.parametrize("rate", ["summary_first_dropout", "summary_last_dropout"])
def test_dropout_applies_in_training_only_and_equally_in_a_smaller_batch(rate):
    head = _head(**{rate: 0.5})
    with randomness.stream(randomness.Key(1)):
        training = head(X, training=True)
    with randomness.stream(randomness.Key(1), first_row=1):
        second = head(X[1:], training=True)
    assert not np.allclose(training, head(X))
    np.testing.assert_allclose(training[1:], second, atol=1e-6)
    np.testing.assert_array_equal(head(X, training=False), head(X))


def test_logits_of_half_precision_are_computed_in_float32():
    head = _head(summary_use_proj=False, summary_activation=None, dtype="mixed_bfloat16")
    half = tf.cast(X, tf.bfloat16)
    logits = head(half)
    assert logits.dtype == tf.float32
    expected = tf.cast(half[:, :, 0], tf.float32) @ head.out_proj.kernel
    np.testing.assert_allclose(logits, expected[..., 0], atol=1e-6)


def test_an_unknown_summary_type_raises():
    with pytest.raises(InputError, match="summary_type must be one of first, last, mean"):
        _head(summary_type="attn")


def test_three_axes_need_the_number_of_choices():
    with pytest.raises(InputError, match="give num_choices"):
        _head()(X[0])


def test_an_index_that_is_not_used_raises():
    with pytest.raises(InputError, match="cls_index must be None with summary_type='first'"):
        _head()(X, cls_index=INDEX)
