"""Question answering: the span of a context that answers a question, or none, as in SQuAD."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data import answer_spans, question_windows
from official_nlp.data.question_windows import QuestionWindows, TokenAnswers
from official_nlp.data.tables.squad import Question, read_squad
from official_nlp.errors import InputError
from official_nlp.modeling.models import (
    ElectraFor,
    ElectraForJointQuestionAnswering,
    ElectraForQuestionAnswering,
)
from official_nlp.output import counted
from official_nlp.ranges import Choice, Flag, Integer, Number, OrNone
from official_nlp.tasks.finetuning import config as shared
from official_nlp.tasks.finetuning import run_page
from official_nlp.tasks.finetuning.data import ExampleSet, ReadFile, TaskData
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.joint_spans import SPAN_ROWS, best_joint_spans
from official_nlp.tasks.finetuning.run_page import Section
from official_nlp.tasks.finetuning.task import FinetuningTask
from official_nlp.tasks.metrics import squad
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig
from official_nlp.training.task import Batch, DataByPath, Rows, Sums

# Row with the number of the set of a feature: metrics need the contexts and answers of the set.
_SET = "question_set"
# Heads.
LINEAR, JOINT = "linear", "joint"
# Metric, and key of config.json: the score of no answer above which a question is left unanswered.
NULL_THRESHOLD = "null_threshold"
_LARGEST_LOGIT = 1e6
_ERRORS = 30  # Errors that the page of a run shows.


@dataclasses.dataclass(frozen=True)
class QuestionAnsweringConfig(shared.FinetuningConfig):
    """Settings of question answering; see `FinetuningConfig` for further fields.

    Attributes:
      length: largest number of tokens of a sequence. A context that does not fit beside its
        question is divided into overlapping windows.
      stride: number of tokens that neighbouring windows share.
      max_question_length: largest number of tokens of a question; longer ones are truncated.
      max_answer_length: largest number of tokens of a predicted answer.
      version_2: whether questions may have no answer; None: whether some of the data have none.
      null_threshold: a question is left unanswered if its score of no answer is above this: the
        logits of no answer minus those of the best span, or the negative logit of an answer of the
        joint head. None for the value with the best F1 on the development set. Without effect
        unless questions may have no answer.
      head: `linear`, one layer that scores starts and ends; or `joint`, the head of
        google-research/electra, which scores ends given a start and whether there is an answer.
    """

    length: int = 512
    stride: int = 128
    max_question_length: int = 64
    max_answer_length: int = 30
    version_2: bool | None = None
    null_threshold: float | None = None
    head: str = LINEAR

    @classmethod
    def _ranges(cls) -> Mapping[str, ranges.Range]:
        return {
            **shared.RANGES,
            "stride": Integer(0, 1_000_000),
            "max_question_length": Integer(1, 1_000_000),
            "max_answer_length": Integer(1, 1_000_000),
            "version_2": OrNone(Flag()),
            "null_threshold": OrNone(Number(-_LARGEST_LOGIT, _LARGEST_LOGIT)),
            "head": Choice((LINEAR, JOINT)),
        }

    # === Data ===

    def read(self, path: pathlib.Path) -> ReadFile:
        found = read_squad(path)
        return ReadFile(found.questions, list(found.notes))

    def lacks_labels(self, path: pathlib.Path, train: ExampleSet | None) -> bool:
        questions = read_squad(path, needs_answers=False).questions
        return not any(question.answers or question.impossible for question in questions)

    def predictions_file(self, set_name: str) -> str:
        return f"{set_name}.json"

    @property
    def prediction_options(self) -> Mapping[str, Any]:
        names = ("stride", "max_question_length", "max_answer_length")
        return {name: getattr(self, name) for name in names}

    def key(self, example: Question) -> str:
        return example.context

    def count_features(self, examples: ExampleSet) -> int:
        return len(self.windows(examples))

    def windows(self, examples: ExampleSet) -> QuestionWindows:
        """Return the windows of the questions of a set; they are made once."""
        settings = (self.length, self.stride, self.max_question_length)
        if settings not in examples.cache:
            _, tokenizer = self.require_network()
            questions = [(each.question, each.context) for each in examples.examples]
            try:
                windows = question_windows.make_windows(tokenizer, questions, *settings)
            except InputError as error:
                raise InputError(f"{examples.path}: {error}") from error
            examples.cache[settings] = windows
        return examples.cache[settings]

    def token_answers(self, examples: ExampleSet) -> TokenAnswers:
        """Return the tokens of the first answer to each question, on which a model is trained."""
        questions: Sequence[Question] = examples.examples
        spans = [
            (each.answers[0].start, each.answers[0].start + len(each.answers[0].text))
            if each.answers
            else None
            for each in questions
        ]
        contexts = [each.context for each in questions]
        windows = self.windows(examples)
        return question_windows.locate_answers(windows, contexts, spans, self.max_answer_length)

    def preflight(
        self,
        data: DataByPath,
        phases: Sequence[PhaseConfig],
        training: TrainingConfig,
        devices: Devices,
    ) -> Findings:
        findings = super().preflight(data, phases, training, devices)
        own = data[None]
        assert isinstance(own, TaskData)
        for name, examples in {"training": own.train, **own.dev, **own.test}.items():
            if examples:
                findings += self._findings(name, examples)
        return findings

    def _findings(self, name: str, examples: ExampleSet) -> Findings:
        """Return what the windows of a set hold, and what they leave out."""
        windows, answers = self.windows(examples), self.token_answers(examples)
        questions = counted(len(examples.examples), "question")
        lines = [f"{name}: {questions} in {counted(len(windows), 'window')}"]
        if answers.inexact:
            lines.append(
                f"{name}: {counted(answers.inexact, 'answer')} beginning or ending within a token, "
                "for which the whole token stands"
            )
        left_out = [
            (windows.truncated, "question", f"of more than {windows.limit} tokens, truncated"),
            (
                int((~answers.aligned).sum()),
                "answer",
                "without a token of this vocabulary, whose question is not trained on",
            ),
            (
                answers.long,
                "answer",
                f"of more than max_answer_length={self.max_answer_length} tokens, which cannot be "
                "predicted",
            ),
            (answers.divided, "answer", "divided by all windows, trained on as no answer"),
        ]
        warnings = [
            f"{name}: {counted(count, noun)} {text}" for count, noun, text in left_out if count
        ]
        return Findings((), tuple(warnings), tuple(lines))

    # === Task ===

    @property
    def task_class(self) -> type["QuestionAnswering"]:
        return QuestionAnswering

    def for_data(self, data: TaskData) -> "QuestionAnsweringConfig":
        """Return this configuration with the version of the data."""
        if not data.train:
            return self
        sets = [examples for examples in (data.train, *data.dev.values()) if examples]
        impossible = sum(question.impossible for each in sets for question in each.examples)
        if impossible and self.version_2 is False:
            raise InputError(
                f"version_2 must be true or left out, because of "
                f"{counted(impossible, 'question')} without an answer; was false"
            )
        if self.version_2 is not None:
            return self
        return dataclasses.replace(self, version_2=bool(impossible))


class QuestionAnswering(FinetuningTask):
    """Trains a model to answer questions by spans of their contexts; see `FinetuningTask`.

    A window is labeled with the first and the last token of the first answer to its question. A
    window that does not hold the answer is labeled with [CLS], also in SQuAD 1.1, as in BERT and
    google-research/electra: else nothing would make the logits of its spans low.

    Metrics: exact match and F1 over all answers of a question, as fractions. Where questions may
    have no answer, also of the questions with and without an answer, and the null threshold: the
    given one, or the one with the best F1 on the set. A test set has that of the development set.

    Reference: Devlin et al. 2019 (arXiv 1810.04805), sections 4.2 and 4.3.
    """

    config: QuestionAnsweringConfig

    def __init__(self, config: QuestionAnsweringConfig, *args: Any, **keywords: Any):
        super().__init__(config, *args, **keywords)
        self._is_joint = config.head == JOINT
        self.model_class = (
            ElectraForJointQuestionAnswering if self._is_joint else ElectraForQuestionAnswering
        )
        positions = ("start_positions", "end_positions")
        self.label_names = (*positions, "is_impossible") if self._is_joint else positions
        self._sets: list[ExampleSet] = []  # In the order of their numbers in the row `_SET`.
        self._dev_threshold: float | None = None

    def features(self, examples: ExampleSet) -> Features:
        windows = self.config.windows(examples)
        answers = self.config.token_answers(examples)
        number = len(self._sets)
        self._sets.append(examples)
        labels = {
            "start_positions": answers.start,
            "end_positions": answers.end,
            # Of the window, as the positions are: the answer may be in another one.
            "is_impossible": (answers.end == 0).astype(np.int32),
            _SET: np.full(len(windows), number, np.int32),
        }
        return Features.of_sequences(
            windows.ids,
            windows.type_ids,
            windows.questions,
            labels,
            # Without a token there is nothing to learn; [CLS] would be wrong.
            weights=answers.aligned[windows.questions],
            truncated=windows.truncated,
        )

    # === Evaluation ===

    def metrics(self) -> Sequence[str]:
        names = ["exact_match", "f1"]
        if not self.config.version_2:
            return names
        kinds = [f"{kind}_{name}" for kind in ("has_answer", "no_answer") for name in names]
        return [*names, *kinds, NULL_THRESHOLD]

    def inputs_of(self, batch: Batch) -> dict[str, tf.Tensor]:
        inputs = super().inputs_of(batch)
        # The loss of the end is that given the true start.
        return {**inputs, "start_index": batch["start_positions"]} if self._is_joint else inputs

    def evaluate(self, model: ElectraFor, batch: Batch) -> tuple[Sums, Rows]:
        sums, rows = super().evaluate(model, batch)
        if self._is_joint:
            # Predictions do not see the true start.
            inputs = super().inputs_of(batch)
            outputs = model(inputs, training=False)
            rows |= best_joint_spans(outputs, inputs, self.config.max_answer_length)
        return sums, rows

    def evaluate_rows(self, outputs: Mapping[str, tf.Tensor], batch: Batch) -> Rows:
        if self._is_joint:
            return {_SET: batch[_SET]}
        logits = {name: self._padded(outputs[name]) for name in ("start_logits", "end_logits")}
        return {**logits, _SET: batch[_SET]}

    def _padded(self, logits: tf.Tensor) -> tf.Tensor:
        """Return logits of the length of the longest sequences, `[batch, config.length]`."""
        length = self.config.length
        padded = tf.pad(logits, [[0, 0], [0, length - tf.shape(logits)[1]]])
        return tf.ensure_shape(padded, [None, length])

    def metrics_of(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        examples = self._sets[int(rows[_SET][0])]
        predictions, null_scores = self._predictions(examples, rows)
        questions: Sequence[Question] = examples.examples
        if not self.config.version_2:
            return squad.squad_metrics(predictions, questions)
        threshold = self._threshold(examples, predictions, null_scores)
        predictions = squad.apply_null_threshold(predictions, null_scores, threshold)
        return {**squad.squad_metrics(predictions, questions), NULL_THRESHOLD: threshold}

    def _predictions(
        self, examples: ExampleSet, rows: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, str], dict[str, float]]:
        """Return the best span of each question, and its score of no answer, by id."""
        windows = self.config.windows(examples)
        if self._is_joint:
            spans = answer_spans.best_windows(windows, *(rows[name] for name in SPAN_ROWS))
        else:
            longest = self.config.max_answer_length
            spans = answer_spans.find_spans(
                windows, rows["start_logits"], rows["end_logits"], longest
            )
        questions: Sequence[Question] = examples.examples
        contexts = [each.context for each in questions]
        places = answer_spans.characters(windows, contexts, spans)
        texts = {each.id: each.context[start:end] for each, (start, end) in zip(questions, places)}
        return texts, {each.id: float(x) for each, x in zip(questions, spans.null_scores)}

    def _threshold(
        self,
        examples: ExampleSet,
        predictions: Mapping[str, str],
        null_scores: Mapping[str, float],
    ) -> float:
        if self.config.null_threshold is not None:
            return self.config.null_threshold
        dev, test = (self._data.dev, self._data.test) if self._data else ({}, {})
        # Development sets are evaluated before test sets.
        if self._dev_threshold is not None and any(examples is each for each in test.values()):
            return self._dev_threshold
        best = squad.best_null_threshold(predictions, null_scores, examples.examples)
        if examples is next(iter(dev.values()), None):
            self._dev_threshold = best
        return best

    def baselines(self) -> Mapping[str, float]:
        """Return the metrics of leaving all questions unanswered."""
        if not self._data or not self.config.version_2:
            return {}
        found: dict[str, float] = {}
        for name, examples in self._data.dev.items():
            impossible = sum(question.impossible for question in examples.examples)
            fraction = impossible / len(examples.examples)
            found |= {f"{name}/exact_match": fraction, f"{name}/f1": fraction}
        return found

    # === After training ===

    def fit_on_dev(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return the null threshold, where questions may have no answer."""
        threshold = self.metrics_of(rows).get(NULL_THRESHOLD)
        return {} if threshold is None else {NULL_THRESHOLD: threshold}

    def page_sections(self, set_name: str, rows: Mapping[str, np.ndarray]) -> list[Section]:
        examples = self.examples_of(set_name)
        predictions, null_scores = self._predictions(examples, rows)
        if self.config.version_2:
            threshold = self._threshold(examples, predictions, null_scores)
            predictions = squad.apply_null_threshold(predictions, null_scores, threshold)
        questions: Sequence[Question] = examples.examples
        wrong = []
        for question in questions:
            score = squad.f1(predictions[question.id], [text for text, _ in question.answers])
            if score < 1:
                wrong.append((score, question))
        # Of equally bad ones those that are most certain to have an answer come first.
        wrong.sort(key=lambda each: (each[0], null_scores[each[1].id]))
        body = run_page.table(
            ["F1", "question", "answers", "predicted", "context"],
            [
                [
                    f"{score:.2f}",
                    q.question,
                    "; ".join(dict.fromkeys(text for text, _ in q.answers)) or "(none)",
                    predictions[q.id] or "(none)",
                    run_page.shortened(q.context),
                ]
                for score, q in wrong[:_ERRORS]
            ],
        )
        answers = counted(len(wrong), "wrong answer")
        title = f"Worst of {answers} to {counted(len(questions), 'question')}"
        return [Section(title, body)]
