"""Terms of the loss, compared with sums and weights computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import loss_terms
from official_nlp.errors import InputError
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


def test_masked_lm_loss_sums_over_the_used_slots():
    term = losses.masked_lm_loss(OUTPUTS["lm_outputs"], [[2, 0, 0]], [[1, 1, 0]])
    np.testing.assert_allclose(pair(term), [2 * THIRD, 2], rtol=1e-6)


def test_log_probabilities_result_in_the_loss_of_logits():
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
def test_scores_of_an_unused_slot_may_be_infinite_or_nan(score):
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


def test_next_sentence_loss_sums_over_the_examples():
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


def test_losses_of_half_precision_scores_are_added_in_float32():
    # 70,000 tokens of loss log 2 are beyond float16's largest number.
    zeros = tf.zeros([70, 1000], tf.float16)
    loss_sum, weight = losses.replaced_token_loss(zeros, tf.zeros([70, 1000]), tf.ones([70, 1000]))
    np.testing.assert_allclose([loss_sum, weight], [70_000 * np.log(2), 70_000], rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "terms"),
    [
        (["lm_outputs"], {"mlm"}),
        (["disc_logits", "disc_label"], {"rtd"}),
        (["lm_outputs", "disc_logits", "disc_label"], {"mlm", "rtd"}),
        ([], set()),
    ],
)
def test_the_outputs_determine_the_terms(names, terms):
    outputs = {name: OUTPUTS[name] for name in names}
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
def test_a_sentence_term_needs_labels_and_classes(labels, outputs):
    terms = losses.electra_loss({**INPUTS, **labels}, {**OUTPUTS, **outputs})
    assert "next_sentence" not in terms


@pytest.mark.parametrize("kind", [list, np.int32, tf.constant])
def test_without_weights_slots_at_position_0_are_unused(kind):
    inputs = {"masked_lm_positions": kind([[1, 2, 0]])}
    np.testing.assert_array_equal(losses.prediction_weights(inputs), [[1, 1, 0]])
    with_ids = {**inputs, "masked_lm_ids": kind([[2, 0, 0]])}
    term = losses.electra_loss(with_ids, {"lm_outputs": OUTPUTS["lm_outputs"]})["mlm"]
    np.testing.assert_allclose(pair(term), [2 * THIRD, 2], rtol=1e-6)


def test_without_a_mask_every_token_counts():
    outputs = {k: OUTPUTS[k] for k in ("disc_logits", "disc_label")}
    assert float(losses.electra_loss({}, outputs)["rtd"][1]) == 4


def test_without_a_mask_every_token_of_a_document_counts():
    ids = tf.constant([[2, 5, 3, 0]])
    documents = {"input_word_ids": ids, "document_ids": [[1, 1, 2, 0]]}
    np.testing.assert_array_equal(losses.token_weights(documents), [[1, 1, 1, 0]])
    masked = {**documents, "input_mask": [[1, 1, 0, 0]]}
    np.testing.assert_array_equal(losses.token_weights(masked), [[1, 1, 0, 0]])
    np.testing.assert_array_equal(losses.token_weights({"input_word_ids": ids}), [[1, 1, 1, 1]])


def test_terms_of_parts_of_a_batch_add_up_to_those_of_the_batch():
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

    def loss(part):
        return losses.electra_loss(*({k: v[part] for k, v in x.items()} for x in (inputs, outputs)))

    whole, one, other = loss(slice(None)), loss(slice(0, 1)), loss(slice(1, None))
    for name, term in whole.items():
        added = np.add(pair(one[name]), pair(other[name]))
        np.testing.assert_allclose(pair(term), added, rtol=1e-6)


def test_a_batch_without_used_slots_has_loss_0_and_gradient_0():
    logits = tf.Variable(tf.ones([1, 2, 3]))
    with tf.GradientTape() as tape:
        term = losses.masked_lm_loss(logits, [[0, 1]], [[0, 0]])
        total = loss_terms.weighted_total({"mlm": term}, {})
    assert float(total) == 0
    np.testing.assert_array_equal(tape.gradient(total, logits), np.zeros([1, 2, 3]))


# === Weights ===

BATCHES = {
    "mask and weights": INPUTS,
    "fractional weights": {**INPUTS, "masked_lm_weights": np.float32([[0.5, 1, 0]])},
    "positions alone": {k: INPUTS[k] for k in ("masked_lm_positions", "masked_lm_ids")},
    "packed": {**INPUTS, "input_mask": None, "document_ids": np.int32([[1, 2, 0, 0]])},
}


@pytest.mark.parametrize("name", BATCHES)
def test_weights_of_the_batch_are_those_of_the_loss(name):
    batch = {
        "input_word_ids": np.int32([[2, 4, 4, 0]]),
        "next_sentence_labels": np.int32([[1]]),
        **BATCHES[name],
    }
    terms = losses.electra_loss(batch, {**OUTPUTS, "sentence_outputs": tf.zeros([1, 2])})
    weights = losses.electra_weights(batch, terms)
    assert list(weights) == list(terms) == ["mlm", "rtd", "next_sentence"]
    for term, weight in weights.items():
        assert (weight.dtype, weight.shape) == (tf.float32, [])
        assert float(weight) == float(terms[term][1])
    separate = [
        losses.masked_lm_loss(
            OUTPUTS["lm_outputs"], batch["masked_lm_ids"], losses.prediction_weights(batch)
        ),
        losses.replaced_token_loss(
            OUTPUTS["disc_logits"], OUTPUTS["disc_label"], losses.token_weights(batch)
        ),
        losses.next_sentence_loss(tf.zeros([1, 2]), batch["next_sentence_labels"]),
    ]
    for term, expected in zip(terms.values(), separate):
        assert pair(term) == pair(expected)


def test_weights_of_some_terms_need_only_their_inputs():
    weights = losses.electra_weights({"input_mask": [[1, 1, 0]]}, ["rtd"])
    assert {name: float(weight) for name, weight in weights.items()} == {"rtd": 2}


def test_an_unknown_term_is_refused():
    message = "a loss term must be one of mlm, rtd, next_sentence, was 'generator'"
    with pytest.raises(InputError, match=message):
        losses.electra_weights(INPUTS, ["mlm", "generator"])
