"""Configuration and data of ELECTRA pre-training."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp.data import MaskingConfig, open_folder
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.data.storage.data_folder import DataFolder
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.training import Data, Devices, Findings, PhaseConfig, TaskConfig, TrainingConfig
from official_nlp.training.task import DataByPath


class PretrainingData(Data):
    """A data folder of pre-training examples.

    Args:
      folder: the opened folder.
      corrupt_records: policy for corrupt records, with which it was opened.
    """

    def __init__(self, folder: DataFolder, corrupt_records: CorruptRecords):
        self.folder = folder
        self.examples = folder.count("train")
        self._corrupt_records = corrupt_records
        # Records that were met while an index was made do not belong to a run.
        self._earlier_rows = corrupt_records.rows

    @property
    def corrupt_rows(self) -> int:  # type: ignore[override]
        return self._corrupt_records.rows - self._earlier_rows

    def corruption(self) -> str:
        return self._corrupt_records.describe()

    def fingerprint(self) -> str:
        # Index and counts differ where the examples do; reading all examples would take long.
        digest = hashlib.sha256(self.folder.tokenizer.vocab_hash.encode())
        digest.update(repr(dataclasses.asdict(self.folder.index)).encode())
        digest.update(self.folder.unigram_counts().tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        settings = self.folder.index.settings
        path = pathlib.Path(self.folder.path).resolve()
        return {
            "name": path.name,
            "path": str(path),
            "train": self.examples,
            "held_out": self.folder.count("held_out"),
            "length": self.folder.index.longest_row,
            **{name: settings[name] for name in ("documents", "words") if name in settings},
        }


@dataclasses.dataclass(frozen=True)
class PretrainingConfig(TaskConfig):
    """What is pre-trained, and on which predictions.

    Attributes:
      generator: sizes of the generator.
      discriminator: sizes of the discriminator.
      sharing: `shared`, `word_only`, `untied`, `whole` or `gdes`: see `ElectraPretrainer`.
      masking: probability of predicting a token, and how predicted tokens are hidden.
      phase_mask_probabilities: mask probability of each phase, in order; None, or a phase beyond
        the last entry, uses that of `masking`.
      vocab_size: rows of the word table; None for the size of the vocabulary, whatever the two
        configurations contain.
      vocabulary: vocabulary file or tokenizer folder of data without one beside it, such as the
        shards of google-research/electra.
      temperature: temperature of sampling.
      disallow_correct: never sample the original token.
      evaluation_examples: maximum number of held-out examples of an evaluation during training.
      evaluation_batch_size: examples of a batch of an evaluation.
    """

    generator: ElectraConfig
    discriminator: ElectraConfig
    sharing: str = "shared"
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    phase_mask_probabilities: Sequence[float | None] = ()
    vocab_size: int | None = None
    vocabulary: str | None = None
    temperature: float = 1.0
    disallow_correct: bool = False
    evaluation_examples: int = 10_000
    evaluation_batch_size: int = 64

    def __post_init__(self):
        # A list, as recipes and JSON have it, would compare unequal to a tuple.
        object.__setattr__(self, "phase_mask_probabilities", tuple(self.phase_mask_probabilities))
        for probability in self.phase_mask_probabilities:
            if probability is not None and not 0 < probability < 1:
                raise InputError(
                    "phase_mask_probabilities must be between 0 and 1, or None, contained "
                    f"{probability}"
                )

    @property
    def longest_row(self) -> int:
        """Tokens of the longest sequence for which both networks have positions."""
        networks = self.generator, self.discriminator
        return min(network.max_position_embeddings for network in networks)

    def masking_of(self, stage: int) -> MaskingConfig:
        """Return the masking of a phase, by its index."""
        given = list(self.phase_mask_probabilities)[stage : stage + 1]
        if not given or given[0] is None:
            return self.masking
        return dataclasses.replace(self.masking, probability=given[0])

    def for_vocabulary(self, size: int) -> "PretrainingConfig":
        """Return this configuration with the rows of the word table filled in.

        Raises:
          InputError: the table would have fewer rows than the vocabulary has tokens.
        """
        rows = self.vocab_size or size
        if rows < size:
            raise InputError(
                f"vocab_size must be at least the vocabulary's {size}, was {rows}; leave it out "
                "to use the size of the vocabulary"
            )
        return dataclasses.replace(
            self,
            vocab_size=rows,
            generator=dataclasses.replace(self.generator, vocab_size=rows),
            discriminator=dataclasses.replace(self.discriminator, vocab_size=rows),
        )

    def build(
        self, reference_quirks: ReferenceQuirks | None = None, recompute: bool = False
    ) -> ElectraPretrainer:
        """Return a randomly initialized model; see `ElectraEncoder` for `recompute`."""
        quirks = reference_quirks or ReferenceQuirks()
        return ElectraPretrainer.from_config_pair(
            self.generator,
            self.discriminator,
            sharing=self.sharing,
            temperature=self.temperature,
            disallow_correct=self.disallow_correct,
            average_duplicates=quirks.average_duplicates,
            recompute=recompute,
        )

    # === Task config ===

    def open_data(self, path: str | os.PathLike, corrupt_records: str = "stop") -> PretrainingData:
        policy = CorruptRecords(corrupt_records)
        own = pathlib.Path(path, "tokenizer").is_dir()
        folder = open_folder(path, None if own else self.vocabulary, corrupt_records=policy)
        if own and self.vocabulary is not None:
            _check_vocabulary(folder, self.vocabulary)
        return PretrainingData(folder, policy)

    def preflight(
        self,
        data: DataByPath,
        phases: Sequence[PhaseConfig],
        training: TrainingConfig,
        devices: Devices,
    ) -> Findings:
        # Costs are computed with this class, so the module imports this one.
        from official_nlp.tasks.pretraining import preflight

        return preflight.check(self, data, phases, training, devices)

    def make(self, data: DataByPath | None, training: TrainingConfig):
        """Return the task, an `ElectraPretraining`; see `TaskConfig.make`."""
        from official_nlp.tasks.pretraining.task import ElectraPretraining

        return ElectraPretraining(
            self,
            data,
            seed=training.seed,
            reference_quirks=training.reference_quirks,
            recompute=training.recompute,
        )

    def to_dict(self) -> dict[str, Any]:
        networks = {name: getattr(self, name).to_dict() for name in ("generator", "discriminator")}
        values = {**dataclasses.asdict(self), **networks}
        values["phase_mask_probabilities"] = list(self.phase_mask_probabilities)
        # It names a location. The vocabulary itself is part of the data's fingerprint.
        del values["vocabulary"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PretrainingConfig":
        return cls(
            **{
                **values,
                "generator": ElectraConfig.from_dict(values["generator"]),
                "discriminator": ElectraConfig.from_dict(values["discriminator"]),
                "masking": MaskingConfig(**values["masking"]),
            }
        )

    @classmethod
    def from_run(cls, values: Mapping[str, Any], folder: str | os.PathLike) -> "PretrainingConfig":
        # Shards of other programs have no tokenizer beside them, but the run has it.
        config = cls.from_dict(values)
        return dataclasses.replace(config, vocabulary=str(pathlib.Path(folder, "tokenizer")))


def _check_vocabulary(folder: DataFolder, vocabulary: str) -> None:
    tokenizer = ElectraTokenizer.from_pretrained(vocabulary)
    if tokenizer.vocab_hash != folder.tokenizer.vocab_hash:
        raise InputError(
            f"the data folder {folder.path} has another vocabulary than {vocabulary}: "
            "give the data on which the model was trained, or examples built with the same "
            "tokenizer folder"
        )
