"""Settings that all fine-tuning tasks share."""

import abc
import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.ranges import Choice, Flag, Instance, Integer, Number, OrNone, Path
from official_nlp.tasks.finetuning import preflight
from official_nlp.tasks.finetuning.data import ExampleSet, ReadFile, TaskData, open_sets
from official_nlp.training import Devices, Findings, PhaseConfig, Task, TaskConfig, TrainingConfig
from official_nlp.training.task import DataByPath

# Ranges of the shared fields; the table of a subclass begins with them.
RANGES = {
    "network": OrNone(Instance(ElectraConfig)),
    "tokenizer": OrNone(Instance(ElectraTokenizer)),
    "length": Integer(8, 1_000_000),
    "by_length": Flag(),
    "dev": OrNone(Path()),
    "test": OrNone(Path()),
    "dev_fraction": Number(0, 1, above=True, below=True),
    "layer_decay": Number(1e-6, 1),
    "dropout": OrNone(Number(0, 1, below=True)),
    "evaluation_batch_size": Integer(1, 1_000_000),
    # Leaving out is for tasks that read tables, which have rows.
    "corrupt_records": Choice(("stop",)),
}
# Fields that name locations. The content of the data is part of its fingerprint.
_LOCATIONS = ("tokenizer", "dev", "test")


@dataclasses.dataclass(frozen=True)
class FinetuningConfig(TaskConfig):
    """Settings that all fine-tuning tasks share.

    Attributes:
      network: sizes of the network; None until `with_network` is called. A recipe leaves it out:
        the pretrained weights determine it.
      tokenizer: tokenizer of the network; likewise.
      length: largest number of tokens of a sequence, special tokens included.
      by_length: make batches of sequences of similar length, and pad each only to its longest; else
        every batch is padded to `length`, as a TPU requires.
      dev: file of the development set, on which the run is evaluated; None: see `open_sets`.
      test: file of a test set, which is evaluated once, at the end.
      dev_fraction: fraction of the training file that is held out where there is no development
        set.
      layer_decay: factor between the learning rates of neighbouring layers; the head has the full
        rate (paper, appendix B). 1 for the same rate everywhere.
      dropout: dropout rate of all layers; None for the rates of the pretrained network.
      evaluation_batch_size: sequences of a batch of an evaluation.
      corrupt_records: `stop`: refuse a file with a row that cannot be read; a task that reads
        tables may also `skip` such rows and count them.
    """

    network: ElectraConfig | None = None
    tokenizer: ElectraTokenizer | None = None
    length: int = 128
    by_length: bool = True
    dev: str | None = None
    test: str | None = None
    dev_fraction: float = 0.1
    layer_decay: float = 1.0
    dropout: float | None = None
    evaluation_batch_size: int = 64
    corrupt_records: str = "stop"

    def __post_init__(self):
        ranges.check(self, self._ranges())
        for field in dataclasses.fields(self):
            # Lists, as recipes and JSON have them, would compare unequal to tuples.
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        if self.network and self.length > self.network.max_position_embeddings:
            raise InputError(
                f"length must be at most max_position_embeddings="
                f"{self.network.max_position_embeddings} of the network, was {self.length}: use "
                f"LENGTH={self.network.max_position_embeddings}"
            )

    @classmethod
    @abc.abstractmethod
    def _ranges(cls) -> Mapping[str, ranges.Range]:
        """Return the ranges of all fields."""

    # === Network ===

    @property
    def architecture(self) -> str:
        """Empty: any encoder can be fine-tuned."""
        return ""

    def with_network(
        self, network: ElectraConfig, tokenizer: ElectraTokenizer
    ) -> "FinetuningConfig":
        """Return this configuration for a network and its tokenizer.

        Args:
          network: configuration of any ELECTRA network, of which the encoder is used.
          tokenizer: its tokenizer.

        Raises:
          InputError: the network has fewer positions than `length`.
        """
        rates = {}
        if self.dropout is not None:
            rates = dict.fromkeys(
                ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
                self.dropout,
            )
        network = network.replace(
            # What belongs to the head of a source does not belong to the new one.
            num_labels=2,
            problem_type=None,
            is_decoder=False,
            add_cross_attention=False,
            extra={},
            **rates,
        )
        return dataclasses.replace(self, network=network, tokenizer=tokenizer)

    def require_network(self) -> tuple[ElectraConfig, ElectraTokenizer]:
        """Return network and tokenizer.

        Raises:
          InputError: `with_network` was not called.
        """
        if self.network is None or self.tokenizer is None:
            raise InputError(
                f"{type(self).__name__} needs a network and its tokenizer: give INIT in a recipe, "
                "or call with_network"
            )
        return self.network, self.tokenizer

    # === Task config ===

    @property
    @abc.abstractmethod
    def task_class(self) -> Callable[..., Task]:
        """The class of the task."""

    def for_data(self, data: TaskData) -> "FinetuningConfig":
        """Return this configuration with what the data determines, such as labels.

        Args:
          data: the data of a run, or sets for evaluation only, which have no training set.

        Raises:
          InputError: data and configuration do not fit each other.
        """
        return self

    def make(self, data: DataByPath | None, training: TrainingConfig) -> Any:
        own = data[None] if data else None
        config = self.for_data(own) if isinstance(own, TaskData) else self
        return self.task_class(
            config,
            data,
            seed=training.seed,
            reference_quirks=training.reference_quirks,
            recompute=training.recompute,
        )

    @abc.abstractmethod
    def read(self, path: pathlib.Path) -> ReadFile:
        """Read a file of the task."""

    def lacks_labels(self, path: pathlib.Path, train: ExampleSet | None) -> bool:
        """Return whether a test file has no labels, so that a run writes predictions for it.

        Args:
          path: the file.
          train: the training set; None where data is opened for evaluation only.
        """
        return False

    def predictions_file(self, set_name: str) -> str:
        """Return the name of the file of predictions for a test set without labels."""
        return f"{set_name}.tsv"

    @property
    def reading_options(self) -> Mapping[str, Any]:
        """Options of `Predictor.read_file` with which it reads the rows that `read` reads."""
        return {}

    @property
    def prediction_options(self) -> Mapping[str, Any]:
        """Options of `Predictor.__call__` with which it predicts as an evaluation does."""
        return {}

    @abc.abstractmethod
    def key(self, example: Any) -> str:
        """Return the text by whose hash an example is held out: equal texts stay together."""

    def count_features(self, examples: ExampleSet) -> int:
        """Return the number of features of a training set, see `Features`."""
        return len(examples.examples)

    def open_data(self, path: str | os.PathLike, corrupt_records: str = "stop") -> TaskData:
        return open_sets(self, path, training=True)

    def open_recorded(self, described: Mapping[str, Any]) -> TaskData:
        files = described.get("files", {})
        config = dataclasses.replace(self, dev=files.get("dev"), test=files.get("test"))
        return config.open_data(described["path"])

    def open_evaluation_data(
        self, path: str | os.PathLike, corrupt_records: str = "stop"
    ) -> TaskData:
        return open_sets(self, path, training=False)

    def preflight(
        self,
        data: DataByPath,
        phases: Sequence[PhaseConfig],
        training: TrainingConfig,
        devices: Devices,
    ) -> Findings:
        return preflight.check(self, data, phases, training, devices)

    def to_dict(self) -> dict[str, Any]:
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _LOCATIONS
        }
        values["network"] = self.require_network()[0].to_dict()
        return {n: list(x) if isinstance(x, tuple) else x for n, x in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FinetuningConfig":
        return cls(**{**values, "network": ElectraConfig.from_dict(values["network"])})

    @classmethod
    def from_run(cls, values: Mapping[str, Any], folder: str | os.PathLike) -> "FinetuningConfig":
        tokenizer = ElectraTokenizer.from_pretrained(pathlib.Path(folder, "tokenizer"))
        return dataclasses.replace(cls.from_dict(values), tokenizer=tokenizer)
