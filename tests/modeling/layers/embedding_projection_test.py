"""The projection from the embedding width to the encoder width."""

import numpy as np
import tensorflow as tf

from official_nlp.modeling import layers


def test_the_projection_is_a_matrix_and_a_bias():
    layer = layers.EmbeddingProjection(5, bias_initializer="ones")
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 3, 4]), tf.float32)
    result = layer(x)
    kernel, bias = (v.numpy() for v in layer.trainable_variables)
    assert kernel.shape == (4, 5)
    np.testing.assert_allclose(result, x @ kernel + bias, atol=1e-6)
