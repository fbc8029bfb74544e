"""A stand-in discriminator, whose probabilities depend on the token alone, chooses among labels."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.errors import InputError
from official_nlp.inference.inputs import TextPair
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.sequence_classification import Classification
from official_nlp.inference.zero_shot import Template, ZeroShotClassifier
from tests.inference.replaced_words_test import scorer

BOAT = [TextPair("the red boat")]
IT_WAS = "{text} a {label}."


def classifier(tokenizer, probabilities, labels, template=IT_WAS, length=16):
    return ZeroShotClassifier(scorer(tokenizer, probabilities, length), labels, template)


class Recorder:
    """Stands in for the scorer: keeps the sequences, and scores every token alike."""

    def __init__(self, tokenizer, length):
        self.tokenizer, self.length, self.rows = tokenizer, length, []

    def log_original(self, rows):
        self.rows += rows
        return [np.full([len(row.ids)], -0.5) for row in rows]

    def texts(self):
        return [" ".join(self.tokenizer.vocab[id] for id in row.ids[1:-1]) for row in self.rows]


# === Scores ===


def test_the_label_whose_word_is_most_probably_original_wins(tokenizer):
    chosen = classifier(tokenizer, {"bird": 0.2, "stone": 0.6}, ["bird", "stone"])
    (result,) = chosen.predict(BOAT)
    # P(original) is 0.8 and 0.4: the softmax of their logarithms is 2 / 3 and 1 / 3.
    assert result.label == "bird"
    assert result.score == pytest.approx(2 / 3, abs=1e-6)
    assert result.scores == pytest.approx({"bird": 2 / 3, "stone": 1 / 3}, abs=1e-6)


def test_a_word_of_several_tokens_has_their_mean(tokenizer):
    # "xy" is two tokens, x and ##y, of the same mean as the one token of "stone".
    tokens = {"x": 0.9, "##y": 0.1, "stone": 0.7}
    assert tokenizer.tokenize("xy") == ["x", "##y"]
    (result,) = classifier(tokenizer, tokens, ["xy", "stone"]).predict(BOAT)
    assert result.scores == pytest.approx({"xy": 0.5, "stone": 0.5}, abs=1e-6)


def test_labels_may_have_names_apart_from_their_words(tokenizer):
    words = {"flies": "bird", "sinks": "stone"}
    (result,) = classifier(tokenizer, {"bird": 0.9, "stone": 0.1}, words).predict(BOAT)
    assert isinstance(result, Classification)
    assert (result.label, list(result.scores)) == ("sinks", ["flies", "sinks"])
    assert json.loads(result.to_json()).keys() == {"label", "score", "scores"}


def test_a_probability_near_one_keeps_its_digits(tokenizer):
    def sure(ids, mask):
        logits = tf.where(ids == tokenizer.vocab.index("bird"), 40.0, 42.0)
        return tf.where(mask > 0, logits, 0.0)

    chosen = ZeroShotClassifier(WordScorer(sure, tokenizer, 16), ["bird", "stone"], IT_WAS)
    (result,) = chosen.predict(BOAT)
    # log P(original) is -40 and -42.
    assert result.scores["bird"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)


def test_only_the_tokens_of_the_label_count(tokenizer):
    # The text has the same words as the labels.
    words = {"bird": 0.2, "stone": 0.6}
    one, other = classifier(tokenizer, words, ["bird", "stone"]).predict(
        [TextPair("the bird"), TextPair("stone stone")]
    )
    assert one.scores == other.scores


# === Templates ===


def test_the_template_is_filled_once_for_each_label(tokenizer):
    recorder = Recorder(tokenizer, 16)
    ZeroShotClassifier(recorder, ["bird", "stone"], "a {label} sings, {text}.").predict(
        [TextPair("red {label}")]
    )
    # Braces in a text are text; those of the vocabulary of this test are unknown.
    start, end = "sings , red [UNK]", "[UNK] ."
    bird, stone = recorder.texts()
    assert bird.startswith(f"a bird {start}")
    assert stone.startswith(f"a stone {start}")
    assert bird.endswith(end)


def test_a_pair_has_two_places(tokenizer):
    recorder = Recorder(tokenizer, 16)
    template = "{text}, {label}, {text_pair}."
    ZeroShotClassifier(recorder, ["bird", "stone"], template).predict(
        [TextPair("the boat", "a river")]
    )
    assert recorder.texts() == [
        "the boat , bird , a river .",
        "the boat , stone , a river .",
    ]


@pytest.mark.parametrize(
    ("template", "pair", "expected"),
    [
        ("{text} a {label}.", TextPair("red " * 4 + "old " * 20), "red red red red old a bird ."),
        ("a {label}, {text}.", TextPair("red " * 4 + "old " * 20), "a bird , red red red red ."),
        ("{text} {label} {text_pair}.", TextPair("red " * 9, "old"), "red " * 5 + "bird old ."),
        (
            "{text} {label} {text_pair}.",
            TextPair("red " * 9, "old " * 9),
            "red red red bird old old old .",
        ),
    ],
)
def test_truncation_cuts_the_texts_and_never_the_template(tokenizer, template, pair, expected):
    recorder = Recorder(tokenizer, 10)
    chosen = ZeroShotClassifier(recorder, ["bird", "stone"], template)
    with pytest.warns(UserWarning, match="truncated 1 of 1 text with the template to 10 tokens"):
        chosen.predict([pair])
    assert recorder.texts() == [expected, expected.replace("bird", "stone")]


def test_all_labels_see_the_same_part_of_a_text(tokenizer):
    recorder = Recorder(tokenizer, 10)
    with pytest.warns(UserWarning, match="truncated"):
        ZeroShotClassifier(recorder, ["bird", "bcd"], IT_WAS).predict([TextPair("red " * 20)])
    assert recorder.texts() == ["red red red a bird .", "red red red a b ##c ##d ."]


def test_a_tokenizer_may_cut_on_the_left(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "truncation_side", "left")
    recorder = Recorder(tokenizer, 10)
    with pytest.warns(UserWarning, match="truncated"):
        ZeroShotClassifier(recorder, ["bird", "stone"], IT_WAS).predict(
            [TextPair("red " * 9 + "old")]
        )
    assert recorder.texts()[0] == "red red red red old a bird ."


def test_texts_are_scored_in_parts(tokenizer, monkeypatch):
    chosen = classifier(tokenizer, {"bird": 0.2, "stone": 0.6}, ["bird", "stone"])
    texts = [TextPair(text) for text in ("red", "the boat", "a", "old")]
    whole = chosen.predict(texts)
    monkeypatch.setattr("official_nlp.inference.zero_shot._CHUNK", 3)
    assert chosen.predict(texts) == whole
    assert chosen.predict([]) == []


# === Predictor and errors ===


@pytest.mark.parametrize("name", ["discriminator", "pair", "pretrainer"])
def test_models_with_a_discriminator_classify_without_training(predictor, name):
    results = predictor(name).zero_shot(["the red boat", "a"], ["bird", "stone"], IT_WAS)
    assert [set(each.scores) for each in results] == [{"bird", "stone"}] * 2
    assert all(sum(each.scores.values()) == pytest.approx(1) for each in results)


@pytest.mark.parametrize("name", ["generator", "classification", "encoder"])
def test_a_model_without_a_discriminator_is_refused(predictor, name):
    with pytest.raises(InputError, match="needs a discriminator with its head, and this model has"):
        predictor(name).zero_shot(["a"], ["bird", "stone"])


@pytest.mark.parametrize(
    ("labels", "template", "message"),
    [
        (["bird", "stone"], "{text} was.", "template must have {label} exactly once"),
        (["bird", "stone"], "{text} {label} {label}", "template must have {label} exactly once"),
        (["bird", "stone"], "a {label}", "template must have {text} exactly once"),
        (
            ["bird", "stone"],
            "{text} {label} {text_pair} {text_pair}",
            "{text_pair} at most once",
        ),
        (["bird", "bird"], IT_WAS, "labels must differ, but 'bird' is given twice"),
        (["bird", "BIRD"], IT_WAS, "'bird' and 'BIRD' have the same tokens, bird"),
        ({"a": "bird", "b": "bird"}, IT_WAS, "'a' and 'b' have the same tokens, bird"),
        (["bird"], IT_WAS, "labels must be at least two, were ['bird']"),
        ([], IT_WAS, "labels must be at least two"),
        ("bird", IT_WAS, "labels must be a list or a dict of words, was 'bird'"),
        (["bird", " "], IT_WAS, "names and words that are not empty"),
        ({"a": "bird", "b": 3}, IT_WAS, "names and words that are not empty"),
        (["bird", "%"], IT_WAS, "the word '%' of label '%' is not in the vocabulary"),
        (["bird", "[MASK]"], IT_WAS, "is not in the vocabulary"),
        (["bird", "\u200b"], IT_WAS, "is not in the vocabulary"),
        (["bird", "stone"], "{text} " + "a " * 30 + "{label}", "leaves no room for a text"),
        (["bird", "stone"], "{text} {label} {text_pair}", "input 1 must be two texts"),
    ],
)
def test_labels_and_templates_that_do_not_fit_are_refused(predictor, labels, template, message):
    with pytest.raises(InputError, match=re.escape(message)):
        predictor("discriminator").zero_shot(["a boat"], labels, template)


def test_a_pair_needs_a_place_in_the_template(predictor):
    with pytest.raises(InputError, match="input 2 must be one text, not a pair"):
        predictor("discriminator").zero_shot(["a", ("a", "b")], ["bird", "stone"])


def test_braces_that_are_no_field_stand_for_themselves():
    filled, spans = Template("{ {text} }{x}: {label}").filled(TextPair("a"), "b")
    assert filled == "{ a }{x}: b"
    assert spans == {"text": (2, 3), "label": (10, 11)}


def test_sentencepiece_finds_the_label_and_the_text(text_file, tmp_path):
    tokenizer = train_vocabulary(
        text_file, tmp_path / "to", size=80, kind="sentencepiece", progress=False
    )
    recorder = Recorder(tokenizer, 16)
    chosen = ZeroShotClassifier(recorder, ["boat", "river"], "{text} a {label}.")
    with pytest.warns(UserWarning, match="truncated"):
        chosen.predict([TextPair("the boat " * 30)])
    boat, river = [tokenizer.decode(row.ids[1:-1]) for row in recorder.rows]
    assert boat.startswith("the boat")
    assert boat.endswith("a boat.")
    assert river.endswith("a river.")
    assert max(len(row.ids) for row in recorder.rows) == 16
