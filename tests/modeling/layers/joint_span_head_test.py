"""The head of answers, against its formula in numpy, one pair of tokens at a time."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special

from official_nlp.modeling import layers

B, L, H, D = 2, 6, 4, 8
MASK = np.array([[1, 0, 0, 1, 1, 1], [1, 0, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def head():
    tf_keras.utils.set_random_seed(1)
    made = layers.JointSpanHead(D, beam_size=3, initializer=tf_keras.initializers.RandomNormal())
    made.build([None, None, H])
    random = np.random.default_rng(1)
    for variable in made.variables:
        variable.assign(random.normal(size=variable.shape))
    return made


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(2).normal(size=[B, L, H]).astype(np.float32)


def gelu(x):
    return x * (1 + special.erf(x / np.sqrt(2))) / 2


def two_layers(hidden, last, x):
    x = gelu(x @ hidden.kernel.numpy() + hidden.bias.numpy())
    return x @ last.kernel.numpy() + last.bias.numpy()


def expected_starts(head, features):
    logits = (features @ head.start.kernel.numpy() + head.start.bias.numpy())[..., 0]
    return np.where(MASK, logits, -1000)


def expected_ends(head, features, row, start):
    pairs = [np.concatenate([features[row, start], features[row, i]]) for i in range(L)]
    logits = [float(two_layers(head.end_hidden, head.end, pair)[0]) for pair in pairs]
    return np.where(MASK[row], logits, -1000)


def expected_answerability(head, features, row):
    chances = special.softmax(expected_starts(head, features)[row])
    expected = sum(p * h for p, h in zip(chances, features[row]))
    both = np.concatenate([features[row, 0], expected])
    return float(two_layers(head.answerable_hidden, head.answerable, both)[0])


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_ends_are_scored_for_a_given_start(head, features):
    starts = np.array([4, 0])
    found = head(features, MASK, start_index=starts)
    assert found.keys() == {"start_logits", "end_logits", "answerable_logits"}
    assert_close(found["start_logits"], expected_starts(head, features))
    for row, start in enumerate(starts):
        assert_close(found["end_logits"][row], expected_ends(head, features, row, start))
        assert_close(found["answerable_logits"][row], expected_answerability(head, features, row))


def test_without_a_start_ends_are_scored_for_the_best_ones(head, features):
    found = head(features, MASK)
    assert_close(found["start_logits"], expected_starts(head, features))
    log_probs = special.log_softmax(expected_starts(head, features), axis=-1)
    assert found["start_top_index"].dtype == tf.int32
    for row in range(B):
        best = np.argsort(-log_probs[row])[:3]
        np.testing.assert_array_equal(found["start_top_index"][row], best)
        assert_close(found["start_top_log_probs"][row], log_probs[row, best])
        for start, ends in zip(best, found["end_logits"][row]):
            assert_close(ends, expected_ends(head, features, row, start))
        assert_close(found["answerable_logits"][row], expected_answerability(head, features, row))


def test_the_beam_is_no_longer_than_the_sequence(head, features):
    wide = layers.JointSpanHead(D, beam_size=20)
    assert wide(features, MASK)["end_logits"].shape == [B, L, L]
    dynamic = tf.function(
        lambda x, mask: wide(x, mask)["end_logits"],
        input_signature=[tf.TensorSpec([None, None, H]), tf.TensorSpec([None, None], tf.int64)],
    )
    assert dynamic(features, MASK).shape == [B, L, L]
    assert dynamic(np.ones([1, 30, H]), np.ones([1, 30], int)).shape == [1, 20, 30]


def test_tokens_outside_the_mask_change_only_the_scores_of_none(head, features):
    changed = np.where(MASK[..., np.newaxis], features, 9).astype(np.float32)
    for options in ({}, {"start_index": np.array([3, 2])}):
        before, after = head(features, MASK, **options), head(changed, MASK, **options)
        for name in before:
            np.testing.assert_allclose(after[name], before[name], rtol=1e-5, err_msg=name)
