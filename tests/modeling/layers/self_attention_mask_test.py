"""The attention mask made of a padding mask."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import layers

MASK = np.int32([[1, 1, 0], [1, 0, 0]])


def test_every_position_attends_to_the_real_tokens_of_its_sequence():
    pairs = layers.SelfAttentionMask()(tf.zeros([2, 4, 5]), MASK)
    np.testing.assert_array_equal(pairs, np.repeat(MASK[:, np.newaxis], 4, axis=1))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(tf.float32, tf.float32), (tf.bfloat16, tf.bfloat16), (tf.int32, tf.float32)],
)
def test_the_mask_has_the_dtype_of_float_inputs(dtype, expected):
    # autocast off, so that the inputs' dtype arrives.
    layer = layers.SelfAttentionMask(autocast=False)
    assert layer(tf.zeros([2, 4], dtype), MASK).dtype == expected


def test_inputs_and_mask_may_be_a_list():
    x = tf.zeros([2, 4, 5])
    layer = layers.SelfAttentionMask()
    np.testing.assert_array_equal(layer([x, MASK]), layer(x, MASK))


def test_a_missing_mask_raises():
    with pytest.raises(InputError, match=r"to_mask must be \[batch, to_length\], was None; give"):
        layers.SelfAttentionMask()(tf.zeros([2, 4, 5]))
