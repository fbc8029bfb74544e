"""A head that points at a span of tokens."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.modeling import layers, networks
from tests.modeling import hugging_face_weights

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)


def test_every_token_has_a_score_as_start_and_one_as_end():
    head = layers.SpanHead()
    starts, ends = head(X)
    kernel, bias = (v.numpy() for v in head.trainable_variables)
    np.testing.assert_allclose(np.stack([starts, ends], axis=-1), X @ kernel + bias, atol=1e-5)


def test_a_span_lies_in_its_mask():
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


@pytest.mark.parametrize("case", ["plain", "full"])
def test_logits_are_those_of_hugging_face(case, outside_data):
    folder = outside_data / "golden" / "hf_tiny_question_answering"
    config, weights, arrays = hugging_face_weights.read(folder)
    encoder, head = networks.ElectraEncoder(config), layers.SpanHead()
    head.build([None, None, config.hidden_size])
    hugging_face_weights.fill_encoder(encoder, weights)
    hugging_face_weights.fill_dense(head.out_proj, weights, "qa_outputs")
    inputs = hugging_face_weights.case(arrays, case, "in")
    inputs = {name: array for name, array in inputs.items() if not name.endswith("positions")}
    starts, ends = head(encoder(inputs)["sequence_output"])
    expected = hugging_face_weights.case(arrays, case, "out64")
    np.testing.assert_allclose(starts, expected["start_logits"], atol=1e-5)
    np.testing.assert_allclose(ends, expected["end_logits"], atol=1e-5)
