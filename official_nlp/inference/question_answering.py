"""Find the answer to a question in a text."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer, answer_spans, question_windows
from official_nlp.data.answer_spans import AnswerSpans
from official_nlp.data.question_windows import QuestionWindows
from official_nlp.errors import InputError
from official_nlp.inference import inputs
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction
from official_nlp.inference.inputs import Question
from official_nlp.modeling.models import (
    ElectraForJointQuestionAnswering,
    ElectraForQuestionAnswering,
)
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.output import counted
from official_nlp.ranges import shown
from official_nlp.tasks.finetuning.joint_spans import SPAN_ROWS, best_joint_spans
from official_nlp.tasks.probabilities import sigmoid, softmax

# Key of config.json, which `tasks.finetuning.question_answering` writes.
_NULL_THRESHOLD = "null_threshold"
# In tokens, unless the caller says otherwise.
MAX_QUESTION_LENGTH = 64
MAX_ANSWER_LENGTH = 30
STRIDE = 128


@dataclasses.dataclass(frozen=True)
class Answer(Prediction):
    """The answer to a question.

    Attributes:
      answer: the answer as the context has it; empty if there is none.
      start, end: its span in characters, `context[start:end]`.
      score: product of the probabilities of its first and its last token, each among the tokens
        of the context and [CLS], in the window with the answer. An empty answer of
        `ElectraForJointQuestionAnswering` has the probability that there is none.
    """

    answer: str
    start: int
    end: int
    score: float


class QuestionAnswerer(Head):
    """Answer questions by spans of their contexts.

    A context that does not fit into a sequence beside the question is cut into overlapping
    windows; the span with the highest sum of logits among all windows is the answer.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.

    Attributes:
      is_joint: whether the model scores ends given starts.
      null_threshold: threshold of the model, see `predict`.

    Reference: Devlin et al. 2019 (arXiv 1810.04805), sections 4.2 and 4.3.
    """

    expects = inputs.QUESTION

    def __init__(
        self,
        model: ElectraForQuestionAnswering | ElectraForJointQuestionAnswering,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length
        self.null_threshold = _null_threshold(model.config)

        kind = getattr(model, "model_class", type(model))  # An exported network names its class.
        self.is_joint = issubclass(kind, ElectraForJointQuestionAnswering)

        def logits(batch, **options):
            outputs = model(batch, training=False)
            if self.is_joint:
                return best_joint_spans(outputs, batch, **options)
            return {"start_logits": outputs["start_logits"], "end_logits": outputs["end_logits"]}

        self._runner = BatchRunner(logits, tokenizer.pad_token_id, length, batch_size)

    def parse(self, value: Any) -> Question | None:
        return inputs.parse_question(value)

    def predict(
        self,
        questions: Sequence[Question],
        *,
        stride: int = STRIDE,
        max_question_length: int = MAX_QUESTION_LENGTH,
        max_answer_length: int = MAX_ANSWER_LENGTH,
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
            the logits of [CLS] exceed those of the best span by more than this, or for
            `ElectraForJointQuestionAnswering` the negative logit of an answer. None for the
            `null_threshold` in the configuration of the model, as fine-tuning chooses it; a model
            without one always answers, as any model does with `math.inf`.

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
        windows = question_windows.make_windows(
            self.tokenizer, questions, self.length, stride, max_question_length
        )
        if windows.truncated:
            warnings.warn(
                f"truncated {windows.truncated:,} of {counted(len(questions), 'question')} to "
                f"{windows.limit} tokens",
                # The warning names the caller of `Predictor.__call__`, past `predict`.
                stacklevel=3,
            )
        if not questions:
            return []
        find = self._joint_spans if self.is_joint else self._spans
        found, scores, no_answer_scores = find(windows, max_answer_length)
        contexts = [question.context for question in questions]
        places = answer_spans.characters(windows, contexts, found)
        answers = [
            Answer(context[start:end], start, end, float(score))
            for context, (start, end), score in zip(contexts, places, scores)
        ]
        if null_threshold is None:
            null_threshold = self.null_threshold
        return [
            Answer("", 0, 0, float(score)) if null > null_threshold else answer
            for answer, null, score in zip(answers, found.null_scores, no_answer_scores)
        ]

    def _spans(
        self, windows: QuestionWindows, longest: int
    ) -> tuple[AnswerSpans, np.ndarray, np.ndarray]:
        """Return the best spans, their probabilities, and those of no answer, `[questions]`."""
        starts, ends = self._logits(windows)
        found = answer_spans.find_spans(windows, starts, ends, longest)
        scores = _scores(windows, starts, ends, found.windows, found.first, found.last)
        cls = np.zeros_like(found.first)
        return found, scores, _scores(windows, starts, ends, found.null_windows, cls, cls)

    def _joint_spans(
        self, windows: QuestionWindows, longest: int
    ) -> tuple[AnswerSpans, np.ndarray, np.ndarray]:
        """Return what `_spans` does, for a model that scores ends given starts."""
        outputs = self._runner.run(_sequences(windows), longest=longest)
        found = answer_spans.best_windows(
            windows, *(np.array([output[name] for output in outputs]) for name in SPAN_ROWS)
        )
        return found, np.exp(found.scores), sigmoid(found.null_scores)

    def _logits(self, windows: QuestionWindows) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits of starts and ends, float32 `[windows, length]`."""
        outputs = self._runner.run(_sequences(windows))
        # Batches are padded to several lengths.
        starts, ends = np.zeros([2, len(windows), self.length], np.float32)
        for row, output in enumerate(outputs):
            size = len(output["start_logits"])
            starts[row, :size], ends[row, :size] = output["start_logits"], output["end_logits"]
        return starts, ends


def _sequences(windows: QuestionWindows) -> list[TokenSequence]:
    return [TokenSequence(*each) for each in zip(windows.ids, windows.type_ids)]


def _null_threshold(config: ElectraConfig) -> float:
    """Return the threshold of a model, infinity without one.

    Raises:
      InputError: it is no number.
    """
    value = config.extra.get(_NULL_THRESHOLD, math.inf)
    if type(value) not in (int, float) or math.isnan(value):
        raise InputError(
            f"{_NULL_THRESHOLD} in the configuration of the model must be a number, was "
            f"{shown(value)}: correct config.json, or remove the key"
        )
    return value


def _scores(
    windows: QuestionWindows,
    starts: np.ndarray,
    ends: np.ndarray,
    rows: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return the product of the probabilities of a start and an end, `[rows]`.

    Args:
      windows: all windows.
      starts, ends: their logits, `[windows, length]`.
      rows: some windows.
      first, last: position of the start and of the end in each of these.
    """
    positions = np.arange(starts.shape[1])
    begin = windows.positions[rows][:, np.newaxis]
    # An answer starts and ends at tokens of the context, or at [CLS], which means no answer.
    allowed = (positions >= begin) & (positions < begin + windows.counts[rows][:, np.newaxis])
    allowed[:, 0] = True
    each = np.arange(len(rows))
    start_scores = softmax(np.where(allowed, starts[rows], -np.inf))
    end_scores = softmax(np.where(allowed, ends[rows], -np.inf))
    return start_scores[each, first] * end_scores[each, last]
