"""The embedding table."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import layers

IDS = np.int32([[3, 0], [6, 3]])


@pytest.mark.parametrize("use_one_hot", [False, True])
def test_ids_select_rows_of_the_table(use_one_hot):
    layer = layers.OnDeviceEmbedding(7, 4, use_one_hot=use_one_hot)
    vectors = layer(IDS)
    np.testing.assert_array_equal(vectors, layer.embeddings.numpy()[IDS])


@pytest.mark.parametrize("shape", [[3], [2, 3], [2, 3, 4]])
def test_ids_may_have_any_shape(shape):
    assert layers.OnDeviceEmbedding(7, 4)(np.zeros(shape, np.int64)).shape == [*shape, 4]


def test_vectors_are_scaled_by_the_factor():
    layer = layers.OnDeviceEmbedding(7, 4, scale_factor=9)
    np.testing.assert_allclose(layer(IDS), 9 * layer.embeddings.numpy()[IDS], rtol=1e-6)


@pytest.mark.parametrize("use_one_hot", [False, True])
def test_half_precision_looks_up_in_a_float32_table(use_one_hot):
    layer = layers.OnDeviceEmbedding(7, 4, use_one_hot=use_one_hot, dtype="mixed_bfloat16")
    assert layer(IDS).dtype == tf.bfloat16
    assert layer.embeddings.dtype == tf.float32


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("use_one_hot", [False, True])
def test_ids_outside_the_table_are_nan_where_they_cannot_be_an_error(use_one_hot, dtype):
    layer = layers.OnDeviceEmbedding(7, 4, use_one_hot=use_one_hot, dtype=dtype)
    vectors = tf.function(layer, jit_compile=True)(tf.constant([6, 7, 0, -1]))
    is_nan = np.isnan(tf.cast(vectors, tf.float32))
    np.testing.assert_array_equal(is_nan.all(1), [False, True, False, True])
    np.testing.assert_array_equal(is_nan.any(1), [False, True, False, True])


def test_ids_outside_the_table_are_an_error_on_a_cpu():
    layer = layers.OnDeviceEmbedding(7, 4)
    with tf.device("CPU"), pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(layer)(tf.constant([7]))


@pytest.mark.parametrize("dtype", [tf.float32, "float32"])
def test_the_only_supported_table_dtype_may_be_given(dtype):
    layer = layers.OnDeviceEmbedding(7, 4, weight_fallback_dtype=dtype)
    assert "weight_fallback_dtype" not in layer.get_config()


def test_another_table_dtype_raises():
    with pytest.raises(InputError, match=r"weight_fallback_dtype must be left out or tf\.float32"):
        layers.OnDeviceEmbedding(7, 4, weight_fallback_dtype=tf.float16)
