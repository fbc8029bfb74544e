"""Configuration of language models."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer, MaskingConfig
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForMaskedLM
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.ranges import Choice, Instance, Integer, OrNone, Text
from official_nlp.tasks.language_modeling import preflight
from official_nlp.tasks.language_modeling.task import (
    CAUSAL,
    MASKED,
    CausalLanguageModel,
    LanguageModel,
    MaskedLanguageModel,
)
from official_nlp.tasks.pretraining_data import PretrainingData, open_data
from official_nlp.training import Devices, Findings, PhaseConfig, TaskConfig, TrainingConfig
from official_nlp.training.task import DataByPath

_RANGES = {
    "objective": Choice((MASKED, CAUSAL)),
    "network": OrNone(Instance(ElectraConfig)),
    "tokenizer": OrNone(Instance(ElectraTokenizer)),
    "masking": Instance(MaskingConfig),
    "vocabulary": OrNone(Text()),
    "evaluation_examples": Integer(1, 1_000_000_000),
    "evaluation_batch_size": Integer(1, 1_000_000),
}
# Fields that name locations. The vocabulary is part of the fingerprint of the data.
_LOCATIONS = ("tokenizer", "vocabulary")


@dataclasses.dataclass(frozen=True)
class LanguageModelConfig(TaskConfig):
    """Configuration of a language model on data folders.

    Attributes:
      objective: `masked`, to predict masked tokens from both sides (BERT), or `causal`, to predict
        each token from those before it.
      network: sizes of the network. A recipe binds them for training from scratch; it leaves them
        out where pretrained weights determine them. Whether the network is a decoder follows from
        the objective.
      tokenizer: tokenizer of pretrained weights; None for that of the data.
      masking: probability of predicting a token, and how predicted tokens are hidden; unused by
        `causal`.
      vocabulary: vocabulary file or tokenizer folder of data without one beside it.
      evaluation_examples: maximum number of held-out examples of an evaluation.
      evaluation_batch_size: examples of a batch of an evaluation.
    """

    objective: str
    network: ElectraConfig | None = None
    tokenizer: ElectraTokenizer | None = None
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    vocabulary: str | None = None
    evaluation_examples: int = 10_000
    evaluation_batch_size: int = 64

    def __post_init__(self):
        ranges.check(self, _RANGES)
        if self.network:
            is_decoder = self.objective == CAUSAL
            network = self.network.replace(is_decoder=is_decoder, add_cross_attention=False)
            object.__setattr__(self, "network", network)

    # === Network ===

    @property
    def architecture(self) -> str:
        """Name of the transformers class whose head predicts tokens, for either objective."""
        return ElectraForMaskedLM.hugging_face_class

    def with_network(
        self, network: ElectraConfig, tokenizer: ElectraTokenizer
    ) -> "LanguageModelConfig":
        """Return this configuration for a network and its tokenizer.

        Args:
          network: configuration of any ELECTRA network, of which the encoder is used, and the head
            of a generator.
          tokenizer: its tokenizer.
        """
        # What belongs to another head does not belong to this one.
        network = network.replace(num_labels=2, problem_type=None, extra={})
        return dataclasses.replace(self, network=network, tokenizer=tokenizer)

    def require_network(self) -> ElectraConfig:
        """Return the network.

        Raises:
          InputError: there is none yet.
        """
        if self.network is None:
            raise InputError(
                "LanguageModelConfig needs a network: give INIT in a recipe, or bind "
                "tasks.LanguageModelConfig.network"
            )
        return self.network

    def for_tokenizer(self, tokenizer: ElectraTokenizer) -> "LanguageModelConfig":
        """Return this configuration with a word table for the tokenizer of the data.

        Raises:
          InputError: there is no network, or it has another vocabulary.
        """
        network = self.require_network()
        if self.tokenizer is None:  # Sizes alone: the data determines the vocabulary.
            rows = network.replace(vocab_size=tokenizer.vocab_size)
            return dataclasses.replace(self, network=rows)
        if self.tokenizer.vocab_hash != tokenizer.vocab_hash:
            raise InputError(
                f"the data has another vocabulary ({tokenizer.vocab_size:,} tokens) than the "
                f"network ({self.tokenizer.vocab_size:,} tokens), so that ids mean different "
                "tokens; build the examples with the tokenizer of the network: electra examples "
                "--tokenizer INIT"
            )
        return self

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

    def make(self, data: DataByPath | None, training: TrainingConfig) -> LanguageModel:
        kind = MaskedLanguageModel if self.objective == MASKED else CausalLanguageModel
        return kind(
            self,
            data,
            seed=training.seed,
            reference_quirks=training.reference_quirks,
            recompute=training.recompute,
        )

    def to_dict(self) -> dict[str, Any]:
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _LOCATIONS
        }
        values["network"] = self.require_network().to_dict()
        values["masking"] = dataclasses.asdict(self.masking)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LanguageModelConfig":
        network = ElectraConfig.from_dict(values["network"])
        return cls(**{**values, "network": network, "masking": MaskingConfig(**values["masking"])})

    @classmethod
    def from_run(
        cls, values: Mapping[str, Any], folder: str | os.PathLike
    ) -> "LanguageModelConfig":
        path = pathlib.Path(folder, "tokenizer")
        tokenizer = ElectraTokenizer.from_pretrained(path)
        return dataclasses.replace(cls.from_dict(values), tokenizer=tokenizer, vocabulary=str(path))
