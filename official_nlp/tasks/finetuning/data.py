"""The examples of a fine-tuning task: training set, development sets and test sets."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from official_nlp.data.tables import splits
from official_nlp.errors import InputError
from official_nlp.training import Data

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.finetuning.config import FinetuningConfig

# Name of a development set that was held out of the training file, or is the only one.
DEV = "dev"


class ReadFile(NamedTuple):
    """The content of a file of examples.

    Attributes:
      examples: examples in the form of the task.
      notes: sentences on what was inferred or left out.
      columns: columns of a table by their role, `text`, `text_pair` and `label`.
    """

    examples: list[Any]
    notes: list[str]
    columns: Mapping[str, str] = {}


@dataclasses.dataclass(frozen=True)
class ExampleSet:
    """The examples of a file.

    Attributes:
      path: the file.
      examples: examples in the form of the task.
      columns: columns of a table by their role, see `ReadFile`.
      cache: what the configuration of the task derived from the examples, to do it once.
    """

    path: pathlib.Path
    examples: list[Any]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cache: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)


class TaskData(Data):
    """Examples in memory.

    Args:
      train: the training set; None where data is opened for evaluation only.
      dev: development sets by name, on which a run is evaluated.
      test: test sets by name, which are evaluated at the end.
      path: what `DATA` named.
      notes: sentences on what was inferred.
      features: number of features of the training set, in which epochs are counted; None for one
        of each example.
      files: files that `DEV` and `TEST` named, under `dev` and `test`.
      unlabeled: files of test sets without labels by name, whose predictions are written at the
        end.
    """

    def __init__(
        self,
        train: ExampleSet | None,
        dev: dict[str, ExampleSet],
        test: dict[str, ExampleSet],
        path: str | os.PathLike,
        notes: list[str],
        features: int | None = None,
        files: dict[str, str] | None = None,
        unlabeled: dict[str, pathlib.Path] | None = None,
    ):
        self.train = train
        self.dev = dev
        self.test = test
        self.path = pathlib.Path(path).resolve()
        self.notes: list[str] = notes
        self.unlabeled = unlabeled or {}
        self._files = files or {}
        self._train_examples = len(train.examples) if train else 0
        self.examples = self._train_examples if features is None else features

    def add_notes(self, notes: Iterable[str]) -> None:
        """Add sentences that are not there yet: a task is made several times from its data."""
        self.notes += [note for note in notes if note not in self.notes]

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        # Test sets do not belong to it: no step and no choice of a checkpoint depends on them.
        for name, examples in [("", self.train), *sorted(self.dev.items())]:
            digest.update(repr((name, examples and examples.examples)).encode())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        return self._fingerprint

    def describe(self) -> dict[str, Any]:
        sets = {**self.dev, **self.test}
        return {
            "name": self.path.name,
            "path": str(self.path),
            "train": self._train_examples,
            **{name: len(each.examples) for name, each in sets.items()},
            "files": self._files,
        }


def open_sets(config: "FinetuningConfig", path: str | os.PathLike, training: bool) -> TaskData:
    """Read the files of a task.

    Args:
      config: reads a file, and names files of the development and test set.
      path: a file, or a folder with files named train, dev and test.
      training: whether the training set is needed. Otherwise a file is a set to evaluate as it is,
        and a folder stands for its development and test sets.

    Raises:
      InputError: a file cannot be read or has no examples.
    """
    notes: list[str] = []

    def read(file: pathlib.Path) -> ExampleSet:
        found = config.read(file)
        if not found.examples:
            raise InputError(f"{file} must hold at least one example, holds none")
        notes.extend(note for note in found.notes if note not in notes)
        return ExampleSet(file, found.examples, found.columns)

    def read_tests(train: ExampleSet | None) -> tuple[dict[str, ExampleSet], dict]:
        """Return the test sets with labels, and the files of those without."""
        unlabeled = {n: file for n, file in found.test.items() if config.lacks_labels(file, train)}
        for file in unlabeled.values():
            notes.append(f"{file.name}: no labels; predictions are written at the end of a run")
        labeled = {n: read(file) for n, file in found.test.items() if n not in unlabeled}
        return labeled, unlabeled

    if not training and pathlib.Path(path).is_file():
        return TaskData(None, {DEV: read(pathlib.Path(path))}, {}, path, notes)
    found = splits.find_splits(path, config.dev, config.test)
    notes += found.notes
    dev = {name: read(file) for name, file in found.dev.items()}
    if not training and dev:
        return TaskData(None, dev, read_tests(None)[0], path, notes)
    train = read(found.train)
    test, unlabeled = read_tests(train)
    if not dev:
        train, held_out = hold_out(config, train, notes)
        dev = {DEV: held_out}
    if not training:
        return TaskData(None, dev, test, path, notes)
    given = {"dev": config.dev and found.dev["dev"], "test": config.test and found.test["test"]}
    files = {role: str(file.resolve()) for role, file in given.items() if file}
    features = config.count_features(train)
    return TaskData(train, dev, test, path, notes, features, files, unlabeled)


def hold_out(
    config: "FinetuningConfig", train: ExampleSet, notes: list[str]
) -> tuple[ExampleSet, ExampleSet]:
    """Divide a training set into a training and a development set, by a hash of the texts.

    Args:
      config: names the fraction, and the text of an example.
      train: the training set.
      notes: gets a sentence on it.

    Raises:
      InputError: all texts are equal.
    """
    out = splits.held_out([config.key(each) for each in train.examples], config.dev_fraction)
    parts = [
        dataclasses.replace(
            train,
            examples=[each for each, held in zip(train.examples, out) if held == wanted],
            cache={},
        )
        for wanted in (False, True)
    ]
    if not all(part.examples for part in parts):
        raise InputError(
            f"{train.path} must hold examples with at least two different texts, to hold some out "
            "for evaluation; give DEV="
        )
    notes.append(
        f"no development set: {len(parts[1].examples):,} of {len(train.examples):,} examples of "
        f"{train.path.name} are held out, chosen by a hash of their text; give DEV= for another"
    )
    return parts[0], parts[1]
