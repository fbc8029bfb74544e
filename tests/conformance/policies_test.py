"""Under mixed precision variables, gradients, logits and losses are float32."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.conformance import objects
from tests.conformance.table import TABLE

# Norm of the difference from float32, relative to the norm. Loose, because rounding a score can
# change the probabilities of an attention considerably.
OUTPUTS = {"mixed_bfloat16": 0.1, "mixed_float16": 0.02}
GRADIENTS = {"mixed_bfloat16": 0.4, "mixed_float16": 0.1}


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request):
    return request.param


@pytest.fixture
def global_policy(policy):
    tf_keras.mixed_precision.set_global_policy(policy)
    yield policy
    tf_keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def with_policy(request, policy):
    """A function that builds an object: bfloat16 by argument, float16 by the global policy."""
    if policy == "mixed_bfloat16":
        return lambda name: objects.new(name, dtype=policy)
    request.getfixturevalue("global_policy")
    return objects.new


@objects.keep("policies", run="classes")
def test_mixed_precision_is_close_to_float32(name, policy, with_policy):
    line, exact = TABLE[name], objects.made(name)
    mixed = with_policy(name)
    assert [v.dtype for v in mixed.variables] == [tf.float32] * len(exact.variables)
    mixed.set_weights(exact.get_weights())
    factors = objects.cotangents(objects.call(exact, line))
    expected, expected_gradients = objects.gradients(exact, line, factors)
    outputs, gradients = objects.gradients(mixed, line, factors)

    compute_dtype = tf.as_dtype(tf_keras.mixed_precision.Policy(policy).compute_dtype)
    assert outputs.keys() == expected.keys()
    for key, want in expected.items():
        if want.dtype.is_floating:
            is_float32 = key.startswith(line.float32)
            assert outputs[key].dtype == (tf.float32 if is_float32 else compute_dtype), key
        # Rounding may change which token is drawn.
        tolerance = None if key.startswith(line.sampled) else OUTPUTS[policy]
        _assert_close(outputs[key], want, tolerance, key)
    assert all(gradient.dtype == tf.float32 for gradient in gradients)
    tolerance = None if line.sampled else GRADIENTS[policy]
    _assert_close(_joined(gradients), _joined(expected_gradients), tolerance, "gradients")


def _joined(gradients):
    return np.concatenate([np.zeros([1]), *(np.ravel(gradient) for gradient in gradients)])


def _assert_close(got, want, tolerance, message):
    got, want = np.asarray(tf.cast(got, tf.float64)), np.asarray(tf.cast(want, tf.float64))
    assert np.isfinite(got).all(), message
    if tolerance is not None:
        difference = np.linalg.norm(got - want)
        assert difference <= tolerance * np.linalg.norm(want), (message, difference)
