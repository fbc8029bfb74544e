"""Find the answer to a question in a text."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer, text_windows
from official_nlp.errors import InputError
from official_nlp.inference import inputs
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.inputs import Question
from official_nlp.inference.probabilities import softmax
from official_nlp.modeling.models import ElectraForQuestionAnswering

_FEWEST_CONTEXT_TOKENS = 8  # The question is truncated rather than leaving fewer in a window.


@dataclasses.dataclass(frozen=True)
class Answer(Prediction):
    """The answer to a question.

    Attributes:
      answer: the answer as the context has it; empty if there is none.
      start, end: its span in characters, `context[start:end]`.
      score: product of the probabilities of its first and its last token, each among the tokens
        of the context and [CLS], in the window with the answer.
    """

    answer: str
    start: int
    end: int
    score: float


class _Window(NamedTuple):
    """A sequence [CLS] question [SEP] part of the context [SEP].

    Attributes:
      question: number of the question.
      sequence: the tokens.
      first: position of the first token of the context.
      offsets: integers `[tokens of the context, 2]`, their spans in characters.
    """

    question: int
    sequence: TokenSequence
    first: int
    offsets: np.ndarray


class _Candidate(NamedTuple):
    """The best span of one window; `logit` is the sum for its start and its end."""

    logit: float
    null_logit: float
    start: int
    end: int
    score: float
    null_score: float


class QuestionAnswerer(Head):
    """Answer questions by spans of their contexts.

    A context that does not fit into a sequence beside the question is cut into overlapping
    windows; the span with the highest sum of logits among all windows is the answer.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.

    Reference: Devlin et al. 2019 (arXiv 1810.04805), sections 4.2 and 4.3.
    """

    expects = inputs.QUESTION

    def __init__(
        self,
        model: ElectraForQuestionAnswering,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length

        def logits(batch):
            outputs = model(batch, training=False)
            return {"start_logits": outputs["start_logits"], "end_logits": outputs["end_logits"]}

        self._runner = BatchRunner(logits, tokenizer.pad_token_id, length, batch_size)

    def parse(self, value: Any) -> Question | None:
        return inputs.parse_question(value)

    def predict(
        self,
        questions: Sequence[Question],
        *,
        stride: int = 128,
        max_question_length: int = 64,
        max_answer_length: int = 30,
        null_threshold: float | None = None,
    ) -> list[Answer]:
        """Return the answer to each question.

        Args:
          questions: questions with their contexts.
          stride: number of tokens that neighbouring windows of a context share; at most half a
            window.
          max_question_length: largest number of tokens of a question; longer ones are truncated,
            with a warning.
          max_answer_length: largest number of tokens of an answer.
          null_threshold: for models of questions that may have no answer: the answer is empty if
            the logits of [CLS] exceed those of the best span by more than this. None for always
            a span.

        Raises:
          InputError: a number of tokens is out of range, or a context has no tokens.
        """
        for name, value, least in (
            ("stride", stride, 0),
            ("max_question_length", max_question_length, 1),
            ("max_answer_length", max_answer_length, 1),
        ):
            if value < least:
                raise InputError(f"{name} must be at least {least} tokens, got {value!r}")
        windows = self._windows(questions, stride, max_question_length)
        outputs = self._runner.run([window.sequence for window in windows])
        candidates: list[list[_Candidate]] = [[] for _ in questions]
        for window, output in zip(windows, outputs):
            candidates[window.question].append(_best_span(window, output, max_answer_length))
        return [
            _answer(question.context, found, null_threshold)
            for question, found in zip(questions, candidates)
        ]

    def _windows(self, questions, stride, max_question_length) -> list[_Window]:
        # 3 for [CLS] and two [SEP].
        limit = min(max_question_length, self.length - 3 - _FEWEST_CONTEXT_TOKENS)
        if limit < 1:
            raise InputError(
                f"length must be at least {4 + _FEWEST_CONTEXT_TOKENS} tokens for a question and "
                f"a part of its context, got {self.length}"
            )
        separator = self.tokenizer.sep_token_id
        windows, truncated = [], 0
        for number, (question, context) in enumerate(questions):
            question_ids = text_windows.tokenize(self.tokenizer, question).ids
            truncated += len(question_ids) > limit
            before = [self.tokenizer.cls_token_id, *question_ids[:limit], separator]
            tokens = text_windows.tokenize(self.tokenizer, context)
            if not len(tokens.ids):
                raise InputError(
                    f"the context of the question {ranges.shown(question)} has no tokens: "
                    f"{ranges.shown(context)}; give a text that may hold the answer"
                )
            room = self.length - len(before) - 1  # 1 for the last [SEP]
            # An overlap of more than half a window would multiply the number of windows.
            for cut in text_windows.cut(len(tokens.ids), room, min(stride, room // 2)):
                ids = [*before, *tokens.ids[cut.start : cut.stop], separator]
                type_ids = [0] * len(before) + [1] * (len(ids) - len(before))
                sequence = TokenSequence(ids, type_ids)
                offsets = tokens.offsets[cut.start : cut.stop]
                windows.append(_Window(number, sequence, len(before), offsets))
        if truncated:
            warnings.warn(
                f"{truncated} of {len(questions)} questions have more than {limit} tokens and "
                "were truncated",
                # The warning names the caller of `Predictor.__call__`, past `predict`.
                stacklevel=4,
            )
        return windows


def _best_span(window: _Window, output: dict[str, np.ndarray], longest: int) -> _Candidate:
    """Return the best span of a window; of equal ones the first."""
    count = len(window.offsets)
    # An answer starts and ends at tokens of the context; index 0 is [CLS], which means no answer.
    positions = [0, *range(window.first, window.first + count)]
    starts, ends = output["start_logits"][positions], output["end_logits"][positions]
    sums = starts[1:, np.newaxis] + ends[np.newaxis, 1:]  # [count, count], start by end
    # Length minus 1: a span ends at or after its start and has at most `longest` tokens.
    lengths = np.arange(count)[np.newaxis] - np.arange(count)[:, np.newaxis]
    sums[(lengths < 0) | (lengths >= longest)] = -np.inf
    first, last = np.unravel_index(int(sums.argmax()), sums.shape)
    start_scores, end_scores = softmax(starts), softmax(ends)
    return _Candidate(
        logit=float(sums[first, last]),
        null_logit=float(starts[0] + ends[0]),
        start=int(window.offsets[first, 0]),
        end=int(window.offsets[last, 1]),
        score=float(start_scores[1 + first] * end_scores[1 + last]),
        null_score=float(start_scores[0] * end_scores[0]),
    )


def _answer(context: str, found: list[_Candidate], null_threshold: float | None) -> Answer:
    best = max(found, key=lambda candidate: candidate.logit)
    # The window with the lowest logits of [CLS] decides whether there is an answer: windows without
    # one say nothing about the others.
    null = min(found, key=lambda candidate: candidate.null_logit)
    if null_threshold is not None and null.null_logit - best.logit > null_threshold:
        return Answer("", 0, 0, null.null_score)
    start, end = text_windows.stripped_span(context, best.start, best.end)
    return Answer(context[start:end], start, end, best.score)
