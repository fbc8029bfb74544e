"""The README.md of a published network: what is known of it, and what is not."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping

# Of the two networks: what it does, its class, and whose metrics are its own.
_ROLES = {
    "generator": (
        "the generator: it fills blanks ([MASK])",
        "ElectraForMaskedLM",
        "mlm_",
        "fill-mask",
    ),
    "discriminator": (
        "the discriminator, the network to fine-tune: it tells for each token whether it was "
        "replaced",
        "ElectraForPreTraining",
        "rtd_",
        None,
    ),
}
_SHARING = {
    "shared": "the tables of words, positions and segments and their LayerNorm",
    "word_only": "the table of words",
    "untied": "nothing",
    "whole": "everything but the heads: they are one encoder, and both folders hold it",
    "gdes": "nothing in these files; in training the discriminator's tables were the generator's "
    "plus differences, and the files hold the sums",
}
_UNKNOWN = "not recorded"


@dataclasses.dataclass(frozen=True)
class Training:
    """What a run says of itself, plain values as JSON has them.

    Attributes:
      step, last_step: of the checkpoint, and of the run once it ends.
      settings: of loop and optimizer.
      oddities: of the original code that it reproduced, by name.
      phases: of each its steps, batch and length, the weights of the networks, and `data`, the
        hash of examples of its own, or None.
      masking: which tokens were predicted.
      sharing: what the networks share.
      data: of what it was trained on: name, numbers of examples, length; what is missing is not
        known.
      data_hash: of the examples.
      vocabulary: its kind, size, casing and hash.
      metrics: held-out, with their step; nothing where none were measured.
      initial: of each network that did not begin from random values, where they came from.
      versions: of the programs.
    """

    step: int
    last_step: int
    settings: Mapping
    oddities: tuple
    phases: list
    masking: Mapping
    sharing: str
    data: Mapping
    data_hash: str
    vocabulary: Mapping
    metrics: Mapping
    initial: Mapping
    versions: Mapping


def write_card(network: str, config: Mapping, parameters: int, training: Training) -> str:
    """Returns the text of a card.

    Args:
      network: `generator` or `discriminator`.
      config: content of its config.json.
      parameters: their number.
      training: of the run.
    """
    what, cls, _, _ = _ROLES[network]
    other = "generator" if network == "discriminator" else "discriminator"
    parts = [
        _front_matter(network),
        f"# An ELECTRA {network}",
        f"This is {what} ([paper](https://arxiv.org/abs/2003.10555)). It was pre-trained with "
        f"`official_nlp`, ELECTRA for TensorFlow, together with its {other}, which belongs into a "
        f"folder `{other}` beside this one. They share {_SHARING[training.sharing]}.",
        _loading(cls, training.vocabulary),
        "## Sizes\n\n" + _table(_sizes(config, parameters)),
        "## Data\n\n" + _table(_data(training)),
        "## Training\n\n" + _table(_training(training)) + _beginning(training),
        "## Results\n\n" + _results(network, training),
        "## What is not known\n\n"
        "Licence and language of the text, and what biases it has: whoever publishes this must "
        "say it. It has been measured on its own objective alone, not on tasks.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(network) -> str:
    pipeline = _ROLES[network][3]
    lines = ["---", "library_name: transformers", "tags:", "- electra", "- pretraining"]
    lines += [f"- {network}"]
    lines += [f"pipeline_tag: {pipeline}"] if pipeline else []
    return "\n".join([*lines, "---"])


def _loading(cls, vocabulary) -> str:
    lines = [
        "## Loading",
        "",
        "Both read the folder that this file lies in:",
        "",
        "```python",
        "import official_nlp as nlp",
        "",
        f'model = nlp.models.{cls}.from_pretrained("FOLDER")',
        'tokenizer = nlp.data.ElectraTokenizer.from_pretrained("FOLDER")',
        "```",
        "",
        "```python",
        "import transformers",
        "",
        f'model = transformers.{cls}.from_pretrained("FOLDER")',
    ]
    if vocabulary.get("kind") == "wordpiece":
        lines += ['tokenizer = transformers.ElectraTokenizerFast.from_pretrained("FOLDER")', "```"]
    else:
        lines += ["```", "", "Transformers has no ELECTRA tokenizer for a SentencePiece model."]
    return "\n".join(lines)


# === Tables ===


def _table(rows: Mapping) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _sizes(config, parameters) -> dict:
    return {
        "parameters": f"{parameters:,}",
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "attention heads": config["num_attention_heads"],
        "width of the feed-forward layers": config["intermediate_size"],
        "width of the embeddings": config["embedding_size"],
        "longest row, tokens": config["max_position_embeddings"],
        "rows of the word table": f"{config['vocab_size']:,}",
        "activation": config["hidden_act"],
    }


def _data(training) -> dict:
    data, words = training.data, training.vocabulary
    case = "lower-cased" if words["lower_case"] else "cased"
    rows = {
        "name": f"`{data['name']}`" if "name" in data else _UNKNOWN,
        "examples": _number(data.get("train")),
        "held out": _number(data.get("held_out")),
        "tokens of an example, at most": _number(data.get("length")),
        "hash of the examples (sha256)": f"`{training.data_hash}`",
        "vocabulary": f"{words['kind']}, {words['size']:,} tokens, {case}",
        "hash of the vocabulary (sha256)": f"`{words['hash']}`",
    }
    rows |= {name: _number(data.get(name)) for name in ("documents", "words") if name in data}
    return rows


def _number(value) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _training(training) -> dict:
    settings = training.settings
    whole = "" if training.step == training.last_step else f" of {training.last_step:,} planned"
    rows = {"steps": f"{training.step:,}{whole}"}
    for number, phase in enumerate(training.phases, start=1):
        rows[f"phase {number}"] = (
            f"{phase['steps']:,} steps of {phase['batch_size']:,} rows of {phase['length']} "
            f"tokens; weights of the losses: generator {phase['generator_weight']:g}, "
            f"discriminator {phase['discriminator_weight']:g}"
            + (f"; examples of its own, hash `{phase['data']}`" if phase.get("data") else "")
        )
    rows |= {
        "learning rate": f"{settings['learning_rate']:g}, warm-up of "
        f"{settings['warmup_steps']:,} steps, then to 0 at the last step (power "
        f"{settings['decay_power']:g})",
        "optimizer": f"AdamW, betas {settings['beta_1']:g} and {settings['beta_2']:g}, epsilon "
        f"{settings['epsilon']:g}, weight decay {settings['weight_decay']:g}, clipped at "
        f"{settings['clip']}",
        "predicted tokens": _masking(training.masking),
        "number format": settings["policy"],
        "seed": settings["seed"],
        "oddities of the original code": ", ".join(training.oddities) or "none",
        "programs": ", ".join(f"{name} {value}" for name, value in training.versions.items()),
    }
    return rows


def _masking(masking) -> str:
    units = "whole words" if masking.get("whole_word") else "tokens"
    return (
        f"{masking['probability']:.3g} of the {units}, of which {masking['replaced']:.3g} become "
        "[MASK]"
    )


def _beginning(training) -> str:
    if not training.initial:
        return "\n\nAll variables began at random."
    lines = ["\n\nOptimizer and step were fresh; the first values of the variables came from:\n"]
    for network in _ROLES:
        found = training.initial.get(network)
        lines.append(
            f"- {network}: {_file(found) if found else 'at random, but for what they share'}"
        )
    return "\n".join(lines)


def _file(found) -> str:
    # Where it lay on someone's machine is nobody's business.
    name = pathlib.PurePath(found["path"]).name
    return (
        f"{found['kind']}, `{name}` (sha256 of the tensors `{found['sha256']}`), "
        f"{found.get('loaded', 0)} tensors"
    )


def _results(network, training) -> str:
    prefix = _ROLES[network][2]
    metrics = {name: x for name, x in training.metrics.items() if name.startswith(prefix)}
    if not metrics:
        return "Up to this step nothing was measured on text that was held out."
    shown = {name: "-" if x is None or math.isnan(x) else f"{x:.4f}" for name, x in metrics.items()}
    return (
        f"On the examples held out, at step {training.metrics['step']:,}, masked once and for all; "
        "the README of `official_nlp` says what each figure means.\n\n" + _table(shown)
    )
