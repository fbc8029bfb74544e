"""The terms of the loss: sums with weights, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.modeling import losses

THIRD = np.log(3.0)
INPUTS = {
    "input_mask": np.int32([[1, 1, 1, 0]]),
    "masked_lm_positions": np.int32([[1, 2, 0]]),
    "masked_lm_ids": np.int32([[2, 0, 0]]),
    "masked_lm_weights": np.float32([[1, 1, 0]]),
}
OUTPUTS = {
    "lm_outputs": np.zeros([1, 3, 3], np.float32),
    "disc_logits": np.float32([[0, 100, -100, 7]]),
    "disc_label": np.int32([[0, 1, 0, 1]]),
}


def pair(term):
    return [float(value) for value in term]


def test_masked_lm_loss_sums_over_the_slots_in_use():
    term = losses.masked_lm_loss(OUTPUTS["lm_outputs"], [[2, 0, 0]], [[1, 1, 0]])
    np.testing.assert_allclose(pair(term), [2 * THIRD, 2], rtol=1e-6)


def test_log_probabilities_give_the_loss_of_logits():
    logits = tf.constant(np.random.default_rng(0).normal(size=[2, 3, 5]), tf.float32)
    ids, weights = [[1, 2, 3], [4, 0, 0]], [[1, 1, 1], [1, 0, 0]]
    one = losses.masked_lm_loss(logits, ids, weights)
    other = losses.masked_lm_loss(tf.nn.log_softmax(logits), ids, weights)
    np.testing.assert_allclose(pair(one), pair(other), rtol=1e-6)


@pytest.mark.parametrize("unused", [-100, -1, 3, 30_000])
def test_an_unused_slot_may_hold_any_id(unused):
    term = losses.masked_lm_loss(OUTPUTS["lm_outputs"], [[2, 0, unused]], [[1, 1, 0]])
    np.testing.assert_allclose(pair(term), [2 * THIRD, 2], rtol=1e-6)


@pytest.mark.parametrize("score", [np.inf, np.nan])
def test_an_unused_slot_may_score_what_is_not_finite(score):
    logits = OUTPUTS["lm_outputs"].copy()
    logits[0, 2] = score
    np.testing.assert_allclose(
        pair(losses.masked_lm_loss(logits, [[2, 0, 0]], [[1, 1, 0]])), [2 * THIRD, 2], rtol=1e-6
    )


def test_replaced_token_loss_sums_over_the_real_tokens():
    term = losses.replaced_token_loss(
        **{k: OUTPUTS[k] for k in ("disc_logits", "disc_label")}, input_mask=INPUTS["input_mask"]
    )
    np.testing.assert_allclose(pair(term), [np.log(2), 3], rtol=1e-6)


def test_next_sentence_loss_sums_over_the_rows():
    for labels in ([1, 0], [[1], [0]]):
        term = losses.next_sentence_loss(tf.zeros([2, 2]), tf.constant(labels))
        np.testing.assert_allclose(pair(term), [2 * np.log(2), 2], rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_all_terms_are_float32(dtype):
    outputs = {
        "lm_outputs": tf.zeros([1, 3, 3], dtype),
        "disc_logits": tf.zeros([1, 4], dtype),
        "disc_label": tf.zeros([1, 4], tf.int32),
        "sentence_outputs": tf.zeros([1, 2], dtype),
    }
    terms = losses.electra_loss({**INPUTS, "next_sentence_labels": [1]}, outputs)
    assert terms.keys() == {"mlm", "rtd", "next_sentence"}
    assert {value.dtype for term in terms.values() for value in term} == {tf.float32}
    assert {len(value.shape) for term in terms.values() for value in term} == {0}


def test_half_precision_scores_are_not_added_in_half_precision():
    # 70,000 tokens of loss log 2 are beyond float16's largest number.
    zeros = tf.zeros([70, 1000], tf.float16)
    loss_sum, weight = losses.replaced_token_loss(zeros, tf.zeros([70, 1000]), tf.ones([70, 1000]))
    np.testing.assert_allclose([loss_sum, weight], [70_000 * np.log(2), 70_000], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "terms"),
    [
        (["lm_outputs"], {"mlm"}),
        (["disc_logits", "disc_label"], {"rtd"}),
        (["lm_outputs", "disc_logits", "disc_label"], {"mlm", "rtd"}),
        ([], set()),
    ],
)
def test_the_terms_are_those_that_the_outputs_allow(given, terms):
    outputs = {name: OUTPUTS[name] for name in given}
    assert losses.electra_loss(INPUTS, outputs).keys() == terms


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [
        ({}, {"sentence_outputs": np.zeros([1, 2], np.float32)}),
        ({"next_sentence_labels": [1]}, {"sentence_outputs": np.zeros([1, 0], np.float32)}),
        ({"next_sentence_labels": [1]}, {}),
    ],
    ids=["no labels", "no classes", "no outputs"],
)
def test_there_is_a_sentence_term_only_with_labels_and_classes(labels, outputs):
    terms = losses.electra_loss({**INPUTS, **labels}, {**OUTPUTS, **outputs})
    assert "next_sentence" not in terms


@pytest.mark.parametrize("kind", [list, np.int32, tf.constant])
def test_without_weights_the_slots_at_position_0_are_unused(kind):
    inputs = {"masked_lm_positions": kind([[1, 2, 0]])}
    np.testing.assert_array_equal(losses.prediction_weights(inputs), [[1, 1, 0]])
    with_ids = {**inputs, "masked_lm_ids": kind([[2, 0, 0]])}
    term = losses.electra_loss(with_ids, {"lm_outputs": OUTPUTS["lm_outputs"]})["mlm"]
    np.testing.assert_allclose(pair(term), [2 * THIRD, 2], rtol=1e-6)


def test_without_a_mask_every_token_counts():
    outputs = {k: OUTPUTS[k] for k in ("disc_logits", "disc_label")}
    assert float(losses.electra_loss({}, outputs)["rtd"][1]) == 4


def test_tokens_of_documents_count_where_there_is_no_mask():
    ids = tf.constant([[2, 5, 3, 0]])
    documents = {"input_word_ids": ids, "document_ids": [[1, 1, 2, 0]]}
    np.testing.assert_array_equal(losses.token_weights(documents), [[1, 1, 1, 0]])
    masked = {**documents, "input_mask": [[1, 1, 0, 0]]}
    np.testing.assert_array_equal(losses.token_weights(masked), [[1, 1, 0, 0]])
    np.testing.assert_array_equal(losses.token_weights({"input_word_ids": ids}), [[1, 1, 1, 1]])


def test_parts_of_a_batch_add_up_to_the_batch():
    random = np.random.default_rng(0)
    inputs = {
        "input_mask": random.integers(0, 2, [4, 6]),
        "masked_lm_ids": random.integers(0, 9, [4, 3]),
        "masked_lm_weights": np.float32(random.integers(0, 2, [4, 3])),
    }
    outputs = {
        "lm_outputs": np.float32(random.normal(size=[4, 3, 9])),
        "disc_logits": np.float32(random.normal(size=[4, 6])),
        "disc_label": random.integers(0, 2, [4, 6]),
    }

    def loss(rows):
        return losses.electra_loss(*({k: v[rows] for k, v in x.items()} for x in (inputs, outputs)))

    whole, one, other = loss(slice(None)), loss(slice(0, 1)), loss(slice(1, None))
    for name, term in whole.items():
        added = np.add(pair(one[name]), pair(other[name]))
        np.testing.assert_allclose(pair(term), added, rtol=1e-6)


def test_the_total_weighs_each_terms_mean():
    terms = {"mlm": (6.0, 2.0), "rtd": (1.0, 4.0), "next_sentence": (4.0, 2.0)}
    terms = {name: (tf.constant(a), tf.constant(b)) for name, (a, b) in terms.items()}
    total = losses.weighted_total(terms, {"mlm": 2.0, "rtd": 50.0})
    assert float(total) == 2 * 3 + 50 / 4 + 2


def test_a_term_without_tokens_counts_nothing_and_has_no_gradient():
    logits = tf.Variable(tf.ones([1, 2, 3]))
    with tf.GradientTape() as tape:
        term = losses.masked_lm_loss(logits, [[0, 1]], [[0, 0]])
        total = losses.weighted_total({"mlm": term}, {})
    assert float(total) == 0
    np.testing.assert_array_equal(tape.gradient(total, logits), np.zeros([1, 2, 3]))


def test_the_total_of_no_terms_is_0():
    assert float(losses.weighted_total({}, {})) == 0
