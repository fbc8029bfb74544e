"""Tests of masking single tokens, also against the function of google-research/electra."""

import json

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from official_nlp.data.pretraining.masking import (
    MaskingConfig,
    mask_tokens,
    max_predictions,
    predictions_by_length,
)
from official_nlp.errors import InputError
from official_nlp.randomness import Key

CLS, SEP, MASK = 1, 2, 3
SPECIAL = [CLS, SEP, MASK]
FIRST_WORD = 4
DEFAULT = MaskingConfig()


def rows(seed: int, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and masks of examples of two or more tokens, words between [CLS] and [SEP]."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(2, length + 1, count)
    ids = draw.integers(FIRST_WORD, 50, (count, length))
    ids[:, 0] = CLS
    ids[np.arange(count), lengths - 1] = SEP
    mask = np.arange(length) < lengths[:, None]
    return (ids * mask).astype(np.int32), mask.astype(np.int32)


def masked(ids, mask, seed=0, slots=4, config=DEFAULT, first_row=0, **options):
    return mask_tokens(
        tf.convert_to_tensor(ids),
        tf.convert_to_tensor(mask),
        SPECIAL,
        MASK,
        slots,
        config,
        Key(seed),
        first_row,
        **options,
    )


def original(result) -> np.ndarray:
    """Return the ids before masking, restored from the predicted ids and positions."""
    ids = result.input_ids.numpy().copy()
    for row, slot in np.argwhere(result.weights.numpy() > 0):
        ids[row, result.positions[row, slot]] = result.ids[row, slot]
    return ids


def test_masking_holds_its_invariants(property_settings):
    @property_settings
    @hypothesis.given(
        seed=strategies.integers(0, 10**6),
        length=strategies.sampled_from([4, 9, 24]),
        slots=strategies.integers(1, 4),
        probability=strategies.floats(0.01, 0.99),
        with_replacement=strategies.booleans(),
    )
    def check(seed, length, slots, probability, with_replacement):
        ids, mask = rows(seed, 6, length)
        config = MaskingConfig(probability)
        result = masked(ids, mask, seed, slots, config, with_replacement=with_replacement)
        used = result.weights.numpy() > 0
        np.testing.assert_array_equal(original(result), ids)
        # Only words are selected, in the expected number, and in the first slots.
        chosen = np.take_along_axis(ids, result.positions.numpy(), 1)
        assert (chosen[used] >= FIRST_WORD).all()
        product = mask.sum(1).astype(np.float32) * np.float32(probability)
        expected = np.clip(np.rint(product), 1, slots)
        words = (ids >= FIRST_WORD).sum(1)
        limit = np.where(words > 0, slots, 0) if with_replacement else words
        np.testing.assert_array_equal(used.sum(1), np.minimum(expected, limit))
        assert (np.diff(used.astype(int), axis=1) <= 0).all()
        # Unused slots hold zeros.
        assert not result.positions.numpy()[~used].any()
        assert not result.ids.numpy()[~used].any()
        if not with_replacement:
            for row in range(len(ids)):
                positions = result.positions.numpy()[row][used[row]]
                assert len(set(positions)) == len(positions)

    check()


@pytest.mark.parametrize("with_replacement", [False, True])
def test_eager_tf_data_and_xla_agree(with_replacement):
    ids, mask = rows(5, 64, 40)
    config = MaskingConfig(0.25)

    def call(ids, mask):
        return masked(ids, mask, 11, 10, config, first_row=1000, with_replacement=with_replacement)

    eager = call(ids, mask)
    # A dataset runs it as a graph.
    in_data = tf.data.Dataset.from_tensors((ids, mask)).map(lambda a, b: tuple(call(a, b)))
    results = [
        tf.function(call, jit_compile=True)(tf.constant(ids), tf.constant(mask)),
        next(iter(in_data)),
    ]
    for result in results:
        for one, other in zip(eager, result, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("with_replacement", [False, True])
def test_an_example_depends_only_on_its_position_in_the_stream(with_replacement):
    ids, mask = rows(6, 12, 20)
    whole = masked(ids, mask, first_row=100, with_replacement=with_replacement)
    for first, last in ((0, 5), (5, 6), (6, 12)):
        part = masked(
            ids[first:last],
            mask[first:last],
            first_row=100 + first,
            with_replacement=with_replacement,
        )
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_array_equal(one[first:last], other)


def test_seed_and_position_change_the_masks():
    ids, mask = rows(6, 1, 40)
    results = [masked(ids, mask, seed, first_row=first) for seed in range(5) for first in range(5)]
    assert len({tuple(result.positions.numpy()[0]) for result in results}) > 20


def test_positions_and_replacement_are_uniform():
    ids, mask = rows(1, 1, 12)
    ids, mask = np.repeat(ids[:1], 40000, 0), np.repeat(mask[:1], 40000, 0)
    words = np.flatnonzero(ids[0] >= FIRST_WORD)
    result = masked(ids, mask, slots=2, config=MaskingConfig(0.3))
    used = result.weights.numpy() > 0
    hits = np.bincount(result.positions.numpy()[used], minlength=12)[words] / used.sum()
    assert np.abs(hits - 1 / len(words)).max() < 5 * np.sqrt(1 / len(words) / used.sum())
    hidden = np.take_along_axis(result.input_ids.numpy(), result.positions.numpy(), 1) == MASK
    assert hidden[used].mean() == pytest.approx(0.85, abs=5 * np.sqrt(0.85 * 0.15 / used.sum()))


def test_an_example_without_words_has_no_predictions():
    ids = np.array([[CLS, SEP, 0, 0], [0, 0, 0, 0]], np.int32)
    for with_replacement in (False, True):
        result = masked(ids, (ids > 0).astype(np.int32), with_replacement=with_replacement)
        assert not result.weights.numpy().any()
        np.testing.assert_array_equal(result.input_ids, ids)


@pytest.mark.parametrize(
    ("probability", "length", "slots"),
    [(0.15, 128, 19), (0.15, 512, 79), (0.25, 512, 130), (0.15, 4, 1)],
)
def test_the_number_of_slots_is_that_of_the_paper(probability, length, slots):
    assert max_predictions(probability, length) == slots


@pytest.mark.parametrize("case", [{"probability": 0.0}, {"probability": 1}, {"replaced": 1.1}])
def test_fractions_out_of_range_are_refused(case):
    ((name, value),) = case.items()
    with pytest.raises(InputError, match=f"{name}.* must be .* was {value}"):
        MaskingConfig(**case)


@pytest.fixture(scope="module", params=["p15_L64", "p25_L48"])
def reference(request, repository):
    """Arrays and statistics of 300 runs of google-research/electra over 64 examples."""
    folder = repository / "tests" / "golden" / "google_masking"
    prefix = f"{request.param}__"
    with np.load(folder / "expected.npz") as arrays:
        found = {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}
    statistics = json.loads((folder / "statistics.json").read_text())[request.param]
    vocabulary = (folder / "vocab.txt").read_text().split("\n")
    special = [vocabulary.index(token) for token in ("[CLS]", "[SEP]", "[MASK]")]
    return found, statistics, special


def test_the_number_of_predictions_is_that_of_the_reference(reference):
    found, statistics, _ = reference
    length = statistics["max_seq_length"]
    table = predictions_by_length(
        statistics["mask_prob"], statistics["max_predictions_per_seq"], length
    )
    np.testing.assert_array_equal(table[1:], found["num_to_predict_by_len"])
    slots = max_predictions(statistics["mask_prob"], length)
    assert slots == statistics["max_predictions_per_seq"]


def test_drawing_with_replacement_has_the_statistics_of_the_reference(reference):
    found, statistics, special = reference
    ids, mask = found["in__input_ids"], found["in__input_mask"]
    rows, runs = len(ids), statistics["runs"]
    result = mask_tokens(
        tf.constant(np.tile(ids, (runs, 1))),
        tf.constant(np.tile(mask, (runs, 1))),
        special,
        special[2],
        statistics["max_predictions_per_seq"],
        MaskingConfig(statistics["mask_prob"]),
        Key(0),
        with_replacement=True,
    )
    weights = result.weights.numpy().reshape(runs, rows, -1)
    np.testing.assert_array_equal(weights[0].sum(1), found["weights_sum"])
    assert weights.sum() == statistics["draws"]

    used = result.weights.numpy() > 0
    hit = np.zeros(result.input_ids.shape, bool)
    row = np.broadcast_to(np.arange(len(used))[:, None], used.shape)
    hit[row[used], result.positions.numpy()[used]] = True
    assert not hit[~np.tile(found["candidates_mask"], (runs, 1))].any()
    # The statistics of the reference are of 300 runs, too, so both variances add up.
    duplicates = 1 - hit.sum() / used.sum()
    spread = np.sqrt(2 * duplicates / used.sum())
    assert duplicates == pytest.approx(statistics["duplicate_draw_fraction"], abs=5 * spread)
    hidden = (result.input_ids.numpy() == special[2]) & hit
    expected_hidden = statistics["fraction_selected_replaced_by_MASK"]
    spread = np.sqrt(2 * expected_hidden * (1 - expected_hidden) / hit.sum())
    assert hidden.sum() / hit.sum() == pytest.approx(expected_hidden, abs=5 * spread)
    # Each position is selected as often as by the reference.
    hits, reference_hits = hit.reshape(runs, *ids.shape).sum(0), found["hits"]
    expected = (hits + reference_hits) / 2
    chosen = expected > 0
    chi_square = ((hits - reference_hits)[chosen] ** 2 / (2 * expected[chosen])).sum()
    assert chi_square < chosen.sum() + 5 * np.sqrt(2 * chosen.sum())


def test_the_draws_of_the_reference_hold_the_same_invariants(reference):
    found, _, special = reference
    for sample in range(4):
        positions = found[f"sample{sample}__masked_lm_positions"]
        used = found[f"sample{sample}__masked_lm_weights"] > 0
        assert not positions[~used].any()
        assert found["candidates_mask"][np.nonzero(used)[0], positions[used]].all()
        changed = found[f"sample{sample}__input_ids"] != found["in__input_ids"]
        assert (found[f"sample{sample}__input_ids"][changed] == special[2]).all()
