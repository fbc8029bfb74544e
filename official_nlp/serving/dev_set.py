"""Measure on labeled examples what an export costs: a metric of the model, and of its export."""

import os
import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp.data.tables import labels
from official_nlp.data.tables.table import read_table
from official_nlp.data.tables.tagging_schemes import BIOES, IOB2, NONE
from official_nlp.errors import InputError
from official_nlp.inference.head import Head, label_names
from official_nlp.inference.multiple_choice import ChoiceRanker
from official_nlp.inference.predictor import Predictor
from official_nlp.inference.question_answering import QuestionAnswerer
from official_nlp.inference.sequence_classification import SequenceClassifier
from official_nlp.inference.token_classification import TokenClassifier
from official_nlp.inference.zero_shot import ZeroShotClassifier
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks.finetuning import predicted_texts
from official_nlp.tasks.finetuning.multiple_choice import ACCURACY, MultipleChoiceConfig
from official_nlp.tasks.finetuning.question_answering import QuestionAnsweringConfig
from official_nlp.tasks.finetuning.text_classification import TextClassificationConfig
from official_nlp.tasks.finetuning.token_classification import TokenClassificationConfig
from official_nlp.tasks.metrics import classification, entities, regression, squad

# Largest loss of the main metric: half a point of 100.
LARGEST_LOSS = 0.005

# A function of results, in the order of the inputs, that returns metrics, the main one first.
Metrics = Callable[[Sequence[Any]], Mapping[str, float]]


class DevSet:
    """Labeled examples of the task of a model.

    They are read as fine-tuning reads them, and predicted by the predictor, with the options that
    the model records.

    Args:
      predictor: the model: a classifier of texts or words, a regression, or a model for questions
        or multiple choice.
      path: file of examples with labels.

    Raises:
      InputError: the model is none of these, or the file cannot be read.
    """

    def __init__(self, predictor: Predictor, path: str | os.PathLike):
        self._predictor = predictor
        self._path = pathlib.Path(path)
        read = _reader(predictor.head)
        config = next(iter(predictor.parts.values())).config
        self._inputs, self._metrics = read(predictor.head, config, self._path)
        if not self._inputs:
            raise InputError(f"{self._path} must hold at least one example, holds none")

    def compare(self, exported: Predictor) -> dict[str, Any]:
        """Return the main metric of the model and of its export, by name of the metric.

        Args:
          exported: the predictor of the export.

        Returns:
          `{"file", "examples", "metric", "model", "exported"}`.

        Raises:
          InputError: the metric of the export is lower by more than `LARGEST_LOSS`.
        """
        own, other = self._measured(self._predictor), self._measured(exported)
        name, value = next(iter(own.items()))
        # Rounded, because 1 - 0.995 is more than 0.005 in binary. No number is refused too.
        if not round(value - other[name], 9) <= LARGEST_LOSS:
            raise InputError(
                f"the export must lose at most {LARGEST_LOSS} of {name} on {self._path}, but has "
                f"{other[name]:.4f}, and the model {value:.4f}; nothing was exported: use the "
                "format without int8, or measure on more examples"
            )
        return {
            "file": self._path.name,
            "examples": len(self._inputs),
            "metric": name,
            "model": value,
            "exported": other[name],
        }

    def _measured(self, predictor: Predictor) -> Mapping[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Both truncate the same texts.
            return self._metrics(predictor(self._inputs))


_Reader = Callable[[Any, ElectraConfig, pathlib.Path], tuple[list[Any], Metrics]]


def _reader(head: Head) -> _Reader:
    """Return the function that reads the inputs and makes the metrics of a head."""
    for kind, read in _READERS.items():
        if isinstance(head, kind):
            return read
    raise InputError(
        "labeled examples are for classifiers of texts or words, regressions, and models for "
        f"questions or multiple choice, and this model has the head {type(head).__name__}: leave "
        "--dev out"
    )


def _texts(
    head: SequenceClassifier | ZeroShotClassifier, config: ElectraConfig, path: pathlib.Path
) -> tuple[list[Any], Metrics]:
    table = read_table(path)
    trained = predicted_texts.fitted_value(config.extra, predicted_texts.COLUMNS, {})
    columns = trained if set(trained.values()) <= set(table.columns) else {}
    examples = TextClassificationConfig(**columns).examples_of(table).examples
    kind = getattr(head, "problem_type", labels.SINGLE_LABEL)
    names = label_names(config)
    if kind == labels.REGRESSION and len(names) > 1:
        raise InputError(
            f"labeled examples have one number, and this regression {len(names)}: leave --dev out"
        )
    problem = labels.Problem(kind, tuple(names))
    encoded = labels.encode(
        problem,
        [each.label for each in examples],
        lambda number: f"{path}, line {examples[number].line}",
    )
    inputs = [each.text if each.pair is None else (each.text, each.pair) for each in examples]
    targets = np.array(encoded.values)
    return inputs, lambda results: _text_metrics(problem, targets, results)


def _text_metrics(
    problem: labels.Problem, targets: np.ndarray, results: Sequence[Any]
) -> Mapping[str, float]:
    names = problem.labels
    if problem.kind == labels.REGRESSION:
        return regression.regression_metrics(targets, [each.value for each in results])
    if problem.kind == labels.MULTI_LABEL:
        predicted = np.array([[float(n in each.labels) for n in names] for each in results])
        return classification.multi_label_metrics(targets, predicted, np.full(len(names), 0.5))
    numbers = [names.index(each.label) for each in results]
    return classification.classification_metrics(targets, numbers, len(names))


def _words(
    head: TokenClassifier, config: ElectraConfig, path: pathlib.Path
) -> tuple[list[Any], Metrics]:
    column = predicted_texts.fitted_value(config.extra, predicted_texts.TOKEN_COLUMN, 0)
    scheme = _scheme(head.labels)
    settings = TokenClassificationConfig(token_column=column, scheme=scheme)
    sentences = settings.read(path).examples
    tags = [settings.converted(each) for each in sentences]

    def metrics(results: Sequence[Any]) -> Mapping[str, float]:
        predicted = [each.tags for each in results]
        if scheme == NONE:
            return {entities.TOKEN_ACCURACY: entities.token_accuracy(tags, predicted)}
        return entities.entity_metrics(tags, predicted)

    return [list(each.tokens) for each in sentences], metrics


def _scheme(names: Sequence[str]) -> str:
    """Return the scheme of the labels of a model."""
    if not all(map(entities.marks_entities, names)):
        return NONE
    return BIOES if any(name.startswith(("E-", "S-")) for name in names) else IOB2


def _questions(
    head: QuestionAnswerer, config: ElectraConfig, path: pathlib.Path
) -> tuple[list[Any], Metrics]:
    questions = QuestionAnsweringConfig().read(path).examples

    def metrics(results: Sequence[Any]) -> Mapping[str, float]:
        answers = {each.id: result.answer for each, result in zip(questions, results)}
        return squad.squad_metrics(answers, questions)

    return [(each.question, each.context) for each in questions], metrics


def _choices(
    head: ChoiceRanker, config: ElectraConfig, path: pathlib.Path
) -> tuple[list[Any], Metrics]:
    examples = MultipleChoiceConfig().read(path).examples

    def metrics(results: Sequence[Any]) -> Mapping[str, float]:
        right = [each.label == result.choice for each, result in zip(examples, results)]
        return {ACCURACY: float(np.mean(right))}

    return [{"text": each.text, "choices": list(each.choices)} for each in examples], metrics


_READERS: Mapping[type, _Reader] = {
    SequenceClassifier: _texts,
    ZeroShotClassifier: _texts,
    TokenClassifier: _words,
    QuestionAnswerer: _questions,
    ChoiceRanker: _choices,
}
