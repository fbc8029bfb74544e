"""Read and write the JSON file that google-research keeps beside a checkpoint."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.files import guarded
from official_nlp.interchange.google_names import Sizes

NETWORKS = ("generator", "discriminator")

# All sizes of the paper have heads of this width (Clark et al. 2020, appendix A).
_HEAD_WIDTH = 64
# Activations of google-research; Hugging Face has the same names for the same functions.
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")
_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range")
# Values that Hugging Face assumes for keys that a config.json omits.
_DEFAULTS = {
    "vocab_size": 30522,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
# Hugging Face keys for which the code of google-research supports one value only.
_FIXED = {
    "position_embedding_type": "absolute",
    "layer_norm_eps": 1e-12,
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


@dataclasses.dataclass(frozen=True)
class GoogleConfig:
    """Content of a JSON file, which completes what the variables of a checkpoint show.

    Attributes:
      file: path of the file; None without a file, when rules replace it.
      networks: the `BertConfig` of each network in the file.
      do_lower_case: whether the tokenizer lower-cases; None if the file does not state it.
    """

    file: pathlib.Path | None = None
    networks: Mapping[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    do_lower_case: bool | None = None

    def describe(self, network: str, sizes: Sizes, whole: bool) -> tuple[dict[str, Any], list[str]]:
        """Return the Hugging Face configuration of a network, and notes on what was assumed.

        Args:
          network: "generator" or "discriminator".
          sizes: sizes of its variables.
          whole: whether one transformer serves as both networks.

        Raises:
          InputError: the file contradicts the variables, or names an unknown activation.
        """
        values = self._values(network, whole)
        self._check_sizes(network, values, sizes)
        stated = {
            key: values[key]
            for key in ("num_attention_heads", "hidden_act", *_RATES)
            if key in values
        }
        assumed = {"num_attention_heads": heads_by_rule(sizes.hidden_size), "hidden_act": "gelu"}
        reasons = (" by the rule width / 64", "")
        notes = [
            f"{network}: assumed {name} {value}{reason}, as {self._absent()}"
            for (name, value), reason in zip(assumed.items(), reasons)
            if name not in stated
        ]
        config = {
            "model_type": "electra",
            **dataclasses.asdict(sizes),
            **assumed,
            **stated,
            "layer_norm_eps": _FIXED["layer_norm_eps"],
        }
        self._check_values(network, config)
        if network == "generator" and config["hidden_act"] != "gelu":
            notes.append(
                "generator: its head uses gelu in Hugging Face's model and in ours, but "
                f"{config['hidden_act']} in google-research's: the scores will differ"
            )
        return config, notes

    def unstated(self, network: str, whole: bool) -> set[str]:
        """Return the fields of a network that neither its variables nor this file state."""
        return {"num_attention_heads", "hidden_act"} - self._values(network, whole).keys()

    def _values(self, network: str, whole: bool) -> dict[str, Any]:
        if network in self.networks:
            return self.networks[network]
        other: dict[str, Any] = next(iter(self.networks.values()), {})
        if whole:
            return other
        # google-research derives the generator from the discriminator and changes its sizes only.
        # Its number of heads must therefore not be copied: it follows from the generator's width.
        return {key: other[key] for key in ("hidden_act", *_RATES) if key in other}

    def _absent(self) -> str:
        if self.file:
            return f"{self.file} does not state it"
        return "there is no JSON file (--config FILE)"

    def _check_sizes(self, network: str, values: Mapping[str, Any], sizes: Sizes) -> None:
        for name, value in dataclasses.asdict(sizes).items():
            if values.get(name, value) != value:
                raise InputError(
                    f"{self.file}: {name} of the {network} must be {value} as in the checkpoint, "
                    f"was {values[name]!r}; give the file of this checkpoint"
                )

    def _check_values(self, network: str, config: Mapping[str, Any]) -> None:
        heads, width = config["num_attention_heads"], config["hidden_size"]
        if not isinstance(heads, int) or heads < 1 or width % heads:
            origin = self.file or "by the rule width / 64"
            raise InputError(
                f"{origin}: num_attention_heads of the {network} must divide its width {width}, "
                f"was {heads!r}; name the JSON file of this checkpoint with --config"
            )
        if config["hidden_act"] not in ACTIVATIONS:
            raise InputError(
                f"{self.file}: hidden_act of the {network} must be one of "
                f"{', '.join(ACTIVATIONS)}, was {config['hidden_act']!r}"
            )


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Hugging Face configuration with the defaults of the keys that it omits."""
    return {**_DEFAULTS, **config}


def heads_by_rule(width: int) -> int:
    """Return the number of attention heads that google-research gives a network of this width."""
    return max(1, width // _HEAD_WIDTH)


def read_google_config(file: str | os.PathLike) -> GoogleConfig:
    """Read a JSON file of both networks, or a single `BertConfig`, the discriminator's.

    Raises:
      InputError: the file cannot be read, is not JSON, or holds neither.
    """
    path = pathlib.Path(file)
    values = guarded.read_object(path, "name the JSON file of the checkpoint")
    found = _networks(values)
    if not found:
        raise InputError(
            f"{path} must be a google-research JSON file with discriminator_bert_config and "
            "generator_bert_config, or with the values of one BertConfig (num_attention_heads, "
            "hidden_act, ...); it has neither"
        )
    settings = values.get("pretraining_config", values)
    lower = settings.get("do_lower_case") if isinstance(settings, dict) else None
    return GoogleConfig(path, found, lower if isinstance(lower, bool) else None)


def _networks(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for network in NETWORKS:
        bert = values.get(f"{network}_bert_config")
        if isinstance(bert, dict):
            found[network] = bert
    # A BertConfig alone, like bert_config.json of BERT.
    if not found and "num_attention_heads" in values:
        found["discriminator"] = values
    return found


def google_config(
    generator: dict[str, Any] | None,
    discriminator: dict[str, Any],
    sharing: str | None,
    do_lower_case: bool | None = None,
) -> dict[str, Any]:
    """Return the content of the JSON file for a pair of networks.

    Args:
      generator: its `completed` configuration, or None without a generator.
      discriminator: its `completed` configuration.
      sharing: "shared", "untied" or "whole"; None without a generator.
      do_lower_case: whether the tokenizer lower-cases; None if unknown.

    Raises:
      InputError: google-research has no such networks, or no such pair.
    """
    _check_supported("discriminator", discriminator, ACTIVATIONS)
    pair = {"discriminator": discriminator}
    if generator is not None:
        # Its head uses gelu in Hugging Face's model and in ours, whatever the layers use.
        _check_supported("generator", generator, ("gelu",))
        _check_pair(generator, discriminator, sharing)
        pair["generator"] = generator
    # google-research computes the sizes of both networks from `model_size` and these overrides;
    # the two `_bert_config` entries are for readers such as this module.
    settings = {
        "model_size": "small",
        "vocab_size": discriminator["vocab_size"],
        "embedding_size": discriminator["embedding_size"],
        "electra_objective": True,
        "untied_generator": sharing != "whole",
        "untied_generator_embeddings": sharing == "untied",
        "model_hparam_overrides": _bert(discriminator),
    }
    if generator is not None:
        # google-research multiplies the discriminator's sizes by these fractions and rounds.
        for ours, name in (("hidden_size", "hidden_size"), ("num_hidden_layers", "layers")):
            settings[f"generator_{name}"] = generator[ours] / discriminator[ours]
    if do_lower_case is not None:
        settings["do_lower_case"] = do_lower_case
    written = {f"{name}_bert_config": _bert(config) for name, config in pair.items()}
    return {"pretraining_config": settings, **written}


def _bert(config: Mapping[str, Any]) -> dict[str, Any]:
    names = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act"]
    names += ["intermediate_size", "max_position_embeddings", "type_vocab_size", *_RATES]
    return {name: config[name] for name in names if name in config}


def _check_supported(network: str, config: Mapping[str, Any], activations: tuple[str, ...]) -> None:
    for name, only in _FIXED.items():
        if config.get(name, only) != only:
            raise InputError(
                f"{name} of the {network} must be {only!r} in the google-research format, the only "
                f"value that its code supports, was {config[name]!r}; write --as huggingface"
            )
    if config["hidden_act"] not in activations:
        raise InputError(
            f"hidden_act of the {network} must be one of {', '.join(activations)} in the "
            f"google-research format, was {config['hidden_act']!r}; write --as huggingface"
        )


def _check_pair(
    generator: Mapping[str, Any], discriminator: Mapping[str, Any], sharing: str | None
) -> None:
    expected = {
        name: discriminator[name]
        for name in ("vocab_size", "max_position_embeddings", "type_vocab_size", "hidden_act")
    }
    if sharing != "whole":
        width = generator["hidden_size"]
        # These rules are those of `get_generator_config` in google-research.
        expected |= {"num_attention_heads": heads_by_rule(width), "intermediate_size": 4 * width}
    for name, value in expected.items():
        if generator[name] != value:
            raise InputError(
                f"{name} of the generator must be {value!r} in the google-research format, which "
                f"derives it from the discriminator, was {generator[name]!r}; write --as "
                "huggingface"
            )
