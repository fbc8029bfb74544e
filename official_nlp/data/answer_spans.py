"""The most probable answers to questions, by the logits of the first and the last token."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official_nlp.data import text_windows
from official_nlp.data.question_windows import QuestionWindows

# Windows whose spans are scored together, which bounds the memory.
_WINDOWS = 64


class AnswerSpans(NamedTuple):
    """The best span of each question among all its windows.

    Attributes:
      windows: int64 `[questions]`, window of the span.
      first, last: int64 `[questions]`, positions of its first and last token in the sequence.
      scores: float32 `[questions]`, score of the span.
      null_windows: int64 `[questions]`, window that decides whether there is an answer.
      null_scores: float32 `[questions]`, score of no answer; a threshold on it leaves questions
        unanswered.
    """

    windows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    null_windows: np.ndarray
    null_scores: np.ndarray


def find_spans(
    windows: QuestionWindows, start_logits: np.ndarray, end_logits: np.ndarray, longest: int
) -> AnswerSpans:
    """Return the best spans: the highest sum of two logits, of equal ones the first.

    All spans of the context with at most `longest` tokens are compared, not only those of the most
    probable starts and ends. The score of no answer is the sum of the logits of [CLS] minus that of
    the best span.

    Args:
      windows: windows of at least one question.
      start_logits, end_logits: float32 `[windows, length]`; values beyond a window are ignored.
      longest: largest number of tokens of an answer.

    Reference: Devlin et al. 2019 (arXiv 1810.04805), sections 4.2 and 4.3.
    """
    first, last = np.empty([2, len(windows)], np.int64)
    logits = np.empty(len(windows), np.float32)
    for begin in range(0, len(windows), _WINDOWS):
        part = slice(begin, begin + _WINDOWS)
        stop = windows.positions[part] + windows.counts[part]
        first[part], last[part], logits[part] = _best_of_each(
            start_logits[part], end_logits[part], windows.positions[part], stop, longest
        )
    found = best_windows(windows, first, last, logits, start_logits[:, 0] + end_logits[:, 0])
    return found._replace(null_scores=found.null_scores - found.scores)


def best_windows(
    windows: QuestionWindows,
    first: np.ndarray,
    last: np.ndarray,
    scores: np.ndarray,
    null_scores: np.ndarray,
) -> AnswerSpans:
    """Return the best spans of questions, given that of each window.

    Args:
      windows: windows of the questions.
      first, last: positions of the best span of each window, integers `[windows]`.
      scores, null_scores: scores of that span and of no answer, `[windows]`.
    """
    best = _first_of_each_question(windows.questions, -scores)
    # The window with the lowest score of no answer decides whether there is one: windows without
    # the answer say nothing about the others.
    null = _first_of_each_question(windows.questions, null_scores)
    return AnswerSpans(best, first[best], last[best], scores[best], null, null_scores[null])


def _best_of_each(
    starts: np.ndarray, ends: np.ndarray, begin: np.ndarray, stop: np.ndarray, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first position, the last one and the sum of the best span of each window.

    Args:
      starts, ends: logits `[windows, length]`.
      begin, stop: range of the positions of the context, `[windows]`.
      longest: largest number of tokens of a span.
    """
    rows, length = starts.shape
    longest = min(longest, length)
    positions = np.arange(length)
    inside = (positions >= begin[:, np.newaxis]) & (positions < stop[:, np.newaxis])
    starts = np.where(inside, starts, np.float32(-np.inf))
    # The ends of a start are the `longest` positions from it on; those behind the last are none.
    ends = np.pad(
        np.where(inside, ends, np.float32(-np.inf)),
        [(0, 0), (0, longest - 1)],
        constant_values=-np.inf,
    )
    by_start = np.lib.stride_tricks.sliding_window_view(ends, longest, axis=1)
    sums = starts[:, :, np.newaxis] + by_start  # [windows, length, longest]
    best = sums.reshape(rows, -1).argmax(axis=1)
    first, more = np.divmod(best, longest)
    return first, first + more, sums.reshape(rows, -1)[np.arange(rows), best]


def _first_of_each_question(questions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the window with the lowest value of each question, of equal ones the first."""
    order = np.lexsort((values, questions))  # It is stable.
    _, first = np.unique(questions[order], return_index=True)
    return order[first]


def characters(
    windows: QuestionWindows, contexts: Sequence[str], spans: AnswerSpans
) -> list[tuple[int, int]]:
    """Return the first character of each answer and the one after its last.

    Args:
      windows: windows of the questions.
      contexts: context of each question.
      spans: the best span of each question.
    """
    shift = windows.starts[spans.windows] - windows.positions[spans.windows]
    return [
        text_windows.stripped_span(context, offsets[first, 0], offsets[last, 1])
        for context, offsets, first, last in zip(
            contexts, windows.offsets, spans.first + shift, spans.last + shift
        )
    ]
