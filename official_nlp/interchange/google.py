"""Checkpoints of google-research's code (TensorFlow 1): both networks out of one, and into one."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable

import numpy as np

from official_nlp.errors import InputError, StorageError
from official_nlp.files import safe_paths
from official_nlp.interchange import google_names
from official_nlp.interchange.google_config import (
    NETWORKS,
    GoogleConfig,
    completed,
    google_config,
    read_google_config,
)
from official_nlp.interchange.google_names import NamedVariable, Shapes, Sizes
from official_nlp.interchange.huggingface import PREFIX
from official_nlp.interchange.tensorflow_files import (
    STATE_FILE,
    Variables,
    find_checkpoint,
    state_of,
)
from official_nlp.interchange.weights import OUTPUT_TABLE, WORD_TABLE, Network

CONFIG_FILE = "config.json"
VOCABULARY_FILE = "vocab.txt"

_STEP = "global_step"
_OBJECT_BASED = "/.ATTRIBUTES/"
_TABLES = "electra.embeddings."

# Why a variable is left out, by the beginning of its name; the rest is explained in `_reason`.
_NO_PLACE = {
    "task_specific/": "a fine-tuned task, for which Hugging Face has other heads",
    "generator_ltr/": "a generator of two towers, which Hugging Face has not",
    "generator_rtl/": "a generator of two towers, which Hugging Face has not",
    "cloze_predictions/": "the head of Electric, which Hugging Face has not",
}
_HEADS = {
    "generator": ("ElectraForMaskedLM", "generator_predictions/", google_names.generator_head),
    "discriminator": (
        "ElectraForPreTraining",
        "discriminator_predictions/",
        google_names.discriminator_head,
    ),
}


@dataclasses.dataclass(frozen=True)
class GoogleCheckpoint:
    """A checkpoint of google's: what it holds, and what became of it.

    Attributes:
      prefix: path of its files, without their endings.
      networks: "generator" and "discriminator", or the one that is there.
      sharing: "shared": one set of tables; "untied": the generator has its own; "whole": one
        transformer is both; None for a single network.
      step: of the training; None where it is not known.
      converted: names of the variables that have a counterpart.
      dropped: names of the others, by the reason.
      notes: sentences on what was assumed, and on what is not there.
      config: the JSON that heads and activation are from; None where there was none.
      do_lower_case: of the tokenizer; None where nothing says it.
      vocabulary: the vocabulary file beside it, or None.
      assumed: fields of the configurations that no JSON says.
    """

    prefix: pathlib.Path
    networks: dict[str, Network]
    sharing: str | None
    step: int | None
    converted: tuple[str, ...]
    dropped: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    config: pathlib.Path | None = None
    do_lower_case: bool | None = None
    vocabulary: pathlib.Path | None = None
    assumed: tuple[str, ...] = ()


# === Reading ===


def read_google(
    source: str | os.PathLike, config: str | os.PathLike | None = None
) -> GoogleCheckpoint:
    """Reads both networks of a checkpoint, or the one that it holds.

    Args:
      source: the path without the files' endings, one of the files, or their folder.
      config: google's JSON, which says what variables do not: heads and activation. By default
        `config.json` beside the checkpoint, if it is such a file; else heads are width / 64.

    Raises:
      InputError: there is no checkpoint, it cannot be read, it holds no network of ELECTRA or a
        part of one, or the JSON is another's.
    """
    prefix = find_checkpoint(source)
    checkpoint = Variables(prefix)
    said = read_google_config(config) if config is not None else _config_beside(prefix)
    parts = _parts(checkpoint.shapes, prefix)
    sharing = _sharing(parts)
    networks, notes, converted, by_rule = {}, _absences(parts), {}, set()
    for network, part in parts.items():
        sizes = Sizes.of_variables(checkpoint.shapes, part.scope, part.tables)
        values, assumed = said.describe(network, sizes, whole=sharing == "whole")
        notes += assumed
        by_rule |= said.not_told(network, whole=sharing == "whole")
        variables = part.variables(sizes)
        _check_variables(checkpoint.shapes, variables, prefix)
        read = {v: checkpoint.read(v.variable).astype(np.float32) for v in variables}
        state = {v.name: v.turned(value) for v, value in read.items()}
        networks[network] = Network({**values, "architectures": [part.architecture]}, state)
        converted |= dict.fromkeys(v.variable for v in variables)
    return GoogleCheckpoint(
        prefix=prefix,
        networks=networks,
        sharing=sharing,
        step=int(checkpoint.read(_STEP)) if _STEP in checkpoint.shapes else None,
        converted=tuple(converted),
        dropped=_dropped(checkpoint.shapes, converted),
        notes=tuple(notes),
        config=said.file,
        do_lower_case=said.do_lower_case,
        vocabulary=_file_beside(prefix, VOCABULARY_FILE),
        assumed=tuple(sorted(by_rule)),
    )


def _file_beside(prefix: pathlib.Path, name: str) -> pathlib.Path | None:
    there = prefix.with_name(name).is_file()
    return safe_paths.inside(prefix.parent, name) if there else None


def _config_beside(prefix: pathlib.Path) -> GoogleConfig:
    file = _file_beside(prefix, CONFIG_FILE)
    try:
        return read_google_config(file) if file else GoogleConfig()
    except InputError:  # some other program's
        return GoogleConfig()


@dataclasses.dataclass(frozen=True)
class _Part:
    """One network in a checkpoint: in which scopes its variables are."""

    network: str
    scope: str
    tables: str
    has_head: bool = True

    @property
    def architecture(self) -> str:
        return _HEADS[self.network][0] if self.has_head else "ElectraModel"

    def variables(self, sizes: Sizes) -> list[NamedVariable]:
        found = google_names.tables(self.tables, sizes) + google_names.blocks(self.scope, sizes)
        return found + (_HEADS[self.network][2](sizes) if self.has_head else [])


def _parts(shapes: Shapes, prefix: pathlib.Path) -> dict[str, _Part]:
    """Finds the networks of a checkpoint."""

    def has(scope):
        return any(name.startswith(scope) for name in shapes)

    has_head = {network: has(_HEADS[network][1]) for network in NETWORKS}
    trunk = has("electra/encoder/")
    own_tables = "generator/embeddings" if has("generator/embeddings/") else "electra/embeddings"
    parts = {}
    if has("generator/encoder/"):
        parts["generator"] = _Part("generator", "generator", own_tables, has_head["generator"])
    elif trunk and has_head["generator"] and not _has_towers(shapes):
        parts["generator"] = _Part("generator", "electra", "electra/embeddings")
    # Trained as BERT is, the one transformer is a generator and no discriminator.
    if trunk and (has_head["discriminator"] or "electra" not in _scopes(parts)):
        parts["discriminator"] = _Part(
            "discriminator", "electra", "electra/embeddings", has_head["discriminator"]
        )
    if not parts:
        raise InputError(_no_network(shapes, prefix))
    return parts


def _has_towers(shapes: Iterable[str]) -> bool:
    """Whether the generator is two towers, left to right and right to left, as Electric's."""
    return any(name.startswith(("generator_ltr/", "generator_rtl/")) for name in shapes)


def _scopes(parts: dict[str, _Part]) -> set[str]:
    return {part.scope for part in parts.values()}


def _no_network(shapes: Shapes, prefix: pathlib.Path) -> str:
    if any(_OBJECT_BASED in name for name in shapes):
        return (
            f"{prefix} is a checkpoint of TensorFlow 2, not of google-research's code; one of an "
            "ElectraPretrainer is read with --from tfnlp"
        )
    some = ", ".join(sorted(shapes)[:3]) or "none"
    return (
        f"{prefix} must hold variables of ELECTRA (electra/encoder/layer_0/...), had "
        f"{len(shapes)} others: {some}; it is another model's checkpoint"
    )


def _sharing(parts: dict[str, _Part]) -> str | None:
    if len(parts) == 1:
        return None
    generator, discriminator = (parts[network] for network in NETWORKS)
    if generator.scope == discriminator.scope:
        return "whole"
    return "shared" if generator.tables == discriminator.tables else "untied"


def _absences(parts: dict[str, _Part]) -> list[str]:
    notes = [f"no {network} in it" for network in NETWORKS if network not in parts]
    return notes + [
        f"{network}: no {_HEADS[network][1][:-1]} in it, so it is an encoder without head, "
        "ElectraModel"
        for network, part in parts.items()
        if not part.has_head
    ]


def _check_variables(shapes: Shapes, variables: list[NamedVariable], prefix: pathlib.Path):
    missing = [v.variable for v in variables if v.variable not in shapes]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{prefix} must hold a whole network, lacks {missing[0]}{more}; convert another "
            "checkpoint of the run"
        )
    for variable in variables:
        if tuple(shapes[variable.variable]) != variable.shape:
            raise InputError(
                f"{prefix}: {variable.variable} must be {list(variable.shape)} to fit the other "
                f"variables, was {list(shapes[variable.variable])}"
            )


def _dropped(shapes: Shapes, converted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    dropped = {}
    for name in sorted(set(shapes) - set(converted)):
        dropped.setdefault(_reason(name, shapes), []).append(name)
    return {reason: tuple(names) for reason, names in dropped.items()}


def _reason(name: str, shapes: Shapes) -> str:
    # The scope of a slot is the variable that it belongs to.
    if name.rpartition("/")[0] in shapes or name in ("beta1_power", "beta2_power"):
        return "state of the optimizer"
    for part, reason in ((_STEP, "the step"), ("temperature", "of the sampling, not of a network")):
        if part in name.split("/"):
            return reason
    for scope, reason in _NO_PLACE.items():
        if name.startswith(scope):
            return reason
    if name.startswith("generator_predictions/") and _has_towers(shapes):
        return _NO_PLACE["generator_ltr/"]
    return "unknown to ELECTRA"


# === Writing ===


def write_google(
    folder: str | os.PathLike,
    networks: dict[str, Network],
    step: int = 0,
    do_lower_case: bool | None = None,
) -> GoogleCheckpoint:
    """Writes networks as a checkpoint that google-research's code restores.

    `folder` gets `model.ckpt-STEP`, the file `checkpoint` that names it, and google's JSON. The
    optimizer's state is not among the variables.

    Args:
      folder: where to; made if need be.
      networks: "discriminator", and mostly "generator".
      step: what `global_step` says.
      do_lower_case: written into the JSON; None where it is not known.

    Raises:
      InputError: google's code has no such networks or no such pair, or tensors are missing.
      StorageError: the folder cannot be written.
    """
    if "discriminator" not in networks:
        raise InputError(
            "google's format needs a discriminator, and had none: give a folder that holds "
            "generator/ and discriminator/, or a discriminator"
        )
    configs = {name: completed(networks[name].config) for name in NETWORKS if name in networks}
    sharing = _sharing_of(networks)
    values = google_config(
        configs.get("generator"), configs["discriminator"], sharing, do_lower_case
    )
    parts = _parts_to_write(networks, sharing)
    variables, dropped = {}, {}
    for name, part in parts.items():
        tensors = part.variables(Sizes.of_config(configs[name]))
        variables |= _as_variables(name, tensors, networks[name].state)
        left = set(networks[name].state) - {t.name for t in tensors}
        _drop(dropped, name, left, networks[name].state)
    prefix = pathlib.Path(folder) / f"model.ckpt-{step}"
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        _save(prefix, {**variables, _STEP: np.int64(step)})
        (prefix.parent / STATE_FILE).write_text(state_of(prefix), encoding="utf-8")
        content = json.dumps(values, indent=2) + "\n"
        (prefix.parent / CONFIG_FILE).write_text(content, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write the checkpoint to {folder}: {error.strerror}; name a folder that can "
            "be written, on a disk with room"
        ) from error
    return GoogleCheckpoint(
        prefix=prefix,
        networks=networks,
        sharing=sharing,
        step=step,
        converted=tuple(variables),
        dropped={reason: tuple(names) for reason, names in dropped.items()},
        do_lower_case=do_lower_case,
    )


def _sharing_of(networks: dict[str, Network]) -> str | None:
    """Returns what the pair has in common, in a form that google's format has.

    Raises:
      InputError: the generator's tables are others, and google's code would have no room for them.
    """
    if "generator" not in networks:
        return None
    generator, discriminator = (networks[name] for name in NETWORKS)
    differing = [
        name
        for name in _tables_in(generator, discriminator)
        if not _equal(generator.state.get(name), discriminator.state.get(name))
    ]
    if differing:
        _check_own_tables(completed(generator.config), differing)
        return "untied"
    encoders = (
        {name: value for name, value in network.state.items() if name.startswith(PREFIX)}
        for network in (generator, discriminator)
    )
    first, second = encoders
    same = first.keys() == second.keys() and all(_equal(first[n], second[n]) for n in first)
    return "whole" if same else "shared"


def _check_own_tables(config: dict, differing: list[str]):
    if config["embedding_size"] != config["hidden_size"]:
        raise InputError(
            f"the generator's {differing[0]} must equal the discriminator's, and does not: in "
            "google's format a generator has tables of its own only where they are as wide as its "
            f"layers, and these are {config['embedding_size']} and {config['hidden_size']} wide; "
            "give two networks of one run, or write --as huggingface"
        )


def _tables_in(*networks: Network) -> list[str]:
    return sorted({name for n in networks for name in n.state if name.startswith(_TABLES)})


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _parts_to_write(networks: dict[str, Network], sharing: str | None) -> dict[str, _Part]:
    head = _HEADS["discriminator"][2](Sizes.of_config(completed(networks["discriminator"].config)))
    has_head = any(tensor.name in networks["discriminator"].state for tensor in head)
    parts = {"discriminator": _Part("discriminator", "electra", "electra/embeddings", has_head)}
    if sharing is not None:
        scope = "electra" if sharing == "whole" else "generator"
        tables = "generator/embeddings" if sharing == "untied" else "electra/embeddings"
        parts["generator"] = _Part("generator", scope, tables)
    return parts


def _as_variables(network: str, tensors: list[NamedVariable], state: dict) -> dict:
    variables = {}
    for tensor in tensors:
        value = state.get(tensor.name)
        if value is None:
            raise InputError(
                f"the {network} must have {tensor.name} to be written in google's format, and has "
                "not; give a network that was pre-trained, with its head"
            )
        value = tensor.turned(np.asarray(value, np.float32))
        if value.shape != tensor.shape:
            raise InputError(
                f"{tensor.variable} must be {list(tensor.shape)} as the {network}'s configuration "
                f"says, was {list(value.shape)}; give the config.json of these tensors"
            )
        variables[tensor.variable] = value
    return variables


def _drop(dropped: dict, network: str, names: Iterable[str], state: dict):
    for name in sorted(names):
        if name == OUTPUT_TABLE:
            if not _equal(state[name], state[WORD_TABLE]):
                raise InputError(
                    f"{OUTPUT_TABLE} must equal the word table in google's format, which has none, "
                    "and does not; write --as huggingface"
                )
            reason = "the word table again"
        else:
            reason = "no part of google's format"
        dropped.setdefault(reason, []).append(f"{network}: {name}")


def _save(prefix: pathlib.Path, variables: dict):
    import tensorflow as tf

    try:
        tf.raw_ops.SaveV2(
            prefix=os.fspath(prefix),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=[tf.convert_to_tensor(value) for value in variables.values()],
        )
    except tf.errors.OpError as error:
        raise StorageError(f"cannot write {prefix}: {error.message}") from error
