"""Write the model card of a pre-trained network, from the records of its run."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from official_nlp.reference_quirks import ReferenceQuirks


class _Role(NamedTuple):
    """The entries in which the cards of the two networks differ.

    Attributes:
      purpose: what the network computes, as a predicate.
      architecture: class that loads it.
      metrics: prefix of the metrics that measure it.
      pipeline: task of a transformers pipeline, or None.
    """

    purpose: str
    architecture: str
    metrics: str
    pipeline: str | None


_ROLES = {
    "generator": _Role(
        "the generator, which fills in masked tokens ([MASK])",
        "ElectraForMaskedLM",
        "mlm_",
        "fill-mask",
    ),
    "discriminator": _Role(
        "the discriminator, the network to fine-tune, which detects for each token whether it was "
        "replaced",
        "ElectraForPreTraining",
        "rtd_",
        None,
    ),
}
NETWORKS = tuple(_ROLES)
_SHARING = {
    "shared": "the tables of words, positions and segments and their LayerNorm",
    "word_only": "the table of words",
    "untied": "no variables",
    "whole": "all variables but the heads: they are one encoder, which both folders contain",
    "gdes": "no tables in these files; during training the discriminator's tables were the "
    "generator's plus learned differences, and the files contain the sums",
}
_LOSSES = {"mlm": "masked language modelling", "rtd": "replaced token detection"}
_UNKNOWN = "not recorded"


@dataclasses.dataclass(frozen=True)
class Training:
    """Records of a run, as plain values of JSON.

    Attributes:
      step: step of the checkpoint.
      last_step: last step of the complete run.
      settings: settings of the loop and the optimizer, a `TrainingConfig` as a dict.
      phases: phases as dicts with steps, batch_size, length and loss_weights, and with `data`, the
        hash of examples of their own, or None.
      masking: selection of the predicted tokens, a `MaskingConfig` as a dict.
      sharing: how the networks share variables, one of the modes of `ElectraPretrainer`.
      data: name, counts and length of the training examples; missing entries are unknown.
      data_hash: hash of the examples.
      vocabulary: kind, size, casing and hash of the vocabulary.
      metrics: metrics on the held-out set, with their `step`; empty without evaluation.
      warm_start: for each network that was initialized from pretrained weights, their origin.
      versions: versions of the programs by name.
    """

    step: int
    last_step: int
    settings: Mapping[str, Any]
    phases: Sequence[Mapping[str, Any]]
    masking: Mapping[str, Any]
    sharing: str
    data: Mapping[str, Any]
    data_hash: str
    vocabulary: Mapping[str, Any]
    metrics: Mapping[str, Any]
    warm_start: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]


def write_card(network: str, config: Mapping[str, Any], parameters: int, training: Training) -> str:
    """Return the text of a model card, in Markdown with metadata for the Hugging Face hub.

    Args:
      network: name of the network, one of `NETWORKS`.
      config: content of its config.json.
      parameters: number of its parameters.
      training: records of the run.
    """
    role = _ROLES[network]
    other = "generator" if network == "discriminator" else "discriminator"
    parts = [
        _front_matter(network, role),
        f"# An ELECTRA {network}",
        f"This is {role.purpose} ([paper](https://arxiv.org/abs/2003.10555)). It was pre-trained "
        f"with `official_nlp`, ELECTRA for TensorFlow, together with its {other}, which belongs "
        f"into a folder `{other}` beside this one. The two networks share "
        f"{_SHARING[training.sharing]}.",
        _loading(role.architecture, training.vocabulary),
        "## Sizes\n\n" + _table(_sizes(config, parameters)),
        "## Data\n\n" + _table(_data(training)),
        "## Training\n\n" + _table(_training(training)) + "\n\n" + _warm_start(training),
        "## Results\n\n" + _results(role.metrics, training),
        "## What is not known\n\n"
        "The licence and the language of the text and its biases are not recorded: whoever "
        "publishes this model should add them. The model was evaluated on its pre-training "
        "objective only, not on downstream tasks.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(network: str, role: _Role) -> str:
    lines = ["---", "library_name: transformers", "tags:", "- electra", "- pretraining"]
    lines += [f"- {network}"]
    lines += [f"pipeline_tag: {role.pipeline}"] if role.pipeline else []
    return "\n".join([*lines, "---"])


def _loading(architecture: str, vocabulary: Mapping[str, Any]) -> str:
    lines = [
        "## Loading",
        "",
        "Both libraries load the folder that contains this file:",
        "",
        "```python",
        "import official_nlp as nlp",
        "",
        f'model = nlp.models.{architecture}.from_pretrained("FOLDER")',
        'tokenizer = nlp.data.ElectraTokenizer.from_pretrained("FOLDER")',
        "```",
        "",
        "```python",
        "import transformers",
        "",
        f'model = transformers.{architecture}.from_pretrained("FOLDER")',
    ]
    if vocabulary.get("kind") == "wordpiece":
        lines += ['tokenizer = transformers.ElectraTokenizerFast.from_pretrained("FOLDER")', "```"]
    else:
        lines += ["```", "", "Transformers has no ELECTRA tokenizer for a SentencePiece model."]
    return "\n".join(lines)


# === Tables ===


def _table(rows: Mapping[str, Any]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _sizes(config: Mapping[str, Any], parameters: int) -> dict[str, Any]:
    return {
        "parameters": f"{parameters:,}",
        "layers": config["num_hidden_layers"],
        "hidden size": config["hidden_size"],
        "attention heads": config["num_attention_heads"],
        "width of the feed-forward layers": config["intermediate_size"],
        "width of the embeddings": config["embedding_size"],
        "maximum sequence length, tokens": config["max_position_embeddings"],
        "rows of the word table": f"{config['vocab_size']:,}",
        "activation": config["hidden_act"],
    }


def _data(training: Training) -> dict[str, str]:
    data, vocabulary = training.data, training.vocabulary
    casing = "lower-cased" if vocabulary["lower_case"] else "cased"
    rows = {
        "name": f"`{data['name']}`" if "name" in data else _UNKNOWN,
        "training examples": _number(data.get("train")),
        "held-out examples": _number(data.get("held_out")),
        "maximum length of an example, tokens": _number(data.get("length")),
        "hash of the examples (sha256)": f"`{training.data_hash}`",
        "vocabulary": f"{vocabulary['kind']}, {vocabulary['size']:,} tokens, {casing}",
        "hash of the vocabulary (sha256)": f"`{vocabulary['hash']}`",
    }
    rows |= {name: _number(data.get(name)) for name in ("documents", "words") if name in data}
    return rows


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _training(training: Training) -> dict[str, Any]:
    settings = training.settings
    planned = "" if training.step == training.last_step else f" of {training.last_step:,} planned"
    rows = {"steps": f"{training.step:,}{planned}"}
    for number, phase in enumerate(training.phases, start=1):
        rows[f"phase {number}"] = _phase(phase)
    rows |= {
        "learning rate": f"{settings['learning_rate']:g}, warm-up over "
        f"{settings['warmup_steps']:,} steps, then decay to 0 at the last step (power "
        f"{settings['decay_power']:g})",
        "optimizer": f"AdamW, betas {settings['beta_1']:g} and {settings['beta_2']:g}, epsilon "
        f"{settings['epsilon']:g}, weight decay {settings['weight_decay']:g}, "
        f"{_clipping(settings)}",
        "predicted tokens": _masking(training.masking),
        "precision policy": settings["policy"],
        "seed": settings["seed"],
        "reference quirks": _reference_quirks(settings.get("reference_quirks", {})),
        "versions": ", ".join(f"{name} {value}" for name, value in training.versions.items()),
    }
    return rows


def _clipping(settings: Mapping[str, Any]) -> str:
    clip = settings["clip"]
    return "gradients not clipped" if clip is None else f"gradients clipped to norm {clip:g}"


def _phase(phase: Mapping[str, Any]) -> str:
    weights = ", ".join(
        f"{_LOSSES.get(name, name)} {weight:g}" for name, weight in phase["loss_weights"].items()
    )
    own_data = f"; its own examples, hash `{phase['data']}`" if phase.get("data") else ""
    probability = phase.get("mask_probability")
    own_mask = "" if probability is None else f"; predicted tokens: {probability:.3g}"
    return (
        f"{phase['steps']:,} steps of {phase['batch_size']:,} sequences of {phase['length']} "
        f"tokens; loss weights: {weights}{own_mask}{own_data}"
    )


def _masking(masking: Mapping[str, Any]) -> str:
    units = "whole words" if masking.get("whole_word") else "tokens"
    return (
        f"{masking['probability']:.3g} of the {units}, of which {masking['replaced']:.3g} are "
        "replaced by [MASK]"
    )


def _reference_quirks(quirks: Mapping[str, bool]) -> str:
    """Return the quirks of google-research/electra that the run reproduced."""
    defaults = dataclasses.asdict(ReferenceQuirks())
    changed = [f"{name}={x}" for name, x in quirks.items() if x != defaults.get(name)]
    return ", ".join(changed) or "none"


def _warm_start(training: Training) -> str:
    if not training.warm_start:
        return "All variables were initialized randomly."
    lines = ["Optimizer and step started anew; the variables were initialized as follows:\n"]
    for network in NETWORKS:
        origin = training.warm_start.get(network)
        lines.append(
            f"- {network}: {_origin(origin) if origin else 'randomly, except for shared variables'}"
        )
    return "\n".join(lines)


def _origin(origin: Mapping[str, Any]) -> str:
    # Only the name: the path on somebody's machine does not belong into a public card.
    name = pathlib.PurePath(origin["path"]).name
    return (
        f"from {origin['kind']}, `{name}` (sha256 of the tensors `{origin['sha256']}`), "
        f"{origin.get('loaded', 0)} tensors"
    )


def _results(prefix: str, training: Training) -> str:
    metrics = {name: x for name, x in training.metrics.items() if name.startswith(prefix)}
    if not metrics:
        return "No evaluation on the held-out set was recorded up to this step."
    shown = {name: "-" if x is None or math.isnan(x) else f"{x:.4f}" for name, x in metrics.items()}
    return (
        f"Metrics on the held-out set at step {training.metrics['step']:,}, with fixed masks; the "
        "README of `official_nlp` explains each metric.\n\n" + _table(shown)
    )
