"""Several sequence classifiers with a shared first layer."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import layers

X = np.random.default_rng(0).normal(size=[3, 5, 4]).astype(np.float32)
HEADS = [("topic", 3), ("tone", 2)]


def test_all_heads_use_the_same_vector():
    heads = layers.MultiClsHeads(6, HEADS)
    result = heads(X)
    kernel, bias, *projections = (v.numpy() for v in heads.trainable_variables)
    pooled = np.tanh(X[:, 0] @ kernel + bias)
    np.testing.assert_allclose(heads(X, only_project=True), pooled, atol=1e-5)
    assert list(result) == ["topic", "tone"]
    for logits, (kernel, bias) in zip(result.values(), [projections[:2], projections[2:]]):
        np.testing.assert_allclose(logits, pooled @ kernel + bias, atol=1e-5)


def test_another_token_may_be_classified():
    heads = layers.MultiClsHeads(6, HEADS, cls_token_idx=-1)
    np.testing.assert_array_equal(heads(X)["topic"], heads(X[:, 4:])["topic"])


@pytest.mark.parametrize("inner_dim", [0, None])
def test_without_an_inner_layer_the_caller_has_pooled(inner_dim):
    heads = layers.MultiClsHeads(inner_dim, HEADS)
    assert [x.shape for x in heads(X[:, 0]).values()] == [[3, 3], [3, 2]]
    assert len(heads.trainable_variables) == 4
    assert list(heads.checkpoint_items) == ["topic", "tone"]
    np.testing.assert_array_equal(heads(X[:, 0], only_project=True), X[:, 0])


def test_its_layers_are_checkpoint_items():
    heads = layers.MultiClsHeads(6, HEADS)
    topic, tone = heads.out_projs
    assert heads.checkpoint_items == {"pooler_dense": heads.dense, "topic": topic, "tone": tone}


def test_dropout_applies_in_training_only():
    heads = layers.MultiClsHeads(64, HEADS, dropout_rate=0.5)
    with randomness.stream(randomness.Key(1)):
        training = heads(X, training=True)
    assert not np.allclose(training["topic"], heads(X)["topic"])
    np.testing.assert_array_equal(heads(X, training=False)["topic"], heads(X)["topic"])


def test_logits_of_half_precision_are_computed_in_float32():
    heads = layers.MultiClsHeads(6, HEADS, dtype="mixed_bfloat16")
    logits = heads(X)["topic"]
    pooled = heads(X, only_project=True)
    assert (pooled.dtype, logits.dtype) == (tf.bfloat16, tf.float32)
    kernel = heads.out_projs[0].kernel
    np.testing.assert_allclose(logits, tf.cast(pooled, tf.float32) @ kernel, atol=1e-6)


@pytest.mark.parametrize("cls_list", [[], [("topic", 3), ("topic", 2)]])
def test_heads_need_different_names(cls_list):
    with pytest.raises(InputError, match="cls_list must be pairs"):
        layers.MultiClsHeads(6, cls_list)
