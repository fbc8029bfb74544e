"""Classification of words: named entities, chunks, parts of speech."""

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data.tables import conll, tagging_schemes
from official_nlp.data.tables.conll import Sentence
from official_nlp.data.tables.content import listed
from official_nlp.data.tables.tagging_schemes import BIOES, IOB2, NONE, OUTSIDE
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForTokenClassification
from official_nlp.modeling.models.electra_for import IGNORED_LABEL
from official_nlp.output import counted
from official_nlp.ranges import Choice, Integer, ListOf, OrNone, Text
from official_nlp.tasks.finetuning import class_weights, predicted_texts, run_page, word_windows
from official_nlp.tasks.finetuning import config as shared
from official_nlp.tasks.finetuning.batches import DOCUMENT
from official_nlp.tasks.finetuning.class_weights import ClassWeights
from official_nlp.tasks.finetuning.data import ExampleSet, ReadFile, TaskData
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.run_page import Section
from official_nlp.tasks.finetuning.task import FinetuningTask
from official_nlp.tasks.metrics import entities
from official_nlp.tasks.metrics.entities import TOKEN_ACCURACY
from official_nlp.training.task import Batch, Rows

# Prefixes of the tags of an entity in the schemes that a model learns.
_PREFIXES = {IOB2: "BI", BIOES: "BIES"}


@dataclasses.dataclass(frozen=True)
class TokenClassificationConfig(shared.FinetuningConfig):
    """Settings of the classification of words; see `FinetuningConfig` for further fields.

    Scheme and labels are inferred from the training file where they are None, and then recorded.

    Attributes:
      token_column, tag_column: columns of the words and of their tags, counted from 0; negative
        from the last one.
      scheme: scheme of the labels, `IOB2` or `BIOES`, into which the tags of all files are
        converted; or `none` for tags that mark no entities, such as parts of speech. Inferred, it
        is that of the training file, with IOB2 in place of IOB1.
      labels: names of the labels in order of their numbers. Inferred, they are O, and for each type
        of entity in alphabetical order a label of each prefix; without a scheme, all tags in
        alphabetical order.
      class_weights: weight of each label in the loss: a mapping, or `auto`, inversely proportional
        to the frequency of a label among the words of the training set; None for 1 each. Made for
        data, it has the weight of every label.
    """

    token_column: int = 0
    tag_column: int = -1
    scheme: str | None = None
    labels: Sequence[str] | None = None
    class_weights: ClassWeights = None

    @classmethod
    def _ranges(cls) -> Mapping[str, ranges.Range]:
        return {
            **shared.RANGES,
            "token_column": Integer(-1000, 1000),
            "tag_column": Integer(-1000, 1000),
            "scheme": OrNone(Choice((IOB2, BIOES, NONE))),
            "labels": OrNone(ListOf(Text(), least=2)),
            "class_weights": class_weights.RANGE,
        }

    def __post_init__(self):
        super().__post_init__()
        if self.labels and len(set(self.labels)) < len(self.labels):
            raise InputError(f"labels must be distinct names, were {listed(list(self.labels))}")

    # === Data ===

    def count_features(self, examples: ExampleSet) -> int:
        return len(self.encode(examples).ids)

    def encode(self, examples: ExampleSet) -> word_windows.EncodedWords:
        """Return the token sequences of sentences, see `word_windows.in_windows`."""
        _, tokenizer = self.require_network()
        words = [each.tokens for each in examples.examples]
        return word_windows.in_windows(tokenizer, words, self.length)

    def read(self, path: pathlib.Path) -> ReadFile:
        found = conll.read_conll(path, self.token_column, self.tag_column)
        return ReadFile(found.sentences, list(found.notes))

    def lacks_labels(self, path: pathlib.Path, train: ExampleSet | None) -> bool:
        return not conll.has_tags(path, self.token_column, self.tag_column)

    @property
    def reading_options(self) -> Mapping[str, Any]:
        return {"format": "conll"}  # Whatever its name is.

    def predictions_file(self, set_name: str) -> str:
        return f"{set_name}.jsonl"  # A table has no room for entities.

    def key(self, example: Sentence) -> str:
        return "\n".join(example.tokens)

    @property
    def task_class(self) -> type["TokenClassification"]:
        return TokenClassification

    def for_data(self, data: TaskData) -> "TokenClassificationConfig":
        """Return this configuration with the scheme and the labels of the training set."""
        config = self._for_tags(data) if data.train else self
        config._check(data)
        return config._with_class_weights(data) if data.train else config

    def _for_tags(self, data: TaskData) -> "TokenClassificationConfig":
        """Return this configuration with the scheme and the labels of the training set."""
        train = data.train
        assert train is not None
        tags = [sentence.tags for sentence in train.examples]
        scheme = self.scheme or tagging_schemes.scheme_of(tags)
        scheme = IOB2 if scheme == tagging_schemes.IOB1 else scheme
        names = tuple(self.labels or _inferred_labels(tags, scheme))
        if len(names) < 2:
            raise InputError(
                f"all words of {train.path} have the tag {ranges.shown(tags[0][0])}: there is "
                "nothing to learn; give another column as TAG_COLUMN="
            )
        odd = [name for name in names if scheme != NONE and not entities.marks_entities(name)]
        if odd:
            raise InputError(
                f"labels in {scheme} must be {OUTSIDE}, or a prefix and a type such as B-PER, was "
                f"{ranges.shown(odd[0])}: correct LABELS, or leave it out"
            )
        plain = next(self._plain_tags(train), None)
        if scheme == NONE and plain:
            data.add_notes(
                [
                    "the tags mark no entities, for not all have prefixes such as B- and I-: "
                    f"{plain[0]} has {ranges.shown(plain[1])}; KEEP_BEST={TOKEN_ACCURACY} fits"
                ]
            )
        network, _ = self.require_network()
        network = network.replace(
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            extra={**network.extra, predicted_texts.TOKEN_COLUMN: self.token_column},
        )
        return dataclasses.replace(self, network=network, labels=names, scheme=scheme)

    def _check(self, data: TaskData) -> None:
        """Refuse tags that the model cannot learn; note those that only an evaluation has.

        Raises:
          InputError: a tag is none of the scheme, or none of the labels in the training set.
        """
        sets = {"": data.train, **data.dev, **data.test}
        for examples in filter(None, sets.values()):
            if self.scheme != NONE:
                for place, tag in self._plain_tags(examples):
                    raise InputError(
                        f"{place}: the tag {ranges.shown(tag)} is neither {OUTSIDE} nor has a "
                        "prefix such as B- or I-: correct the line, or give another TAG_COLUMN="
                    )
            unknown = self._unknown_tags(examples)
            if unknown and examples is data.train:
                place, tag = unknown[0]
                raise InputError(
                    f"{place}: the tag {ranges.shown(tag)} is not among the labels "
                    f"{listed(list(self.labels or ()))}: add it to LABELS, or "
                    "leave LABELS out"
                )
            if unknown:
                names = listed(sorted({tag for _, tag in unknown}))
                data.add_notes(
                    [
                        f"{examples.path.name}: {counted(len(unknown), 'tag')} not among those of "
                        f"training, which count as errors: {names}"
                    ]
                )

    def _with_class_weights(self, data: TaskData) -> "TokenClassificationConfig":
        """Return this configuration with the weight of each label, from its number of words."""
        if self.class_weights is None:
            return self
        assert data.train is not None
        names = self.labels or ()
        by_tag = collections.Counter(
            tag for sentence in data.train.examples for tag in self.converted(sentence)
        )
        counts = np.array([by_tag[name] for name in names])
        found = class_weights.resolve(self.class_weights, names, counts)
        data.add_notes(class_weights.note(self.class_weights, found))
        return dataclasses.replace(self, class_weights=found)

    def converted(self, sentence: Sentence) -> list[str]:
        """Return the tags of a sentence in the scheme of the labels.

        Args:
          sentence: a sentence in any scheme, where tags mark entities.
        """
        if self.scheme == NONE:
            return list(sentence.tags)
        convert = tagging_schemes.to_bioes if self.scheme == BIOES else tagging_schemes.to_iob2
        return convert(sentence.tags, str(self.scheme))

    def _plain_tags(self, examples: ExampleSet) -> Iterator[tuple[str, str]]:
        """Yield place and name of each tag that is neither O nor has a prefix."""
        for sentence in examples.examples:
            for offset, tag in enumerate(sentence.tags):
                if not tagging_schemes.is_tag(tag):
                    yield _place(examples, sentence, offset), tag

    def _unknown_tags(self, examples: ExampleSet) -> list[tuple[str, str]]:
        """Return place and name of each tag that is none of the labels."""
        known = set(self.labels or ())
        return [
            (_place(examples, sentence, offset), tag)
            for sentence in examples.examples
            for offset, tag in enumerate(self.converted(sentence))
            if tag not in known
        ]


def _place(examples: ExampleSet, sentence: Sentence, offset: int) -> str:
    # The words of a sentence are in consecutive lines.
    return f"{examples.path}, line {sentence.line + offset}"


def _inferred_labels(tags: Iterable[Sequence[str]], scheme: str) -> list[str]:
    """Return the labels of a training set in order."""
    found = {tag for sentence in tags for tag in sentence}
    if scheme == NONE:
        return sorted(found)
    types = sorted({tag[2:] for tag in found if tag != OUTSIDE and tagging_schemes.is_tag(tag)})
    # All prefixes of a type, also those that a small training set happens not to have.
    return [OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in _PREFIXES[scheme])]


class TokenClassification(FinetuningTask):
    """Trains a classifier of words; see `FinetuningTask`.

    The first token of a word decides on its label, and the others are ignored. Each word counts
    once, also where a long sentence is divided into windows.

    Metrics: F1, precision and recall of entities as the CoNLL shared tasks define them, and the
    accuracy of the words. Without a scheme, the accuracy alone. A tag whose type does not occur in
    training is legal in an evaluation, where it counts as missed. The page of a run shows the
    metrics of each type.
    """

    model_class = ElectraForTokenClassification
    config: TokenClassificationConfig

    @functools.cached_property
    def _tags(self) -> list[str]:
        """The labels, and after them the tags that only an evaluation has."""
        labels = self._require_labels()
        sets = {**self._data.dev, **self._data.test}.values() if self._data else ()
        found = {
            tag
            for each in sets
            for sentence in each.examples
            for tag in self.config.converted(sentence)
        }
        return [*labels, *sorted(found.difference(labels))]

    def _require_labels(self) -> Sequence[str]:
        if self.config.labels is None or self.config.scheme is None:
            raise InputError("a task without training data needs labels and scheme")
        return self.config.labels

    def make_model(self) -> ElectraForTokenClassification:
        self._require_labels()
        return ElectraForTokenClassification(self.network, recompute=self.recompute)

    def features(self, examples: ExampleSet) -> Features:
        numbers = {tag: number for number, tag in enumerate(self._tags)}
        sentences = examples.examples
        targets = [
            np.array([numbers[tag] for tag in self.config.converted(each)]) for each in sentences
        ]
        encoded = self.config.encode(examples)
        token_labels = [
            np.where(words == word_windows.NO_WORD, IGNORED_LABEL, targets[sentence][words])
            for words, sentence in zip(encoded.words, encoded.sentences)
        ]
        type_ids = [np.zeros_like(each) for each in encoded.ids]
        return Features.of_sequences(
            encoded.ids, type_ids, encoded.sentences, {}, token_labels=token_labels
        )

    # === Loss ===

    def loss_weight(self, batch: Batch) -> tf.Tensor:
        return tf.reduce_sum(self._token_weights(batch))

    def _run(self, model, batch, training):
        own = {"labels": self._known(batch["labels"]), "sample_weight": self._token_weights(batch)}
        return super()._run(model, {**batch, **own}, training)

    def _token_weights(self, batch: Batch) -> tf.Tensor:
        """Return weights in the loss, `[batch, length]`, 0 at tokens without a label."""
        labels = self._known(batch["labels"])
        weights = tf.cast(labels != IGNORED_LABEL, tf.float32) * batch["sample_weight"][:, None]
        by_class = class_weights.array(self.config.class_weights, self._require_labels())
        if by_class is None:
            return weights
        return weights * tf.gather(by_class, tf.maximum(labels, 0))

    def _known(self, labels: tf.Tensor) -> tf.Tensor:
        """Return labels for the loss, which has none for a tag that only an evaluation has."""
        return tf.where(labels < self.network.num_labels, labels, IGNORED_LABEL)

    # === Evaluation ===

    def evaluate_rows(self, outputs: Mapping[str, tf.Tensor], batch: Batch) -> Rows:
        predicted = tf.argmax(outputs["logits"], axis=-1, output_type=tf.int32)
        missing = self.config.length - tf.shape(predicted)[1]
        rows = {}
        for name, values in (("labels", batch["labels"]), ("predicted", predicted)):
            padded = tf.pad(values, [[0, 0], [0, missing]], constant_values=IGNORED_LABEL)
            rows[name] = tf.ensure_shape(padded, [values.shape[0], self.config.length])
        return rows

    def metrics(self) -> Sequence[str]:
        if self.config.scheme == NONE:
            return [TOKEN_ACCURACY]
        return entities.METRICS

    def metrics_of(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return self._metrics(*self.tags_of(rows))

    def tags_of(self, rows: Mapping[str, np.ndarray]) -> tuple[list[list[str]], list[list[str]]]:
        """Return the true and the predicted tags of the words of each sentence.

        Args:
          rows: gathered rows of an evaluation.
        """
        is_word = rows["labels"] != IGNORED_LABEL
        # Windows of a sentence are consecutive, and so are the words that count in them.
        _, first = np.unique(rows[DOCUMENT], return_index=True)
        ends = np.cumsum(np.add.reduceat(is_word.sum(axis=1), first))[:-1]
        names = np.array(self._tags, object)
        true, predicted = (
            [each.tolist() for each in np.split(names[rows[name][is_word]], ends)]
            for name in ("labels", "predicted")
        )
        return true, predicted

    def _metrics(self, true: entities.Tags, predicted: entities.Tags) -> dict[str, float]:
        if self.config.scheme == NONE:
            return {TOKEN_ACCURACY: entities.token_accuracy(true, predicted)}
        return entities.entity_metrics(true, predicted)

    def page_sections(self, set_name: str, rows: Mapping[str, np.ndarray]) -> list[Section]:
        true, predicted = self.tags_of(rows)
        sentences = [" ".join(each.tokens) for each in self.examples_of(set_name).examples]
        errors = run_page.wrong_tags(sentences, true, predicted)
        if self.config.scheme == NONE:
            return [errors]
        return [run_page.type_table(entities.count_by_type(true, predicted)), errors]

    def baselines(self) -> Mapping[str, float]:
        """Return the metrics of the most frequent tag of the training set."""
        if not self._data or not self._data.train:
            return {}
        counts = collections.Counter(
            tag for sentence in self._data.train.examples for tag in self.config.converted(sentence)
        )
        ((constant, _),) = counts.most_common(1)
        found: dict[str, float] = {}
        for name, each in self._data.dev.items():
            true = [self.config.converted(sentence) for sentence in each.examples]
            predicted = [[constant] * len(tags) for tags in true]
            metrics = self._metrics(true, predicted)
            found |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return found
