"""Every figure by numbers that can be checked by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.tasks.pretraining import metrics

MASK = 3
# Five predicted positions, of which the second was left as it was; the sixth slot is not used, and
# would be right by accident. The generator's chances of the right tokens, and whether these are its
# best guess:
CHANCES = [[0.5, 0.25, 0.8], [0.1, 0.4, 0.9]]
BEST = [[True, False, True], [False, True, True]]
BATCH = {
    "input_word_ids": [[0, MASK, 2, MASK, 0], [0, MASK, 1, MASK, 0]],
    "input_mask": [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0]],
    "masked_lm_positions": [[1, 2, 3], [3, 1, 0]],
    "masked_lm_ids": [[1, 2, 0], [2, 1, 0]],
    "masked_lm_weights": [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]],
}
SAMPLED = [[1, 1, 0], [0, 1, 0]]
# Eight real tokens, two of them replaced; the padding would be wrong throughout.
LOGITS = [[-2.0, 2.0, -3.0, 1.0, 9.0], [-0.5, -1.0, -4.0, -5.0, 9.0]]
LABELS = [[0, 1, 0, 0, 0], [0, 1, 0, 0, 0]]


def rows(part=slice(None)):
    return {name: tf.constant(value[part]) for name, value in BATCH.items()}


def lm_outputs(part=slice(None)):
    """Scores `[B, P, 4]` that give the right token its chance; its rival gets most of the rest."""
    scores = np.zeros([2, 3, 4], np.float32)
    for place in np.ndindex(2, 3):
        right = BATCH["masked_lm_ids"][place[0]][place[1]]
        rest = 1 - CHANCES[place[0]][place[1]]
        scores[place] = rest / 3 if BEST[place[0]][place[1]] else rest * 0.05
        if not BEST[place[0]][place[1]]:
            scores[place][(right + 1) % 4] = rest * 0.9
        scores[place][right] = CHANCES[place[0]][place[1]]
    return tf.constant(np.log(scores)[part])


def sums(part=slice(None)):
    return {
        **metrics.generator_sums(
            rows(part), lm_outputs(part), MASK, tf.constant(np.int32(SAMPLED)[part])
        ),
        **metrics.discriminator_sums(
            rows(part), tf.constant(LOGITS[part]), tf.constant(LABELS[part])
        ),
    }


def computed(values):
    return metrics.compute({name: np.float64(value) for name, value in values.items()})


def mean_nats(*chances):
    return -sum(map(math.log, chances)) / len(chances)


H_QUARTER = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
RTD_LOSS = sum(math.log1p(math.exp(x)) for x in (-2, -2, -3, 1, -0.5, 1, -4, -5)) / 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlm_loss", mean_nats(0.5, 0.25, 0.8, 0.1, 0.4)),
        ("mlm_mask_loss", mean_nats(0.5, 0.8, 0.1, 0.4)),
        ("mlm_accuracy", 3 / 5),
        ("mlm_mask_accuracy", 3 / 4),
        ("mlm_sampled_accuracy", 3 / 5),
        ("rtd_replaced_fraction", 2 / 8),
        ("rtd_loss", RTD_LOSS),
        ("rtd_below_entropy", H_QUARTER - RTD_LOSS),
        # The found one is above all six others, the missed one above four of them.
        ("rtd_auc", (6 + 4) / 12),
        ("rtd_precision", 1 / 2),
        ("rtd_recall", 1 / 2),
        ("rtd_accuracy", 6 / 8),
        ("rtd_all_original_accuracy", 6 / 8),
    ],
)
def test_a_figure_is_what_is_reckoned_by_hand(name, expected):
    assert computed(sums())[name] == pytest.approx(expected, rel=1e-6)


def test_these_are_all_metrics_of_a_step():
    assert len(computed(sums())) == 13


def test_the_sums_of_two_batches_are_those_of_one():
    whole, first, second = sums(), sums(slice(0, 1)), sums(slice(1, 2))
    for name in whole:
        np.testing.assert_allclose(first[name] + second[name], whole[name], rtol=1e-6)
    added = {name: first[name] + second[name] for name in whole}
    assert computed(added) == pytest.approx(computed(whole), rel=1e-6)


@pytest.mark.parametrize("part", [0, 1])
def test_a_figure_is_no_mean_of_means(part):
    one = computed(sums(slice(part, part + 1)))
    assert one["mlm_loss"] != pytest.approx(computed(sums())["mlm_loss"], rel=1e-2)


def test_what_did_not_run_has_no_metrics():
    alone = metrics.generator_sums(rows(), lm_outputs(), MASK)
    names = computed(alone)
    assert set(names) == {"mlm_loss", "mlm_mask_loss", "mlm_accuracy", "mlm_mask_accuracy"}
    alone = metrics.discriminator_sums(rows(), tf.constant(LOGITS), tf.constant(LABELS))
    assert all(name.startswith("rtd_") for name in computed(alone))
    assert "rtd_unigram_auc" not in computed(alone)


def test_the_area_against_fixed_corruption_is_of_its_own_histogram():
    fixed = metrics.discriminator_sums(
        rows(), tf.constant(LOGITS), tf.constant([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
    )
    all_sums = {**sums(), metrics.UNIGRAM_HISTOGRAM: fixed["rtd_histogram"]}
    assert computed(all_sums)["rtd_unigram_auc"] == pytest.approx(1.0)
    assert computed(all_sums)["rtd_auc"] == pytest.approx(10 / 12)


def test_an_empty_row_changes_nothing():
    batch = rows()
    empty = {name: tf.concat([value, tf.zeros_like(value)], 0) for name, value in batch.items()}
    twice = {
        **metrics.generator_sums(
            empty, tf.concat([lm_outputs()] * 2, 0), MASK, tf.concat([tf.constant(SAMPLED)] * 2, 0)
        ),
        **metrics.discriminator_sums(
            empty, tf.concat([tf.constant(LOGITS)] * 2, 0), tf.concat([tf.constant(LABELS)] * 2, 0)
        ),
    }
    assert computed(twice) == pytest.approx(computed(sums()))


def test_where_nothing_was_replaced_there_is_no_area_and_no_entropy():
    none = metrics.discriminator_sums(rows(), tf.constant(LOGITS), tf.zeros([2, 5], tf.int32))
    found = computed(none)
    assert math.isnan(found.pop("rtd_auc"))
    assert found["rtd_recall"] == 0
    assert found["rtd_all_original_accuracy"] == 1
    assert found["rtd_below_entropy"] == pytest.approx(-found["rtd_loss"])


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0.0), (1.0, 0.0), (0.5, math.log(2)), (0.25, H_QUARTER)]
)
def test_the_entropy_of_a_share(share, expected):
    assert metrics.entropy(share) == pytest.approx(expected)
