"""Exact match and F1 of answers, as SQuAD defines them.

Both compare normalized answers: in lower case, without ASCII punctuation and without the English
articles, with single spaces. They are fractions from 0 to 1; published results are percent.

Reference: Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1; Rajpurkar et al. 2018 (arXiv
1806.03822).
"""

import collections
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from official_nlp import ranges
from official_nlp.errors import InputError

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")

Metric = Callable[[str, Sequence[str]], float]


class AnsweredQuestion(Protocol):
    """A question of an evaluation set, such as `data.tables.squad.Question`."""

    @property
    def id(self) -> str:
        """Key of its prediction."""

    @property
    def answers(self) -> Sequence[tuple[str, int]]:
        """Acceptable answers as (text, first character); none if there is no answer."""


def normalized(answer: str) -> str:
    """Return an answer in the form that is compared."""
    # Punctuation goes first, and without a space in its place: "U.S." becomes "us", and "a.m." is
    # no article.
    words = _ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION))
    return " ".join(words.split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 if a prediction equals one of the acceptable answers, else 0.0.

    Args:
      prediction: predicted answer; empty for no answer.
      answers: acceptable answers; none if the question cannot be answered.
    """
    guess = normalized(prediction)
    return float(any(guess == normalized(answer) for answer in _acceptable(answers)))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the F1 of the words of a prediction, the highest among the acceptable answers.

    A word counts as often as it occurs in both. If the prediction or the answer has no words, the
    result is 1.0 if neither has any, else 0.0.

    Args:
      prediction: predicted answer; empty for no answer.
      answers: acceptable answers; none if the question cannot be answered.
    """
    guess = normalized(prediction).split()
    return max(_word_f1(guess, normalized(answer).split()) for answer in _acceptable(answers))


def squad_metrics(
    predictions: Mapping[str, str], questions: Iterable[AnsweredQuestion]
) -> dict[str, float]:
    """Compute exact match and F1 of an evaluation set, the means over its questions.

    Args:
      predictions: predicted answer by id of the question; empty for no answer.
      questions: the questions.

    Returns:
      `exact_match` and `f1`. If some questions cannot be answered (SQuAD 2.0), also
      `has_answer_exact_match`, `has_answer_f1`, `no_answer_exact_match` and `no_answer_f1`, over
      the questions that can be answered and over the others; a kind that the set lacks is left
      out.

    Raises:
      InputError: there are no questions, or a question has no prediction.
    """
    questions = _checked(questions, predictions)
    scores = {name: _scores(metric, predictions, questions) for name, metric in _METRICS.items()}
    table = {name: float(each.mean()) for name, each in scores.items()}
    has_answer = np.array([bool(question.answers) for question in questions])
    if has_answer.all():
        return table
    for kind, chosen in (("has_answer", has_answer), ("no_answer", ~has_answer)):
        if chosen.any():
            table |= {f"{kind}_{name}": float(each[chosen].mean()) for name, each in scores.items()}
    return table


def best_null_threshold(
    predictions: Mapping[str, str],
    null_scores: Mapping[str, float],
    questions: Iterable[AnsweredQuestion],
    metric: str = "f1",
) -> float:
    """Find the threshold on the score of "no answer" that is best for an evaluation set.

    A question is left unanswered if its score is above the threshold, see `apply_null_threshold`.
    The candidates are the scores themselves, and a number below all of them, which leaves every
    question unanswered. Of several that are equally good the lowest is chosen.

    Args:
      predictions: predicted answer by id of the question, if it is answered.
      null_scores: score of having no answer by id; for example the difference between the logits
        of no answer and those of the best span.
      questions: the questions.
      metric: `f1` or `exact_match`, the metric to maximize.

    Raises:
      InputError: there are no questions, one has no prediction or score, or the metric is unknown.
    """
    ranges.Choice(tuple(_METRICS)).require("metric", metric)
    questions = _checked(questions, predictions, null_scores)
    answered = _scores(_METRICS[metric], predictions, questions)
    unanswered = np.array([not question.answers for question in questions], np.float64)
    values = np.array([null_scores[question.id] for question in questions], np.float64)
    # Questions with equal scores are answered together, hence one candidate for all of them.
    thresholds, where = np.unique(values, return_inverse=True)
    gains = np.bincount(where, answered - unanswered)
    totals = np.concatenate([[0.0], np.cumsum(gains)])
    thresholds = np.concatenate([[thresholds[0] - 1.0], thresholds])
    return float(thresholds[np.argmax(totals)])


def apply_null_threshold(
    predictions: Mapping[str, str], null_scores: Mapping[str, float], threshold: float
) -> dict[str, str]:
    """Return the predictions, empty where the score of "no answer" is above a threshold.

    Args:
      predictions: predicted answer by id of the question.
      null_scores: score of having no answer by id.
      threshold: see `best_null_threshold`.
    """
    return {id: "" if null_scores[id] > threshold else text for id, text in predictions.items()}


_METRICS: dict[str, Metric] = {"exact_match": exact_match, "f1": f1}


def _acceptable(answers: Sequence[str]) -> Sequence[str]:
    """Return the answers of which something remains; only the empty one if there is none."""
    return [answer for answer in answers if normalized(answer)] or [""]


def _word_f1(guess: list[str], answer: list[str]) -> float:
    if not guess or not answer:
        return float(guess == answer)
    common = (collections.Counter(guess) & collections.Counter(answer)).total()
    # 2 * precision * recall / (precision + recall), with precision = common / len(guess).
    return 2 * common / (len(guess) + len(answer))


def _scores(
    metric: Metric, predictions: Mapping[str, str], questions: Sequence[AnsweredQuestion]
) -> np.ndarray:
    """Return a metric of each question."""
    return np.array([metric(predictions[q.id], [text for text, _ in q.answers]) for q in questions])


def _checked(
    questions: Iterable[AnsweredQuestion], *tables: Mapping[str, object]
) -> list[AnsweredQuestion]:
    """Return the questions as a list; raise InputError if a table lacks one of them."""
    questions = list(questions)
    if not questions:
        raise InputError("there must be at least one question, were none; give another set")
    missing = [q.id for q in questions if any(q.id not in table for table in tables)]
    if missing:
        raise InputError(
            f"every question must have a prediction and a score, but {len(missing)} of "
            f"{len(questions)} have none, such as {ranges.shown(missing[0])}; an empty prediction "
            "means no answer"
        )
    return questions
