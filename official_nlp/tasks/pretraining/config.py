"""Configuration of ELECTRA pre-training.

The modules of the task, its costs and its checks use this class in annotations only, so that this
module can import them.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp import ranges
from official_nlp.data import MaskingConfig
from official_nlp.errors import InputError
from official_nlp.modeling.models import sharing
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.ranges import Choice, Flag, Instance, Integer, ListOf, Number, OrNone, Path
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks.pretraining import preflight
from official_nlp.tasks.pretraining.task import ElectraPretraining
from official_nlp.tasks.pretraining_data import PretrainingData, open_data
from official_nlp.training import Devices, Findings, PhaseConfig, TaskConfig, TrainingConfig
from official_nlp.training.task import DataByPath

_RANGES = {
    "generator": Instance(ElectraConfig),
    "discriminator": Instance(ElectraConfig),
    "sharing": Choice(sharing.MODES),
    "masking": Instance(MaskingConfig),
    "phase_mask_probabilities": ListOf(OrNone(Number(0, 1, above=True, below=True))),
    "vocab_size": OrNone(Integer(1, 100_000_000)),
    "vocabulary": OrNone(Path()),
    "temperature": Number(1e-6, 1e6),
    "disallow_correct": Flag(),
    "evaluation_examples": Integer(1, 1_000_000_000),
    "evaluation_batch_size": Integer(1, 1_000_000),
}


@dataclasses.dataclass(frozen=True)
class PretrainingConfig(TaskConfig):
    """Configuration of pre-training: the two networks, their masking and their vocabulary.

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
        ranges.check(self, _RANGES)
        # A list, as recipes and JSON have it, would compare unequal to a tuple.
        object.__setattr__(self, "phase_mask_probabilities", tuple(self.phase_mask_probabilities))

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
        return open_data(path, self.vocabulary, corrupt_records)

    def inspect_data(
        self, path: str | os.PathLike, corrupt_records: str = "stop"
    ) -> PretrainingData:
        return open_data(path, self.vocabulary, corrupt_records, writes=False)

    def preflight(
        self,
        data: DataByPath,
        phases: Sequence[PhaseConfig],
        training: TrainingConfig,
        devices: Devices,
    ) -> Findings:
        return preflight.check(self, data, phases, training, devices)

    def make(self, data: DataByPath | None, training: TrainingConfig) -> ElectraPretraining:
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
        # Shards of other programs have no tokenizer beside them, but the run folder has one.
        config = cls.from_dict(values)
        return dataclasses.replace(config, vocabulary=str(pathlib.Path(folder, "tokenizer")))
