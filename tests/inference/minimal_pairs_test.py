"""The sentence with the higher score is preferred; scores are those of single calls."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.tables.minimal_pairs import MinimalPair
from official_nlp.errors import InputError
from official_nlp.inference import minimal_pairs
from official_nlp.inference.batches import TokenSequence
from official_nlp.inference.fillings import BlankFiller
from official_nlp.inference.minimal_pairs import Preference, judge_minimal_pairs
from official_nlp.inference.predictor import Predictor
from tests.inference.replaced_words_test import scorer


def pair(good, bad, line=1, **categories):
    return MinimalPair(good, bad, {"file": "rows", **categories}, f"rows.jsonl, line {line}")


class Networks:
    """Stands in for a predictor, with stand-ins for its networks."""

    def __init__(self, tokenizer, word_scorer=None, blank_filler=None, length=16):
        self.tokenizer, self.length = tokenizer, length
        self.word_scorer, self.blank_filler = word_scorer, blank_filler


def discriminator(tokenizer, probabilities):
    return Networks(tokenizer, scorer(tokenizer, probabilities))


PAIRS = [pair("the red boat", "the green boat"), pair("a bird", "a bird sings")]


# === Scores ===


def test_the_discriminator_prefers_the_more_original_sentence(tokenizer):
    networks = discriminator(tokenizer, {"green": 0.5, "old": 0.1, "red": 0.01})
    pairs = [
        pair("the red boat", "the green boat"),
        pair("the green boat", "the red boat"),
        # P(replaced) of "old" is that of "boat".
        pair("the old boat", "the boat boat"),
    ]
    overall = judge_minimal_pairs(networks, pairs).overall
    assert overall.pairs == 3
    # A tie counts half.
    assert overall.networks == {"discriminator": Preference(0.5, 0.5)}


def test_the_mean_does_not_favor_the_shorter_sentence(tokenizer):
    # Each token costs log 0.9 but for "sings", which costs less.
    networks = discriminator(tokenizer, {"sings": 0.01})
    overall = judge_minimal_pairs(networks, [pair("a bird sings", "a bird")]).overall
    assert overall.networks["discriminator"] == Preference(0.0, 1.0)


def test_the_generator_scores_each_token_when_it_alone_is_masked(predictor, tokenizer):
    generator = predictor("generator")
    ids = tokenizer("the red boat sings.")["input_ids"]
    expected = []
    for position in range(1, len(ids) - 1):
        masked = ids.copy()
        masked[position] = tokenizer.mask_token_id
        batch = {"input_word_ids": masked[np.newaxis]}
        logits = generator.model(batch, training=False)["logits"][0, position].numpy()
        logits = logits.astype(np.float64)
        expected.append(logits[ids[position]] - np.log(np.exp(logits).sum()))
    short = TokenSequence(tokenizer("a")["input_ids"])
    scores = generator.blank_filler.log_probabilities([TokenSequence(ids), short])
    np.testing.assert_allclose(scores[0], expected, atol=1e-5)
    assert scores[1].shape == (1,)


def test_the_discriminators_scores_are_log_probabilities(predictor, tokenizer):
    discriminator = predictor("discriminator")
    ids = tokenizer("the red boat sings.")["input_ids"]
    logits = discriminator.model({"input_word_ids": ids[np.newaxis]}, training=False)["logits"]
    expected = np.log(1 / (1 + np.exp(logits[0].numpy().astype(np.float64))))
    (scores,) = discriminator.word_scorer.log_original([TokenSequence(ids)])
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_generator_prefers_the_more_probable_sentence(tokenizer):
    def frequent(batch):
        # Red is likely everywhere, whatever else the text has.
        row = np.full([tokenizer.vocab_size], -5.0, np.float32)
        row[tokenizer.vocab.index("red")] = 5.0
        return tf.tile(tf.constant(row)[tf.newaxis, tf.newaxis], [len(batch["input_mask"]), 1, 1])

    filler = BlankFiller(frequent, tokenizer, tokenizer.vocab_size, 16)
    overall = judge_minimal_pairs(Networks(tokenizer, None, filler), PAIRS[:1]).overall
    assert overall.networks == {"generator": Preference(1.0, 1.0)}


# === Categories and parts ===


def test_results_are_by_every_key_that_all_pairs_have(tokenizer):
    networks = discriminator(tokenizer, {"green": 0.5})
    pairs = [
        pair("red", "green", UID="b_1", field="x"),
        pair("green", "red", UID="a_1", field="x", linguistics_term="t"),
        pair("red", "green", UID="a_1", field="x"),
    ]
    results = judge_minimal_pairs(networks, pairs)
    assert list(results.categories) == ["UID", "field"]
    by_uid = results.categories["UID"]
    assert [(name, each.pairs) for name, each in by_uid.items()] == [("a_1", 2), ("b_1", 1)]
    assert by_uid["a_1"].networks["discriminator"].accuracy == 0.5
    assert by_uid["b_1"].networks["discriminator"].accuracy == 1.0
    assert list(results.categories["field"]) == ["x"]
    assert results.to_dict()["categories"]["UID"]["b_1"] == {
        "pairs": 1,
        "networks": {"discriminator": {"accuracy": 1.0, "accuracy_per_token": 1.0}},
    }


def test_pairs_without_a_phenomenon_are_grouped_by_their_file(tokenizer):
    results = judge_minimal_pairs(discriminator(tokenizer, {}), PAIRS)
    assert list(results.categories) == ["file"]
    assert list(results.categories["file"]) == ["rows"]


def test_parts_change_nothing_and_are_reported(predictor, monkeypatch):
    whole = judge_minimal_pairs(predictor("pair"), PAIRS * 3)
    assert list(whole.overall.networks) == ["discriminator", "generator"]
    monkeypatch.setattr(minimal_pairs, "_CHUNK", 4)
    done = []
    assert judge_minimal_pairs(predictor("pair"), PAIRS * 3, done.append) == whole
    assert done == [4, 6]


def test_pairs_that_do_not_fit_are_left_out_and_counted(tokenizer):
    networks = discriminator(tokenizer, {"green": 0.5})
    long = pair("red", "red " * 15)
    results = judge_minimal_pairs(networks, [long, *PAIRS])
    assert (results.overall.pairs, results.left_out) == (2, 1)
    with pytest.raises(InputError, match="every pair has a sentence of more than 14 tokens"):
        judge_minimal_pairs(networks, [long])


# === Errors ===


@pytest.mark.parametrize("name", ["classification", "encoder"])
def test_a_model_without_a_pre_trained_head_is_refused(predictor, name):
    with pytest.raises(InputError, match="by a discriminator or a generator with its head"):
        judge_minimal_pairs(predictor(name), PAIRS)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "there are no minimal pairs to judge"),
        ([pair("\u200b", "a", line=7)], "line 7: sentence_good has no token of the model"),
        ([pair("a", "\u200b", line=8)], "line 8: sentence_bad has no token of the model"),
    ],
)
def test_pairs_without_anything_to_judge_are_refused(tokenizer, pairs, message):
    with pytest.raises(InputError, match=message):
        judge_minimal_pairs(discriminator(tokenizer, {}), pairs)


def test_each_network_of_a_pair_is_judged_as_alone(predictor, tokenizer):
    both = judge_minimal_pairs(predictor("pair"), PAIRS).overall.networks
    for name in ("discriminator", "generator"):
        alone = Predictor(predictor(name).model, tokenizer)
        assert judge_minimal_pairs(alone, PAIRS).overall.networks == {name: both[name]}
