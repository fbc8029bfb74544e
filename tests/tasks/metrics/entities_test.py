"""Entities among tags, as conlleval counts them."""

import warnings

import pytest

from official_nlp.errors import InputError
from official_nlp.tasks.metrics.entities import (
    METRICS,
    count_by_type,
    entity_metrics,
    marks_entities,
    token_accuracy,
)

# True and predicted tags of sentences; F1, precision, recall, accuracy.
TABLE = {
    "equal": (["B-PER I-PER O"], ["B-PER I-PER O"], (1, 1, 1, 1)),
    "another type": (["B-PER I-PER O"], ["B-ORG I-ORG O"], (0, 0, 0, 1 / 3)),
    "too short": (["B-PER I-PER O"], ["B-PER O O"], (0, 0, 0, 2 / 3)),
    # Two of three predicted are right, and two of two found: 2 * 2 / (3 + 2).
    "one too many": (["B-PER O B-LOC"], ["B-PER B-ORG B-LOC"], (0.8, 2 / 3, 1, 2 / 3)),
    # An I- tag after O, or after another type, begins an entity.
    "without begin": (["B-PER I-PER B-LOC"], ["I-PER I-PER I-LOC"], (1, 1, 1, 1 / 3)),
    # Two entities side by side differ from one.
    "joined": (["B-PER B-PER"], ["B-PER I-PER"], (0, 0, 0, 0.5)),
    "begin, inside, end, single": (["B-A I-A E-A S-B S-B"], ["B-A I-A E-A S-B O"], None),
    "entities end with their sentence": (["B-A", "I-A"], ["B-A", "B-A"], (1, 1, 1, 0.5)),
    "types with a hyphen": (["B-per-son I-per-son"], ["B-per-son I-per-son"], (1, 1, 1, 1)),
    "none at all": (["O O"], ["O O"], (0, 0, 0, 1)),
    "none predicted": (["B-A O"], ["O O"], (0, 0, 0, 0.5)),
    "none in the set": (["O O"], ["B-A O"], (0, 0, 0, 0.5)),
    "an empty sentence": (["", "B-A"], ["", "B-A"], (1, 1, 1, 1)),
}


def split(sentences):
    return [sentence.split() for sentence in sentences]


@pytest.mark.parametrize("name", TABLE)
def test_metrics_of_entities(name):
    tags, predicted, expected = TABLE[name]
    # Two of three found, none wrong.
    f1, precision, recall, accuracy = expected or (0.8, 1, 2 / 3, 0.8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = entity_metrics(split(tags), split(predicted))
    assert found == pytest.approx(
        {
            "entity_f1": f1,
            "entity_precision": precision,
            "entity_recall": recall,
            "token_accuracy": accuracy,
        }
    )
    assert all(type(value) is float for value in found.values())
    assert tuple(found) == METRICS
    assert token_accuracy(split(tags), split(predicted)) == pytest.approx(accuracy)


def test_the_entities_of_each_type_are_counted():
    tags = split(["B-PER I-PER O B-LOC", "S-LOC O B-ORG"])
    predicted = split(["B-PER I-PER O B-LOC", "O B-LOC B-X"])
    counts = count_by_type(tags, predicted)
    assert counts == {"LOC": (2, 2, 1), "ORG": (1, 0, 0), "PER": (1, 1, 1), "X": (0, 1, 0)}
    values = {name: (x.precision, x.recall, x.f1) for name, x in counts.items()}
    assert values == {"LOC": (0.5, 0.5, 0.5), "ORG": (0, 0, 0), "PER": (1, 1, 1), "X": (0, 0, 0)}


def test_the_accuracy_of_tokens_takes_tags_of_any_kind():
    assert token_accuracy(split(["NN VB", "DT"]), split(["NN NN", "DT"])) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="the same sentences, had 1 and 0"):
        token_accuracy(split(["NN"]), [])


@pytest.mark.parametrize(
    ("tags", "predicted", "message"),
    [
        (["O"], ["O", "O"], "the same sentences, had 1 and 2"),
        (["O", "O O"], ["O", "O"], "sentence 1 must have as many predicted tags as tokens, 2"),
        ([], [], "at least one token, had none"),
        (["O NN"], ["O O"], "B-PER, was 'NN'; tags of other kinds have an accuracy only"),
        (["O O"], ["O U-PER"], "was 'U-PER'"),
    ],
)
def test_tags_that_do_not_fit_are_refused(tags, predicted, message):
    with pytest.raises(InputError, match=message):
        entity_metrics(split(tags), split(predicted))


@pytest.mark.parametrize(
    ("tag", "expected"), [("O", True), ("B-X", True), ("S-X", True), ("X", False), ("B-", False)]
)
def test_tags_that_mark_entities_are_recognized(tag, expected):
    assert marks_entities(tag) == expected
