"""Tests of the n-gram baselines."""

import numpy as np
import pytest

from official_nlp.data.pretraining import ngram_baselines
from official_nlp.data.pretraining.examples import build_examples
from official_nlp.data.storage.data_folder import open_folder
from official_nlp.errors import InputError


def test_unigram_probabilities_leave_out_special_tokens(folder):
    probabilities = ngram_baselines.unigram_probabilities(folder)
    assert probabilities.shape == (folder.tokenizer.vocab_size,)
    assert probabilities.sum() == pytest.approx(1)
    assert not probabilities[folder.tokenizer.special_ids].any()
    counts = folder.unigram_counts()
    assert probabilities[6] / probabilities[5] == pytest.approx(counts[6] / counts[5])


def test_all_baselines_agree_for_independent_words(folder):
    found = ngram_baselines.measure_ngram_baselines(folder)
    # Eleven words, and the full stop about every seventeenth token.
    assert found.unigram == pytest.approx(np.log(11.5), abs=0.1)
    assert found.left_bigram == pytest.approx(found.unigram, abs=0.1)
    assert found.two_sided_bigram == pytest.approx(found.unigram, abs=0.15)
    assert 0.05 < found.most_frequent_accuracy < 0.15
    assert found.tokens > 500
    assert found == ngram_baselines.measure_ngram_baselines(folder)


def test_bigrams_predict_text_that_repeats(tokenizer_folder, tmp_path):
    documents = ["the red boat a green bird " * (20 + number) for number in range(60)]
    (tmp_path / "a.txt").write_text("\n\n".join(documents))
    build_examples(
        tmp_path / "a.txt",
        tokenizer_folder,
        tmp_path / "to",
        length=32,
        held_out=0.2,
        processes=1,
        progress=False,
    )
    found = ngram_baselines.measure_ngram_baselines(open_folder(tmp_path / "to"))
    assert found.unigram == pytest.approx(np.log(6), abs=0.05)
    assert found.left_bigram < 0.15
    assert found.two_sided_bigram < 0.1
    assert found.most_frequent_accuracy == pytest.approx(1 / 6, abs=0.02)


def test_sparse_sums_equal_those_over_the_whole_vocabulary():
    draw = np.random.default_rng(0)
    size, special = 7, 2
    left, right = draw.integers(0, size - 1, (2, 300))  # the last is never a neighbor
    token = draw.integers(special, size, 300)
    unigram = np.bincount(token, minlength=size) + 1.0
    unigram[:special] = 0
    unigram /= unigram.sum()

    def table(neighbors):
        counts = np.zeros((size, size))
        np.add.at(counts, (neighbors, token), 1)
        seen, different = counts.sum(1), (counts > 0).sum(1)
        smoothed = (counts + different[:, None] * unigram) / np.maximum(1, seen + different)[
            :, None
        ]
        return np.where(seen[:, None] > 0, smoothed, unigram)

    before, after = table(left), table(right)
    np.testing.assert_allclose(before.sum(1), 1)
    one = ngram_baselines._Neighbors(left, token, unigram)
    other = ngram_baselines._Neighbors(right, token, unigram)
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(size), np.arange(size)))
    both = before[a] * after[b] / np.where(unigram > 0, unigram, 1)
    np.testing.assert_allclose(one.normalizer(other, a, b), both.sum(1))
    for word in range(special, size):
        words = np.full(size, word)
        gain = one.gain(np.arange(size), words)
        np.testing.assert_allclose(gain * unigram[word], before[:, word])


def test_a_missing_held_out_split_is_refused(tokenizer_folder, tmp_path):
    (tmp_path / "a.txt").write_text("the red boat.")
    build_examples(
        tmp_path / "a.txt", tokenizer_folder, tmp_path / "to", processes=1, progress=False
    )
    with pytest.raises(InputError, match=r"holds no 'held_out' examples"):
        ngram_baselines.measure_ngram_baselines(open_folder(tmp_path / "to"))
