"""Exact match and F1 of answers, by a table of cases."""

import dataclasses

import pytest

from official_nlp.errors import InputError
from official_nlp.tasks.metrics import squad


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The Eiffel Tower", "eiffel tower"),
        ("an apple and a pear", "apple and pear"),
        ("Theatre, analysis", "theatre analysis"),  # articles are whole words
        ("U.S.A.", "usa"),
        ("at 7 a.m.", "at 7 am"),  # punctuation goes first
        ("well-known", "wellknown"),
        ("the-end", "theend"),
        ("  two \t words\n", "two words"),
        ("$1,000.50", "100050"),
        ("Köln “Dom”", "köln “dom”"),  # only ASCII punctuation
        ("ÉCOLE", "école"),
        ("the", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_answers_are_normalized(answer, expected):
    assert squad.normalized(answer) == expected


# Prediction, acceptable answers, exact match, F1.
TABLE = {
    "equal": ("Paris", ["Paris"], 1, 1),
    "article and case": ("the paris", ["Paris"], 1, 1),
    "punctuation": ("Paris.", ["Paris"], 1, 1),
    "another": ("London", ["Paris"], 0, 0),
    # One common word, of 2 and 1.
    "too long": ("Paris France", ["Paris"], 0, 2 / 3),
    "order is not compared": ("France Paris", ["Paris France"], 0, 1),
    # "b" once in both: 2 * 1 / (3 + 1).
    "a repeated word counts as often as in both": ("b b b", ["b"], 0, 0.5),
    "a word repeated in both": ("b b c", ["b b"], 0, 0.8),
    "the best of several": ("city of Paris", ["Rome", "Paris", "City of Paris"], 1, 1),
    "each metric has its own best": ("big city", ["city", "big old city"], 0, 0.8),
    "no answer, none predicted": ("", [], 1, 1),
    "no answer, one predicted": ("Paris", [], 0, 0),
    "no answer, an article predicted": ("the", [], 1, 1),
    "an answer, none predicted": ("", ["Paris"], 0, 0),
    "an answer, punctuation predicted": ("!", ["Paris"], 0, 0),
    "an answer of which nothing remains is no answer": ("", ["The"], 1, 1),
    "beside another it does not count": ("", ["The", "Paris"], 0, 0),
    "unicode": ("北京", ["北京"], 1, 1),
    "combining characters are not composed": ("e\u0301", ["é"], 0, 0),
}


@pytest.mark.parametrize("name", TABLE)
def test_exact_match_and_f1_of_an_answer(name):
    prediction, answers, exact_match, f1 = TABLE[name]
    assert squad.exact_match(prediction, answers) == exact_match
    assert squad.f1(prediction, answers) == pytest.approx(f1)


@dataclasses.dataclass(frozen=True)
class Question:
    id: str
    answers: list


def question(id, *answers):
    return Question(id, [(text, 0) for text in answers])


WITH_ANSWERS = [question("a", "Paris"), question("b", "red wine", "wine")]
WITHOUT = [question("c"), question("d")]


def test_metrics_are_means_over_questions():
    found = squad.squad_metrics({"a": "Paris", "b": "white wine"}, WITH_ANSWERS)
    assert found == pytest.approx({"exact_match": 0.5, "f1": (1 + 2 / 3) / 2})


def test_questions_without_answer_are_counted_by_themselves_too():
    predictions = {"a": "Paris", "b": "white wine", "c": "", "d": "Rome"}
    found = squad.squad_metrics(predictions, WITH_ANSWERS + WITHOUT)
    assert found == pytest.approx(
        {
            "exact_match": 0.5,
            "f1": (1 + 2 / 3 + 1 + 0) / 4,
            "has_answer_exact_match": 0.5,
            "has_answer_f1": (1 + 2 / 3) / 2,
            "no_answer_exact_match": 0.5,
            "no_answer_f1": 0.5,
        }
    )


def test_a_kind_that_the_set_lacks_is_left_out():
    found = squad.squad_metrics({"c": "", "d": ""}, WITHOUT)
    assert list(found) == ["exact_match", "f1", "no_answer_exact_match", "no_answer_f1"]


@pytest.mark.parametrize(
    ("predictions", "null_scores", "metric", "expected"),
    [
        # Answering a and b wins 2, d costs 1 and is left out.
        ("Paris,wine,x,x", [-3, -2, 1, 2], "f1", -2),
        # c lies between them: 1 - 1 + 1 is as good as 1, and the lowest threshold is chosen.
        ("Paris,wine,x,x", [-3, 0, -2, 2], "f1", -3),
        # Of b the exact match gains nothing.
        ("Paris,old wine,x,x", [-3, -2, 1, 2], "exact_match", -3),
        ("Paris,old wine,x,x", [-3, -2, 1, 2], "f1", -2),
        # Every answer is wrong: it is best to leave all unanswered.
        ("x,x,x,x", [-3, -2, 1, 2], "f1", -4),
        # An empty prediction for a question without answer is right either way.
        ("x,wine,,", [-3, -1, -2, -2], "f1", -1),
        # Equal scores stay together: b and c gain 0, so a alone decides.
        ("Paris,wine,x,x", [-3, 0, 0, 2], "f1", -3),
    ],
)
def test_the_null_threshold_maximizes_the_metric(predictions, null_scores, metric, expected):
    questions = WITH_ANSWERS + WITHOUT
    predictions = dict(zip("abcd", predictions.split(",")))
    null_scores = dict(zip("abcd", null_scores))
    found = squad.best_null_threshold(predictions, null_scores, questions, metric)
    assert found == expected

    def value(threshold):
        applied = squad.apply_null_threshold(predictions, null_scores, threshold)
        return squad.squad_metrics(applied, questions)[metric]

    assert value(found) == pytest.approx(max(value(other / 2) for other in range(-10, 10)))


def test_a_question_is_unanswered_if_its_score_is_above_the_threshold():
    found = squad.apply_null_threshold({"a": "x", "b": "y"}, {"a": 1.0, "b": 1.5}, 1.0)
    assert found == {"a": "x", "b": ""}


@pytest.mark.parametrize(
    ("predictions", "null_scores", "metric", "message"),
    [
        ({"a": "x"}, {"a": 0.0, "b": 0.0}, "f1", "1 of 2 have none, such as 'b'"),
        ({"a": "x", "b": "x"}, {"b": 0.0}, "f1", "1 of 2 have none, such as 'a'"),
        ({}, {}, "em", "metric must be one of exact_match, f1, was 'em'"),
    ],
)
def test_a_threshold_needs_all_predictions(predictions, null_scores, metric, message):
    with pytest.raises(InputError, match=message):
        squad.best_null_threshold(predictions, null_scores, WITH_ANSWERS, metric)


def test_metrics_need_questions_and_their_predictions():
    with pytest.raises(InputError, match="at least one question"):
        squad.squad_metrics({}, [])
    with pytest.raises(InputError, match="2 of 2 have none, such as 'a'"):
        squad.squad_metrics({}, WITH_ANSWERS)
