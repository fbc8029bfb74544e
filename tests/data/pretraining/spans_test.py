"""Tests of masking whole words and n-grams."""

import itertools

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from official_nlp.data.pretraining import spans
from official_nlp.data.pretraining.masking import MaskingConfig, mask_tokens, predictions_by_length
from official_nlp.data.tokenization.words import WordJoins
from official_nlp.errors import InputError
from official_nlp.randomness import Key

CLS, SEP, MASK = 1, 2, 3
SPECIAL = [CLS, SEP, MASK]
# Ids from 4 begin a word, those from 30 continue one; special tokens belong to no word.
BEGIN, CONTINUE, VOCABULARY = 4, 30, 60
JOINS = WordJoins(left=np.arange(VOCABULARY) >= CONTINUE, right=np.arange(VOCABULARY) >= BEGIN)


def masked(ids, config, seed=0, slots=8, first_row=0):
    ids = tf.convert_to_tensor(ids, tf.int32)
    mask = tf.cast(ids > 0, tf.int32)
    key = Key(seed)
    return mask_tokens(ids, mask, SPECIAL, MASK, slots, config, key, first_row, joins=JOINS)


def rows(seed: int, count: int, length: int, longest_word: int = 4) -> np.ndarray:
    """Return ids of examples with two segments of words of several pieces, padded."""
    draw = np.random.default_rng(seed)
    result = np.zeros((count, length), np.int32)
    for row in result:
        size = draw.integers(2, length + 1)
        words = itertools.chain.from_iterable(
            [draw.integers(BEGIN, CONTINUE), *draw.integers(CONTINUE, VOCABULARY, pieces - 1)]
            for pieces in draw.integers(1, longest_word + 1, size)
        )
        row[:size] = list(itertools.islice(words, int(size)))
        row[0] = CLS
        row[draw.integers(1, size)] = row[size - 1] = SEP
    return result


def words_of(row, whole_word=True) -> list[list[int]]:
    """Return the positions of the tokens of each word of an example, by the simplest rule."""
    found = []
    for position, id in enumerate(row):
        if id < BEGIN:
            continue
        if whole_word and id >= CONTINUE and row[position - 1] >= BEGIN:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def chosen(result) -> list[list[int]]:
    """Return the predicted positions of each example."""
    used = result.weights.numpy() > 0
    return [positions[u].tolist() for positions, u in zip(result.positions.numpy(), used)]


def test_words_that_fit_are_selected_and_none_is_cut():
    # A word of three pieces and one of one: a budget of two tokens has room for the latter alone.
    row = [CLS, 4, 30, 31, 5, SEP, 0, 0]
    result = masked([row] * 50, MaskingConfig(0.35, 1.0, whole_word=True), slots=2)
    assert chosen(result) == [[4]] * 50
    np.testing.assert_array_equal(result.input_ids, [[CLS, 4, 30, 31, MASK, SEP, 0, 0]] * 50)
    np.testing.assert_array_equal(result.ids, [[5, 0]] * 50)
    np.testing.assert_array_equal(result.weights, [[1, 0]] * 50)
    # A budget of three has room for either.
    found = chosen(masked([row] * 50, MaskingConfig(0.5, 1.0, whole_word=True), slots=3))
    assert set(map(tuple, found)) == {(4,), (1, 2, 3)}
    # A budget of four has room for both.
    assert chosen(masked([row], MaskingConfig(0.67, whole_word=True), slots=4)) == [[1, 2, 3, 4]]
    # A word longer than the number of slots is never predicted.
    result = masked([[CLS, 4, 30, 31, SEP]], MaskingConfig(0.5, whole_word=True), slots=2)
    assert chosen(result) == [[]]


def test_the_first_piece_of_a_segment_begins_a_word():
    row = [CLS, 30, 31, SEP, 32, SEP]
    found = chosen(masked([row] * 40, MaskingConfig(0.3, whole_word=True), slots=2))
    assert set(map(tuple, found)) == {(1, 2), (4,)}


def test_ngrams_are_consecutive_words():
    row = [CLS, 4, 30, 5, 6, SEP, 7, 8, SEP]
    config = MaskingConfig(0.23, whole_word=True, max_ngram=2)
    found = {tuple(positions) for positions in chosen(masked([row] * 300, config, slots=2))}
    # Two tokens: a pair of words, a word of two, or single words. No pair spans [SEP].
    assert {(1, 2), (3, 4), (6, 7)} <= found
    assert (4, 6) in found
    alone = MaskingConfig(0.23, max_ngram=2)
    found_alone = map(tuple, chosen(masked([row] * 300, alone, slots=2)))
    assert (1, 2) in set(found_alone)
    assert all(len(positions) == 2 for positions in found)


def test_masking_holds_its_invariants(property_settings):
    @property_settings
    @hypothesis.given(
        seed=strategies.integers(0, 10**6),
        length=strategies.sampled_from([4, 9, 24]),
        slots=strategies.integers(1, 4),
        probability=strategies.floats(0.01, 0.99),
        whole_word=strategies.booleans(),
        max_ngram=strategies.integers(1, 4),
    )
    def check(seed, length, slots, probability, whole_word, max_ngram):
        hypothesis.assume(whole_word or max_ngram > 1)
        ids = rows(seed, 6, length)
        result = masked(ids, MaskingConfig(probability, 0.5, whole_word, max_ngram), seed, slots)
        table = predictions_by_length(probability, slots, length)
        for row, positions, after, used in zip(
            ids, chosen(result), result.input_ids.numpy(), result.weights.numpy() > 0
        ):
            words = words_of(row, whole_word)
            others = [word for word in words if not set(word) & set(positions)]
            taken = [word for word in words if set(word) & set(positions)]
            # Whole words, in the order of the text, as many as requested or as fit.
            assert [position for word in taken for position in word] == positions
            missing = min(table[(row > 0).sum()], sum(map(len, words))) - len(positions)
            assert missing >= 0
            assert all(len(word) > missing for word in others)
            assert missing == 0 or whole_word
            # A word is hidden as a whole or not at all, and nothing else changes.
            hidden = after != row
            assert set(np.flatnonzero(hidden)) <= set(positions)
            assert (after[hidden] == MASK).all()
            assert all(hidden[word].all() or not hidden[word].any() for word in taken)
            assert used[: len(positions)].all()
            assert not used[len(positions) :].any()
        used = result.weights.numpy() > 0
        originals = np.take_along_axis(ids, result.positions.numpy(), 1)
        np.testing.assert_array_equal(result.ids, np.where(used, originals, 0))
        assert not result.positions.numpy()[~used].any()

    check()


def greedy(words, order, budget) -> set[int]:
    """Return the positions of words taken one by one, by the simplest rule."""
    taken = set()
    for number in order:
        if len(words[number]) <= budget:
            budget -= len(words[number])
            taken |= set(words[number])
    return taken


def test_words_are_taken_as_one_by_one_in_random_order(property_settings):
    @property_settings
    @hypothesis.given(seed=strategies.integers(0, 10**6), budget=strategies.integers(0, 30))
    def check(seed, budget):
        ids = rows(seed, 4, 24, longest_word=6)
        bits = np.random.default_rng(seed).integers(0, 2**32, ids.shape, np.uint32)
        free = tf.constant(ids >= BEGIN)
        begins = free & ~spans.continues(tf.constant(ids), JOINS)
        taken, _ = spans._take(free, begins, tf.fill([4], budget), tf.constant(bits))
        for row, row_bits, row_taken in zip(ids, bits, taken.numpy()):
            words = words_of(row)
            order = np.argsort(-(row_bits[: len(words)] >> 1).astype(np.int64), kind="stable")
            assert set(np.flatnonzero(row_taken)) == greedy(words, order, budget)

    check()


# The first compiles everything that the others do.
@pytest.mark.parametrize(
    ("whole_word", "max_ngram"),
    [
        (True, 3),
        pytest.param(True, 1, marks=pytest.mark.slow),
        pytest.param(False, 3, marks=pytest.mark.slow),
    ],
)
def test_eager_tf_data_and_xla_agree(whole_word, max_ngram):
    ids = rows(5, 64, 24)
    config = MaskingConfig(0.25, whole_word=whole_word, max_ngram=max_ngram)

    def call(ids):
        return masked(ids, config, 11, 10, first_row=1000)

    eager = call(ids)
    # A dataset runs it as a graph.
    in_data = tf.data.Dataset.from_tensors(ids).map(lambda ids: tuple(call(ids)))
    results = [
        tf.function(call, jit_compile=True)(tf.constant(ids)),
        next(iter(in_data)),
    ]
    for result in results:
        for one, other in zip(eager, result, strict=True):
            np.testing.assert_array_equal(one, other)
            assert other.shape == one.shape


def test_an_example_depends_only_on_its_position_in_the_stream():
    ids, config = rows(6, 12, 20), MaskingConfig(0.3, whole_word=True, max_ngram=3)
    whole = masked(ids, config, first_row=100)
    for first, last in ((0, 5), (5, 6), (6, 12)):
        part = masked(ids[first:last], config, first_row=100 + first)
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_array_equal(one[first:last], other)
    found = [masked(ids, config, seed).positions.numpy().tobytes() for seed in range(5)]
    assert len(set(found)) == 5


@pytest.mark.parametrize(("whole_word", "max_ngram"), [(True, 1), (False, 3), (True, 3)])
def test_fractions_are_those_of_the_configuration(whole_word, max_ngram):
    # Words of one to three pieces, as in text: most examples spend their budget to the token.
    ids = rows(8, 2000, 64, longest_word=3)
    result = masked(ids, MaskingConfig(0.15, 0.85, whole_word, max_ngram), slots=10)
    alone = masked(ids, MaskingConfig(0.15), slots=10)
    predicted, of_tokens = result.weights.numpy(), alone.weights.numpy()
    full = (ids > 0).sum(1) > 30
    assert predicted[full].sum() == pytest.approx(of_tokens[full].sum(), rel=1e-3)
    assert predicted.sum() == pytest.approx(of_tokens.sum(), rel=0.01)
    hidden = (result.input_ids.numpy() != ids).sum() / predicted.sum()
    assert hidden == pytest.approx(0.85, abs=0.01)


def test_words_of_equal_length_are_equally_frequent():
    words = [4, 30, 5, 6, 31, 7, 8, 32, 9, 10, 33]
    ids = np.tile(np.array([[CLS, *words, SEP]], np.int32), (20000, 1))
    config = MaskingConfig(0.3, whole_word=True, max_ngram=1)
    hits = np.bincount(np.concatenate(chosen(masked(ids, config))), minlength=13)[1:-1]
    frequencies = hits / len(ids)
    single = frequencies[[2, 5, 8]]
    double = frequencies[[0, 3, 6, 9]]
    assert np.ptp(single) < 0.02
    assert np.ptp(double) < 0.02


@pytest.mark.parametrize("max_ngram", [2, 3, 5])
def test_lengths_of_ngrams_have_the_given_probabilities(max_ngram):
    bits = tf.constant(np.random.default_rng(0).integers(0, 2**32, (200, 500), np.uint32))
    words = tf.ones([200, 500], tf.bool)
    lengths = spans._lengths(bits, max_ngram)
    begins = spans._begin_ngrams(words, words, lengths, max_ngram).numpy()
    assert begins[:, 0].all()
    # The last n-gram of an example may be cut off, and is left out.
    found = np.concatenate([np.diff(np.flatnonzero(row)) for row in begins])
    counts = np.bincount(found, minlength=max_ngram + 1)
    assert counts.sum() == counts[1 : max_ngram + 1].sum()
    frequencies = counts[1 : max_ngram + 1] / counts.sum()
    np.testing.assert_allclose(frequencies, spans.ngram_probabilities(max_ngram), atol=0.01)


def test_probabilities_of_ngrams_are_those_of_the_paper():
    np.testing.assert_allclose(spans.ngram_probabilities(3), [6 / 11, 3 / 11, 2 / 11])


def test_options_that_cannot_be_combined_are_refused():
    ids = tf.constant([[CLS, 4, SEP]])
    for config in (MaskingConfig(whole_word=True), MaskingConfig(max_ngram=2)):
        with pytest.raises(InputError, match=r"max_ngram=\d cannot be drawn with replacement"):
            mask_tokens(
                ids, ids, SPECIAL, MASK, 1, config, Key(0), with_replacement=True, joins=JOINS
            )
    with pytest.raises(InputError, match=r"whole_word=True needs joins="):
        mask_tokens(ids, ids, SPECIAL, MASK, 1, MaskingConfig(whole_word=True), Key(0))
    with pytest.raises(InputError, match=r"max_ngram must be an integer from 1 to 100, was 0"):
        MaskingConfig(max_ngram=0)
