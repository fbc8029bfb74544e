"""Classification of one or two texts, by one label or several, and regression."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data import label_prompts
from official_nlp.data.tables import columns, labels, table
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForSequenceClassification
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.ranges import ByName, Choice, Flag, ListOf, Number, OrNone, Text
from official_nlp.tasks.finetuning import class_weights, encoding, predicted_texts, run_page
from official_nlp.tasks.finetuning import config as shared
from official_nlp.tasks.finetuning.batches import DOCUMENT
from official_nlp.tasks.finetuning.class_weights import ClassWeights
from official_nlp.tasks.finetuning.data import ExampleSet, ReadFile, TaskData
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.predicted_texts import TRUNCATE, WINDOWS
from official_nlp.tasks.finetuning.run_page import Section
from official_nlp.tasks.finetuning.task import FinetuningTask
from official_nlp.tasks.metrics import classification, regression
from official_nlp.tasks.probabilities import sigmoid, softmax
from official_nlp.training.task import Batch, Rows

SINGLE, MULTI, REGRESSION = labels.KINDS
_METRICS = {
    SINGLE: ("accuracy", "f1", "matthews_correlation"),
    MULTI: ("micro_f1", "micro_precision", "micro_recall", "macro_f1", "exact_match"),
    REGRESSION: ("pearson", "spearman", "mean_squared_error"),
}
REPLACED_TOKEN = "replaced_token"
# Values in place of labels in files to predict, such as those of GLUE.
_NO_LABEL = {"-1", "-1.0", "", "None"}


class TextExample(NamedTuple):
    """A row of a table.

    Attributes:
      text, pair: the texts; `pair` is None where the task has one text.
      label: value of the label column: text, a number, or a list of labels.
      line: line of the file.
    """

    text: str
    pair: str | None
    label: Any
    line: int


@dataclasses.dataclass(frozen=True)
class TextClassificationConfig(shared.FinetuningConfig):
    """Settings of the classification of texts; see `FinetuningConfig` for further fields.

    Columns, labels and the type of the problem are inferred from the training file where they are
    None, and then recorded.

    Attributes:
      text, text_pair, label: names of columns.
      labels: names of the labels in order of their numbers.
      problem_type: `single_label_classification`, `multi_label_classification` or `regression`, as
        in `ElectraConfig`.
      head: `linear`, dropout and one layer on [CLS], the head of the paper's experiments; `dense`,
        the head of Hugging Face, which has another layer before it; or `replaced_token`, that of
        the pretrained discriminator, which judges the words of labels in a template.
      class_weights: weight of each label in the loss: a mapping, or `auto`, inversely proportional
        to the frequency of a label in the training set; None for 1 each. For a single label. Made
        for data, it has the weight of every label.
      long_texts: `truncate`, or `windows`: divide a long text into overlapping windows, each with
        the label of the text; the probabilities of a text are the means over its windows.
      value_range: smallest and largest value of a regression, within which predictions are; None
        for any.
      predictions: names of the files of predictions by test set without labels; None for SET.tsv.
      separator, header, label_separator: format of a table, see `data.tables`; None to infer it.
      template: sentence with `{text}`, `{label}` and, for two texts, `{text_pair}`; None for
        "{text} It was {label}." For `replaced_token`.
      label_words: word of each label in the template; None for the names of the labels. For
        `replaced_token`.
    """

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    labels: Sequence[str] | None = None
    problem_type: str | None = None
    head: str = "linear"
    class_weights: ClassWeights = None
    long_texts: str = TRUNCATE
    value_range: Sequence[float] | None = None
    predictions: Mapping[str, str] | None = None
    separator: str | None = None
    header: bool | None = None
    label_separator: str | None = None
    template: str | None = None
    label_words: Mapping[str, str] | None = None

    @classmethod
    def _ranges(cls) -> Mapping[str, ranges.Range]:
        return {
            **shared.RANGES,
            "text": OrNone(Text()),
            "text_pair": OrNone(Text()),
            "label": OrNone(Text()),
            "labels": OrNone(ListOf(Text())),
            "problem_type": OrNone(Choice(labels.KINDS)),
            "head": Choice(("linear", "dense", REPLACED_TOKEN)),
            "class_weights": class_weights.RANGE,
            "long_texts": Choice((TRUNCATE, WINDOWS)),
            "value_range": OrNone(ListOf(Number(-1e12, 1e12), least=2)),
            "predictions": OrNone(ByName(Text())),
            "separator": OrNone(Choice((",", ";", "\t", "|"))),
            "header": OrNone(Flag()),
            "corrupt_records": Choice(("stop", "skip")),
            "label_separator": OrNone(Text()),
            "template": OrNone(Text()),
            "label_words": OrNone(ByName(Text())),
        }

    def __post_init__(self):
        super().__post_init__()
        values = self.value_range
        if values is not None and (len(values) > 2 or values[0] >= values[1]):
            raise InputError(
                f"value_range must be a smallest and a larger largest value, was "
                f"{ranges.shown(list(values))}"
            )
        for name in (self.predictions or {}).values():
            # A recipe of unknown origin must not write outside the run.
            if pathlib.PurePath(name).name != name:
                raise InputError(
                    f"predictions must name files without folders, named {ranges.shown(name)}: "
                    "they are written into RUN/predictions"
                )
        self._check_head()

    def _check_head(self) -> None:
        if self.head == REPLACED_TOKEN:
            label_prompts.Template(self.label_template)
            if self.long_texts == WINDOWS:
                raise InputError(
                    f"LONG_TEXTS=windows is not for HEAD={REPLACED_TOKEN}, whose template belongs "
                    "to a whole text: use LONG_TEXTS=truncate"
                )
        elif self.template is not None or self.label_words is not None:
            raise InputError(
                f"template and label_words are for head={REPLACED_TOKEN!r}, but head was "
                f"{self.head!r}: leave TEMPLATE and LABEL_WORDS out, or give HEAD={REPLACED_TOKEN}"
            )

    @property
    def label_template(self) -> str:
        """The template of `replaced_token`, also where it is the default."""
        return label_prompts.TEMPLATE if self.template is None else self.template

    @property
    def architecture(self) -> str:
        """The discriminator for its own head; else any encoder."""
        return "ElectraForPreTraining" if self.head == REPLACED_TOKEN else ""

    def _table(self, path: pathlib.Path) -> table.Table:
        return table.read_table(path, **self.reading_options)

    @property
    def reading_options(self) -> Mapping[str, Any]:
        return {
            "separator": self.separator,
            "header": self.header,
            "skip_broken_rows": self.corrupt_records == "skip",
        }

    def read(self, path: pathlib.Path) -> ReadFile:
        return self.examples_of(self._table(path))

    def examples_of(self, found: table.Table) -> ReadFile:
        """Return the examples of a table."""
        chosen = columns.infer_columns(found, self.text, self.text_pair, self.label)
        # Columns are chosen with labels, so that there is one.
        label = chosen.label or ""
        examples = [
            TextExample(
                row[chosen.text],
                row[chosen.text_pair] if chosen.text_pair else None,
                row[label],
                line,
            )
            for row, line in zip(found.rows, found.lines)
        ]
        named = {"text": chosen.text, "text_pair": chosen.text_pair, "label": chosen.label}
        used = {role: name for role, name in named.items() if name is not None}
        return ReadFile(examples, [*found.notes, *chosen.notes], used)

    def lacks_labels(self, path: pathlib.Path, train: ExampleSet | None) -> bool:
        found = self._table(path)
        # Test files of GLUE differ in columns from the training files; CoLA's has a header.
        given = {"text": self.text, "text_pair": self.text_pair, "label": self.label}
        known = {**(train.columns if train else {}), **{n: x for n, x in given.items() if x}}
        if "label" not in known:
            chosen = columns.infer_columns(found, self.text, self.text_pair, needs_label=False)
            known = {"label": chosen.label} if chosen.label else {}
        if not known or not set(known.values()) <= set(found.columns):
            return True
        seen = {str(example.label) for example in train.examples} if train else set()
        missing = _NO_LABEL - seen
        return all(str(value) in missing for value in found.values(known["label"]))

    def predictions_file(self, set_name: str) -> str:
        return (self.predictions or {}).get(set_name, super().predictions_file(set_name))

    def key(self, example: TextExample) -> str:
        return f"{example.text}\0{example.pair or ''}"

    @property
    def task_class(self) -> type["TextClassification"]:
        # It is derived from `TextClassification`.
        from official_nlp.tasks.finetuning.label_words import LabelWordClassification

        return LabelWordClassification if self.head == REPLACED_TOKEN else TextClassification

    def for_data(self, data: TaskData) -> "TextClassificationConfig":
        """Return this configuration with the labels and the type of problem of the data."""
        config = self._for_labels(data, data.train) if data.train else self
        if self.head == REPLACED_TOKEN:
            from official_nlp.tasks.finetuning import label_words

            config = label_words.completed(config, data)
        return config

    def _for_labels(self, data: TaskData, train: ExampleSet) -> "TextClassificationConfig":
        if self.labels and self.problem_type:
            problem = labels.Problem(self.problem_type, tuple(self.labels))
        else:
            problem = labels.infer_problem(
                [example.label for example in train.examples],
                self.problem_type,
                self.label_separator,
                _where(train),
            )
            if self.labels:  # Labels that are given have the order that is given.
                problem = dataclasses.replace(problem, labels=tuple(self.labels))
            data.add_notes(problem.notes)
        network, _ = self.require_network()
        names = problem.labels or (self.label or "value",)  # A regression has one output.
        recorded: dict[str, Any] = {}
        used = {role: name for role, name in train.columns.items() if role != "label"}
        if used:
            recorded[predicted_texts.COLUMNS] = used
        if self.value_range is not None:
            if problem.kind != REGRESSION:
                raise InputError(
                    f"value_range is for {REGRESSION}, but the problem is {problem.kind}: leave "
                    "VALUE_RANGE out"
                )
            recorded[predicted_texts.VALUE_RANGE] = list(self.value_range)
        network = network.replace(
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            problem_type=problem.kind,
            extra={**network.extra, **recorded},
        )
        if self.class_weights is not None and problem.kind != SINGLE:
            raise InputError(
                f"class_weights are for {SINGLE}, but the problem is {problem.kind}: leave "
                "CLASS_WEIGHTS out"
            )
        return dataclasses.replace(
            self,
            network=network,
            labels=tuple(problem.labels),
            problem_type=problem.kind,
            class_weights=_resolved_weights(self.class_weights, problem, data),
        )


def _where(examples: ExampleSet) -> Callable[[int], str]:
    """Return a function of the number of an example that names its file and line."""
    return lambda number: f"{examples.path}, line {examples.examples[number].line}"


def _resolved_weights(
    given: ClassWeights, problem: labels.Problem, data: TaskData
) -> dict[str, float] | None:
    """Return the weight of each label in the loss, from its number of training examples."""
    if given is None:
        return None
    assert data.train is not None
    values = [example.label for example in data.train.examples]
    classes = labels.encode(problem, values, _where(data.train)).values
    counts = np.bincount(np.array(classes, np.int64), minlength=len(problem.labels))
    found = class_weights.resolve(given, problem.labels, counts)
    data.add_notes(class_weights.note(given, found))
    return found


class TextClassification(FinetuningTask):
    """Trains a classifier of one or two texts, or a regression; see `FinetuningTask`.

    Metrics: accuracy, F1 (of the second of two labels, else the mean over labels) and Matthews
    correlation; for several labels the F1 over all decisions; for a regression Pearson and Spearman
    correlation.
    """

    model_class: type[ElectraFor] = ElectraForSequenceClassification
    config: TextClassificationConfig

    @property
    def _problem(self) -> labels.Problem:
        kind, names = self.config.problem_type, self.config.labels
        if kind is None or names is None:
            raise InputError("a task without training data needs labels and problem_type")
        return labels.Problem(kind, tuple(names), separator=self.config.label_separator)

    def make_model(self) -> ElectraFor:
        model = ElectraForSequenceClassification(
            self.network, recompute=self.recompute, head=self.config.head
        )
        if self._problem.kind == REGRESSION and self._data and self._data.train:
            # The first steps would otherwise only move all predictions to the mean.
            targets = self._features_of(self._data.train).labels["labels"]
            model.classifier.out_proj.bias.assign([float(targets.mean())])
        return model

    def features(self, examples: ExampleSet) -> Features:
        texts = [(each.text, each.pair) for each in examples.examples]
        windows = self.config.long_texts == WINDOWS
        encode = encoding.in_windows if windows else encoding.truncated
        encoded = encode(self.tokenizer, texts, self.config.length)
        targets = self._targets(examples)
        weights = class_weights.array(self.config.class_weights, self.config.labels or ())
        return Features.of_sequences(
            encoded.ids,
            encoded.type_ids,
            encoded.examples,
            {"labels": targets[encoded.examples]},
            weights=None if weights is None else weights[targets[encoded.examples]],
            truncated=encoded.truncated,
        )

    def _targets(self, examples: ExampleSet) -> np.ndarray:
        """Return classes int32 `[examples]`, numbers float32, or float32 `[examples, labels]`."""
        values = [each.label for each in examples.examples]
        targets = labels.encode(self._problem, values, _where(examples))
        return np.array(targets.values, np.int32 if self._problem.kind == SINGLE else np.float32)

    # === Evaluation ===

    def evaluate_rows(self, outputs: Mapping[str, tf.Tensor], batch: Batch) -> Rows:
        return {"logits": outputs["logits"], "labels": batch["labels"]}

    def metrics(self) -> Sequence[str]:
        return _METRICS[self._problem.kind]

    def metrics_of(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        first, predictions = self._by_document(rows)
        targets = rows["labels"][first]
        if self._problem.kind == REGRESSION:
            return regression.regression_metrics(targets, predictions[:, 0])
        if self._problem.kind == MULTI:
            halves = np.full(predictions.shape[1], 0.5)
            return classification.multi_label_metrics(targets, predictions, halves)
        predicted = predictions.argmax(axis=1)
        return classification.classification_metrics(targets, predicted, predictions.shape[1])

    def _by_document(self, rows: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the first row of each example, and its prediction: the mean over its windows."""
        values = rows["logits"].astype(np.float64)
        if self._problem.kind == REGRESSION:
            values = predicted_texts.limited(values, self.config.value_range)
        else:
            values = (softmax if self._problem.kind == SINGLE else sigmoid)(values)
        _, first, counts = np.unique(rows[DOCUMENT], return_index=True, return_counts=True)
        sums = np.add.reduceat(values, first, axis=0)
        return first, sums / counts[:, np.newaxis]

    # === After training ===

    def fit_on_dev(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return the temperature that calibrates probabilities, or the thresholds of labels."""
        first, predictions = self._by_document(rows)
        fitted: dict[str, Any] = {}
        if self.config.long_texts == WINDOWS:
            fitted[predicted_texts.LONG_TEXTS] = WINDOWS
        if self._problem.kind == SINGLE:
            logits = predicted_texts.logits_of(predictions)
            found = classification.temperature(logits, rows["labels"][first])
            fitted[predicted_texts.TEMPERATURE] = round(found, 4)
        if self._problem.kind == MULTI:
            thresholds = classification.best_thresholds(rows["labels"][first], predictions)
            names = self._problem.labels
            fitted[predicted_texts.THRESHOLDS] = dict(zip(names, thresholds.round(4).tolist()))
        return fitted

    def page_sections(self, set_name: str, rows: Mapping[str, np.ndarray]) -> list[Section]:
        first, predictions = self._by_document(rows)
        examples = self.examples_of(set_name).examples
        texts = [" / ".join(filter(None, (each.text, each.pair))) for each in examples]
        targets = rows["labels"][first]
        if self._problem.kind == REGRESSION:
            return [run_page.largest_differences(texts, targets, predictions[:, 0])]
        if self._problem.kind == MULTI:
            return [run_page.label_table(self._problem.labels, targets, predictions >= 0.5)]
        return [
            run_page.confusion_matrix(self._problem.labels, targets, predictions),
            run_page.calibration(targets, predictions),
            run_page.worst_errors(self._problem.labels, texts, targets, predictions),
        ]

    def baselines(self) -> Mapping[str, float]:
        """Return the metrics of the most frequent label of the training set, or of its mean."""
        if not self._data or not self._data.train or self._problem.kind != SINGLE:
            return {}
        train = self._targets(self._data.train)
        majority = int(np.bincount(train).argmax())
        found: dict[str, float] = {}
        for name, each in self._data.dev.items():
            targets = self._targets(each)
            constant = np.full_like(targets, majority)
            metrics = classification.classification_metrics(
                targets, constant, len(self.config.labels or ())
            )
            found |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return found
