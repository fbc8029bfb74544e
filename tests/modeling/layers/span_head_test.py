"""The head that scores the start and end of a span."""

import numpy as np
import tensorflow as tf

from official_nlp.modeling import layers

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)


def test_every_token_has_a_start_score_and_an_end_score():
    head = layers.SpanHead()
    starts, ends = head(X)
    kernel, bias = (v.numpy() for v in head.trainable_variables)
    np.testing.assert_allclose(np.stack([starts, ends], axis=-1), X @ kernel + bias, atol=1e-5)


def test_a_span_is_restricted_to_its_mask():
    head, mask = layers.SpanHead(), np.int32([[0, 1, 1, 0, 0]] * 3)
    for free, masked in zip(head(X), head(X, span_mask=mask)):
        np.testing.assert_array_equal(masked, np.where(mask, free, np.finfo(np.float32).min))
        assert np.isfinite(tf.nn.softmax(masked)).all()


def test_logits_of_half_precision_are_computed_in_float32():
    head = layers.SpanHead(dtype="mixed_bfloat16")
    half = tf.cast(X, tf.bfloat16)
    starts, ends = head(half)
    assert starts.dtype == ends.dtype == tf.float32
    expected = tf.cast(half, tf.float32) @ head.out_proj.kernel
    np.testing.assert_allclose(tf.stack([starts, ends], axis=-1), expected, atol=1e-6)
