"""What google-research's JSON says of two networks, and that JSON for two networks."""

import dataclasses
import json
import os
import pathlib

from official_nlp.errors import InputError
from official_nlp.interchange.google_names import Sizes

NETWORKS = ("generator", "discriminator")

_HEAD_WIDTH = 64
# google's names of activations, which are Hugging Face's for the same functions.
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")
_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range")
# What Hugging Face takes for a key that a file does not have.
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
# What google's code has no other way of: keys of Hugging Face, with its defaults.
_FIXED = {
    "position_embedding_type": "absolute",
    "layer_norm_eps": 1e-12,
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


@dataclasses.dataclass(frozen=True)
class GoogleConfig:
    """What a JSON file says that variables do not.

    Attributes:
      file: where it was said; None where nothing was, and all is by rule.
      networks: network to its `BertConfig`, a dict.
      do_lower_case: of the tokenizer; None where it is not said.
    """

    file: pathlib.Path | None = None
    networks: dict = dataclasses.field(default_factory=dict)
    do_lower_case: bool | None = None

    def describe(self, network: str, sizes: Sizes, whole: bool) -> tuple[dict, list[str]]:
        """Returns the configuration of a network, and sentences on what had to be assumed.

        Args:
          network: "generator" or "discriminator".
          sizes: as its variables have them.
          whole: whether both networks are one transformer.

        Raises:
          InputError: the file contradicts the variables, or names an unknown activation.
        """
        said = self._said(network, whole)
        self._check_sizes(network, said, sizes)
        given = {k: said[k] for k in ("num_attention_heads", "hidden_act", *_RATES) if k in said}
        by_rule = {"num_attention_heads": heads_by_rule(sizes.hidden_size), "hidden_act": "gelu"}
        notes = [
            f"{network}: {name} is {value}{reason}, for {self._absent()}"
            for (name, value), reason in zip(by_rule.items(), (" by the rule width / 64", ""))
            if name not in given
        ]
        config = {
            "model_type": "electra",
            **dataclasses.asdict(sizes),
            **by_rule,
            **given,
            "layer_norm_eps": _FIXED["layer_norm_eps"],
        }
        self._check_names(network, config)
        if network == "generator" and config["hidden_act"] != "gelu":
            notes.append(
                f"generator: the head of Hugging Face's model and ours has gelu, google's had "
                f"{config['hidden_act']}: its scores are not google's"
            )
        return config, notes

    def not_told(self, network: str, whole: bool) -> set[str]:
        """Returns the fields of a network that neither its variables nor this file tell."""
        return {"num_attention_heads", "hidden_act"} - self._said(network, whole).keys()

    def _said(self, network, whole) -> dict:
        if network in self.networks:
            return self.networks[network]
        of_other = next(iter(self.networks.values()), {})
        if whole:
            return of_other
        # google's code derives the generator from the discriminator, and changes only its sizes.
        return {k: of_other[k] for k in ("hidden_act", *_RATES) if k in of_other}

    def _absent(self) -> str:
        return f"{self.file} does not say" if self.file else "no JSON says (--config FILE)"

    def _check_sizes(self, network, said, sizes):
        for name, value in dataclasses.asdict(sizes).items():
            if said.get(name, value) != value:
                raise InputError(
                    f"{self.file}: {name} of the {network} must be {value} as in the checkpoint, "
                    f"was {said[name]!r}; give the file of this checkpoint"
                )

    def _check_names(self, network, config):
        heads, width = config["num_attention_heads"], config["hidden_size"]
        if not isinstance(heads, int) or heads < 1 or width % heads:
            where = self.file or "by the rule width / 64"
            raise InputError(
                f"{where}: num_attention_heads of the {network} must divide its width {width}, "
                f"was {heads!r}; name the right file with --config"
            )
        if config["hidden_act"] not in ACTIVATIONS:
            raise InputError(
                f"{self.file}: hidden_act of the {network} must be one of "
                f"{', '.join(ACTIVATIONS)}, was {config['hidden_act']!r}"
            )


def completed(config: dict) -> dict:
    """Returns a configuration of Hugging Face's with the keys that its file leaves out."""
    return {**_DEFAULTS, **config}


def heads_by_rule(width: int) -> int:
    """Returns the number of heads that google's code gives a network for want of a word."""
    return max(1, width // _HEAD_WIDTH)


def read_google_config(file: str | os.PathLike) -> GoogleConfig:
    """Reads google's JSON: of both networks, or one bare `BertConfig`, the discriminator's.

    Raises:
      InputError: the file cannot be read, is not JSON, or holds neither.
    """
    path = pathlib.Path(file)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; name google's JSON") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must be JSON, is not: {error}") from error
    found = _networks(values) if isinstance(values, dict) else {}
    if not found:
        raise InputError(
            f"{path} must be google's JSON: discriminator_bert_config and generator_bert_config, "
            "or the values of a bert config (num_attention_heads, hidden_act, ...); it has none"
        )
    settings = values.get("pretraining_config", values)
    lower = settings.get("do_lower_case") if isinstance(settings, dict) else None
    return GoogleConfig(path, found, lower if isinstance(lower, bool) else None)


def _networks(values: dict) -> dict:
    found = {}
    for network in NETWORKS:
        bert = values.get(f"{network}_bert_config")
        if isinstance(bert, dict):
            found[network] = bert
    if not found and "num_attention_heads" in values:
        found["discriminator"] = values
    return found


def google_config(
    generator: dict | None,
    discriminator: dict,
    sharing: str | None,
    do_lower_case: bool | None = None,
) -> dict:
    """Returns google's JSON for a pair of configurations.

    Args:
      generator: its `completed` configuration, or None where there is none.
      discriminator: its `completed` configuration.
      sharing: "shared", "untied" or "whole"; None without generator.
      do_lower_case: of the tokenizer; None where it is not known.

    Raises:
      InputError: google's code has no such networks, or no such pair.
    """
    _check_possible("discriminator", discriminator, ACTIVATIONS)
    pair = {"discriminator": discriminator}
    if generator is not None:
        # Its head has GELU whatever the layers have, in Hugging Face's model and ours.
        _check_possible("generator", generator, ("gelu",))
        _check_pair(generator, discriminator, sharing)
        pair["generator"] = generator
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
        for ours, name in (("hidden_size", "hidden_size"), ("num_hidden_layers", "layers")):
            settings[f"generator_{name}"] = generator[ours] / discriminator[ours]
    if do_lower_case is not None:
        settings["do_lower_case"] = do_lower_case
    written = {f"{name}_bert_config": _bert(config) for name, config in pair.items()}
    return {"pretraining_config": settings, **written}


def _bert(config: dict) -> dict:
    names = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act"]
    names += ["intermediate_size", "max_position_embeddings", "type_vocab_size", *_RATES]
    return {name: config[name] for name in names if name in config}


def _check_possible(network: str, config: dict, activations: tuple[str, ...]):
    for name, only in _FIXED.items():
        if config.get(name, only) != only:
            raise InputError(
                f"{name} of the {network} must be {only!r} in google's format, was "
                f"{config[name]!r}: its code has nothing else; write --as huggingface"
            )
    if config["hidden_act"] not in activations:
        raise InputError(
            f"hidden_act of the {network} must be one of {', '.join(activations)} in google's "
            f"format, was {config['hidden_act']!r}; write --as huggingface"
        )


def _check_pair(generator: dict, discriminator: dict, sharing: str):
    wanted = {
        name: discriminator[name]
        for name in ("vocab_size", "max_position_embeddings", "type_vocab_size", "hidden_act")
    }
    if sharing != "whole":
        wide = generator["hidden_size"]
        wanted |= {"num_attention_heads": heads_by_rule(wide), "intermediate_size": 4 * wide}
    for name, value in wanted.items():
        if generator[name] != value:
            raise InputError(
                f"{name} of the generator must be {value!r} in google's format, which derives it "
                f"from the discriminator, was {generator[name]!r}; write --as huggingface"
            )
