"""Multiple choice: which of several texts continues or answers another one."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer
from official_nlp.data.tables.choices import ChoiceExample, read_choices
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForMultipleChoice
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.tasks.finetuning import config as shared
from official_nlp.tasks.finetuning import encoding, run_page
from official_nlp.tasks.finetuning.data import ExampleSet, ReadFile
from official_nlp.tasks.finetuning.features import Features
from official_nlp.tasks.finetuning.run_page import Section
from official_nlp.tasks.finetuning.task import FinetuningTask
from official_nlp.tasks.probabilities import softmax
from official_nlp.training.task import Batch, Rows

ACCURACY = "accuracy"


@dataclasses.dataclass(frozen=True)
class MultipleChoiceConfig(shared.FinetuningConfig):
    """Settings of multiple choice: those that all fine-tuning tasks share."""

    @classmethod
    def _ranges(cls) -> Mapping[str, ranges.Range]:
        return shared.RANGES

    def with_network(
        self, network: ElectraConfig, tokenizer: ElectraTokenizer
    ) -> "shared.FinetuningConfig":
        # Any other summary would look at the padding, whose length depends on the batch.
        head: dict[str, Any] = {"summary_type": "first"}
        if self.dropout is not None:
            head["summary_last_dropout"] = self.dropout
        return super().with_network(network.replace(**head), tokenizer)

    def read(self, path: pathlib.Path) -> ReadFile:
        found = read_choices(path)
        for example in found.examples:
            if example.label is None:
                raise InputError(
                    f"{path}, line {example.line}: an example needs a label for training and for "
                    "evaluation, has none: label it or leave the file out; electra predict takes "
                    "examples without labels"
                )
        return ReadFile(found.examples, list(found.notes))

    def lacks_labels(self, path: pathlib.Path, train: ExampleSet | None) -> bool:
        return all(example.label is None for example in read_choices(path).examples)

    def key(self, example: ChoiceExample) -> str:
        return example.text

    @property
    def task_class(self) -> type["MultipleChoice"]:
        return MultipleChoice


class MultipleChoice(FinetuningTask):
    """Trains a network to choose one of several texts; see `FinetuningTask`.

    Every choice is a sequence of its own, [CLS] text [SEP] choice [SEP], and the network scores
    each. Examples with fewer choices than others are padded by choices without tokens, which the
    model gives no probability. The metric is accuracy.
    """

    model_class = ElectraForMultipleChoice
    config: MultipleChoiceConfig

    def features(self, examples: ExampleSet) -> Features:
        group = max(len(example.choices) for example in examples.examples)
        pairs: list[tuple[str, str | None]] = []
        places: list[int] = []  # Number of the sequence of each choice, with padding counted.
        for number, example in enumerate(examples.examples):
            pairs += [(example.text, choice) for choice in example.choices]
            places += range(number * group, number * group + len(example.choices))
        encoded = encoding.truncated(self.tokenizer, pairs, self.config.length)
        count = len(examples.examples)
        ids: list[Any] = [()] * (count * group)  # A choice without tokens is padding.
        type_ids = list(ids)
        for place, own_ids, own_types in zip(places, encoded.ids, encoded.type_ids, strict=True):
            ids[place], type_ids[place] = own_ids, own_types
        return Features.of_sequences(
            ids,
            type_ids,
            np.arange(count),
            {"labels": _labels(examples)},
            group=group,
            truncated=encoded.truncated,
        )

    # === Evaluation ===

    def evaluate_rows(self, outputs: Mapping[str, tf.Tensor], batch: Batch) -> Rows:
        return {"logits": outputs["logits"], "labels": batch["labels"]}

    def metrics(self) -> Sequence[str]:
        return (ACCURACY,)

    def metrics_of(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {ACCURACY: float(np.mean(rows["logits"].argmax(axis=1) == rows["labels"]))}

    def page_sections(self, set_name: str, rows: Mapping[str, np.ndarray]) -> list[Section]:
        examples, targets = self.examples_of(set_name).examples, rows["labels"]
        probabilities = softmax(rows["logits"])
        return [
            run_page.calibration(targets, probabilities),
            run_page.wrong_choices(examples, targets, probabilities),
        ]

    def baselines(self) -> Mapping[str, float]:
        """Return the accuracy of the most frequent place of the training set, and of chance."""
        if not self._data or not self._data.train:
            return {}
        majority = int(np.bincount(_labels(self._data.train)).argmax())
        found = {}
        for name, each in self._data.dev.items():
            chance = [1 / len(example.choices) for example in each.examples]
            found[f"{name}/{ACCURACY}"] = float(np.mean(_labels(each) == majority))
            found[f"{name}/{ACCURACY} of random choices"] = float(np.mean(chance))
        return found


def _labels(examples: ExampleSet) -> np.ndarray:
    """Return the index of the right choice of each example, int32 `[examples]`."""
    return np.array([example.label for example in examples.examples], np.int32)
