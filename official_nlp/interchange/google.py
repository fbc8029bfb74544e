"""Read and write checkpoints of google-research/electra (TensorFlow 1) with both networks."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from official_nlp.errors import InputError, StorageError
from official_nlp.files import plain_paths
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
    VOCABULARY_FILE,
    Variables,
    file_beside,
    find_checkpoint,
    state_text,
)
from official_nlp.interchange.weights import EMBEDDINGS, OUTPUT_TABLE, WORD_TABLE, Weights

CONFIG_FILE = "config.json"

_STEP = "global_step"
_OBJECT_BASED = "/.ATTRIBUTES/"

# Reasons for dropping a variable, by the prefix of its name; `_reason` knows the others.
_UNSUPPORTED = {
    "task_specific/": "a fine-tuned task, for which Hugging Face has other heads",
    "generator_ltr/": "a generator of two towers, which Hugging Face lacks",
    "generator_rtl/": "a generator of two towers, which Hugging Face lacks",
    "cloze_predictions/": "the head of Electric, which Hugging Face lacks",
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
    """The networks of a google-research checkpoint, and which variables were converted.

    Attributes:
      prefix: path of its files, without their suffixes.
      networks: "generator" and "discriminator", or the one that it holds.
      sharing: "shared": one set of tables; "untied": the generator has tables of its own; "whole":
        one transformer is both networks; None for a single network.
      step: step of the training; None if unknown.
      converted: names of the variables that have a counterpart.
      dropped: names of the others, by reason.
      notes: sentences on what was assumed and what is missing.
      config: the JSON file that states heads and activation; None without one.
      do_lower_case: whether the tokenizer lower-cases; None if unknown.
      vocabulary: the vocabulary file beside the checkpoint, or None.
      assumed: fields of the configurations that no JSON file states.
    """

    prefix: pathlib.Path
    networks: Mapping[str, Weights]
    sharing: str | None
    step: int | None
    converted: tuple[str, ...]
    dropped: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    config: pathlib.Path | None = None
    do_lower_case: bool | None = None
    vocabulary: pathlib.Path | None = None
    assumed: tuple[str, ...] = ()


# === Reading ===


def read_google(
    source: str | os.PathLike, config: str | os.PathLike | None = None
) -> GoogleCheckpoint:
    """Read both networks of a checkpoint, or the one that it holds.

    Args:
      source: path of the files without their suffixes, one of the files, or their folder.
      config: JSON file that states what variables do not show: heads and activation. The default is
        `config.json` beside the checkpoint if it is such a file; without one, heads are width / 64.

    Raises:
      InputError: there is no checkpoint, it cannot be read, it holds no complete ELECTRA network,
        or the JSON file belongs to another checkpoint.
    """
    # The names of the variables determine the networks, their shapes the sizes, and the JSON file
    # the rest. Values are read last, variable by variable: the checkpoint also holds two slots of
    # the optimizer for each, which are never loaded.
    prefix = find_checkpoint(source)
    checkpoint = Variables(prefix)
    json_file = read_google_config(config) if config is not None else _config_beside(prefix)
    parts = _parts(checkpoint.shapes, prefix)
    sharing = _sharing_of_parts(parts)
    networks: dict[str, Weights] = {}
    notes, assumed = _absences(parts), set()
    converted: dict[str, None] = {}  # ordered, without duplicates: networks share variables
    for network, part in parts.items():
        sizes = Sizes.from_variables(checkpoint.shapes, part.scope, part.tables)
        values, more_notes = json_file.describe(network, sizes, whole=sharing == "whole")
        notes += more_notes
        assumed |= json_file.unstated(network, whole=sharing == "whole")
        variables = part.variables(sizes)
        _check_variables(checkpoint.shapes, variables, prefix)
        read = {v: checkpoint.read(v.variable).astype(np.float32) for v in variables}
        arrays = {v.name: v.transposed(value) for v, value in read.items()}
        networks[network] = Weights({**values, "architectures": [part.architecture]}, arrays)
        converted |= dict.fromkeys(v.variable for v in variables)
    return GoogleCheckpoint(
        prefix=prefix,
        networks=networks,
        sharing=sharing,
        step=_step(checkpoint),
        converted=tuple(converted),
        dropped=_dropped(checkpoint.shapes, converted),
        notes=tuple(notes),
        config=json_file.file,
        do_lower_case=json_file.do_lower_case,
        vocabulary=file_beside(prefix, VOCABULARY_FILE),
        assumed=tuple(sorted(assumed)),
    )


def _step(checkpoint: Variables) -> int | None:
    if _STEP not in checkpoint.shapes:
        return None
    value = np.asarray(checkpoint.read(_STEP))
    if value.shape != () or value.dtype.kind not in "iu":
        raise InputError(
            f"{checkpoint.prefix}: {_STEP} must be an integer, was {value.dtype.name} "
            f"{list(value.shape)}; copy the checkpoint again"
        )
    return int(value)


def _config_beside(prefix: pathlib.Path) -> GoogleConfig:
    file = file_beside(prefix, CONFIG_FILE)
    try:
        return read_google_config(file) if file else GoogleConfig()
    except InputError:  # the config.json of another program
        return GoogleConfig()


@dataclasses.dataclass(frozen=True)
class _Part:
    """Scopes of the variables of one network in a checkpoint."""

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
    """Find the networks of a checkpoint by the scopes of its variables.

    google-research ties variables by giving both networks the same scope: `electra` is the
    discriminator, and the generator too if there is no scope `generator`.
    """

    def has(scope: str) -> bool:
        return any(name.startswith(scope) for name in shapes)

    has_head = {network: has(_HEADS[network][1]) for network in NETWORKS}
    trunk = has("electra/encoder/")
    # With `untied_generator_embeddings` the generator has tables of its own scope and width.
    own_tables = "generator/embeddings" if has("generator/embeddings/") else "electra/embeddings"
    parts = {}
    if has("generator/encoder/"):
        parts["generator"] = _Part("generator", "generator", own_tables, has_head["generator"])
    elif trunk and has_head["generator"] and not _has_towers(shapes):
        parts["generator"] = _Part("generator", "electra", "electra/embeddings")
    # Trained with the objective of BERT, the only transformer is a generator.
    if trunk and (has_head["discriminator"] or "electra" not in _scopes(parts)):
        parts["discriminator"] = _Part(
            "discriminator", "electra", "electra/embeddings", has_head["discriminator"]
        )
    if not parts:
        raise InputError(_no_network(shapes, prefix))
    return parts


def _has_towers(shapes: Iterable[str]) -> bool:
    """Return whether the generator is Electric's: two towers, left to right and right to left."""
    return any(name.startswith(("generator_ltr/", "generator_rtl/")) for name in shapes)


def _scopes(parts: Mapping[str, _Part]) -> set[str]:
    return {part.scope for part in parts.values()}


def _no_network(shapes: Shapes, prefix: pathlib.Path) -> str:
    if any(_OBJECT_BASED in name for name in shapes):
        return (
            f"{prefix} is a checkpoint of TensorFlow 2, not of google-research; read one of an "
            "ElectraPretrainer with --from tfnlp"
        )
    some = ", ".join(sorted(shapes)[:3]) or "none"
    return (
        f"{prefix} must contain variables of ELECTRA (electra/encoder/layer_0/...), but contains "
        f"{len(shapes)} others: {some}; it is the checkpoint of another model"
    )


def _sharing_of_parts(parts: Mapping[str, _Part]) -> str | None:
    if len(parts) == 1:
        return None
    generator, discriminator = (parts[network] for network in NETWORKS)
    if generator.scope == discriminator.scope:
        return "whole"
    return "shared" if generator.tables == discriminator.tables else "untied"


def _absences(parts: Mapping[str, _Part]) -> list[str]:
    notes = [f"it holds no {network}" for network in NETWORKS if network not in parts]
    return notes + [
        f"{network}: it holds no {_HEADS[network][1][:-1]}, so the result is an encoder without "
        "head, ElectraModel"
        for network, part in parts.items()
        if not part.has_head
    ]


def _check_variables(
    shapes: Shapes, variables: Iterable[NamedVariable], prefix: pathlib.Path
) -> None:
    missing = [v.variable for v in variables if v.variable not in shapes]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{prefix} must contain a complete network, lacks {missing[0]}{more}; convert another "
            "checkpoint of the run"
        )
    for variable in variables:
        if tuple(shapes[variable.variable]) != variable.shape:
            raise InputError(
                f"{prefix}: {variable.variable} must be {list(variable.shape)} to fit the other "
                f"variables, was {list(shapes[variable.variable])}; convert another checkpoint"
            )


def _dropped(shapes: Shapes, converted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    dropped: dict[str, list[str]] = {}
    for name in sorted(set(shapes) - set(converted)):
        dropped.setdefault(_reason(name, shapes), []).append(name)
    return {reason: tuple(names) for reason, names in dropped.items()}


def _reason(name: str, shapes: Shapes) -> str:
    # Adam's slots are named VARIABLE/adam_m and VARIABLE/adam_v.
    if name.rpartition("/")[0] in shapes or name in ("beta1_power", "beta2_power"):
        return "state of the optimizer"
    for part, reason in ((_STEP, "the step"), ("temperature", "a setting of the sampling")):
        if part in name.split("/"):
            return reason
    for scope, reason in _UNSUPPORTED.items():
        if name.startswith(scope):
            return reason
    if name.startswith("generator_predictions/") and _has_towers(shapes):
        return _UNSUPPORTED["generator_ltr/"]
    return "unknown to ELECTRA"


# === Writing ===


def write_google(
    folder: str | os.PathLike,
    networks: Mapping[str, Weights],
    step: int = 0,
    do_lower_case: bool | None = None,
) -> GoogleCheckpoint:
    """Write networks as a checkpoint that the code of google-research restores.

    The folder gets `model.ckpt-STEP`, a file `checkpoint` that names it, and the JSON file. The
    state of the optimizer is not written.

    Args:
      folder: path of the folder; it is created if necessary.
      networks: "discriminator", and usually "generator".
      step: value of `global_step`.
      do_lower_case: whether the tokenizer lower-cases, for the JSON file; None if unknown.

    Raises:
      InputError: google-research has no such networks or no such pair, or tensors are missing.
      StorageError: the folder cannot be written.
    """
    if "discriminator" not in networks:
        raise InputError(
            "the google-research format requires a discriminator, but the source has none: give a "
            "folder with generator/ and discriminator/, or a discriminator"
        )
    configs = {name: completed(networks[name].config) for name in NETWORKS if name in networks}
    sharing = _sharing_of_networks(networks)
    values = google_config(
        configs.get("generator"), configs["discriminator"], sharing, do_lower_case
    )
    # Both networks contribute the variables that they share, whose values are then equal.
    variables: dict[str, np.ndarray] = {}
    dropped: dict[str, list[str]] = {}
    for name, part in _parts_to_write(networks, sharing).items():
        tensors = part.variables(Sizes.from_config(configs[name]))
        variables |= _as_variables(name, tensors, networks[name].arrays)
        left_out = set(networks[name].arrays) - {t.name for t in tensors}
        _drop(dropped, name, left_out, networks[name].arrays)
    prefix = pathlib.Path(folder) / f"model.ckpt-{step}"
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        # int64 is the dtype that TensorFlow 1 restores `global_step` with.
        _save(prefix, {**variables, _STEP: np.int64(step)})
        # After the variables, because `latest_checkpoint` follows it.
        (prefix.parent / STATE_FILE).write_text(state_text(prefix), encoding="utf-8")
        content = json.dumps(values, indent=2) + "\n"
        (prefix.parent / CONFIG_FILE).write_text(content, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write the checkpoint to {folder}: {error.strerror}; name a folder that is "
            "writable, on a disk with free space"
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


def _sharing_of_networks(networks: Mapping[str, Weights]) -> str | None:
    """Return what the arrays of both networks have in common, as a mode of google-research.

    Raises:
      InputError: the tables differ, and google-research cannot store a second set of them.
    """
    if "generator" not in networks:
        return None
    generator, discriminator = (networks[name] for name in NETWORKS)
    differing = [
        name
        for name in _tables_in(generator, discriminator)
        if not _equal(generator.arrays.get(name), discriminator.arrays.get(name))
    ]
    # google-research ties by name, and knows three modes only: equal arrays must become one
    # variable, and a pair with any other combination cannot be represented.
    if differing:
        _check_own_tables(completed(generator.config), differing)
        return "untied"
    first, second = (
        {name: value for name, value in network.arrays.items() if name.startswith(PREFIX)}
        for network in (generator, discriminator)
    )
    same = first.keys() == second.keys() and all(_equal(first[n], second[n]) for n in first)
    return "whole" if same else "shared"


def _check_own_tables(config: Mapping[str, int], differing: list[str]) -> None:
    if config["embedding_size"] != config["hidden_size"]:
        raise InputError(
            f"{differing[0]} must be the same in generator and discriminator, but differs: in the "
            "google-research format a generator has tables of its own only if embedding_size "
            f"equals hidden_size, and these are {config['embedding_size']} and "
            f"{config['hidden_size']}; give two networks of one run, or write --as huggingface"
        )


def _tables_in(*networks: Weights) -> list[str]:
    return sorted({name for n in networks for name in n.arrays if name.startswith(EMBEDDINGS)})


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _parts_to_write(networks: Mapping[str, Weights], sharing: str | None) -> dict[str, _Part]:
    discriminator = networks["discriminator"]
    head = _HEADS["discriminator"][2](Sizes.from_config(completed(discriminator.config)))
    has_head = any(tensor.name in discriminator.arrays for tensor in head)
    parts = {"discriminator": _Part("discriminator", "electra", "electra/embeddings", has_head)}
    if sharing is not None:
        scope = "electra" if sharing == "whole" else "generator"
        tables = "generator/embeddings" if sharing == "untied" else "electra/embeddings"
        parts["generator"] = _Part("generator", scope, tables)
    return parts


def _as_variables(
    network: str, tensors: Iterable[NamedVariable], arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    variables = {}
    for tensor in tensors:
        array = arrays.get(tensor.name)
        if array is None:
            raise InputError(
                f"the {network} must have {tensor.name} for the google-research format, but lacks "
                "it; give a pre-trained network with its head"
            )
        value = tensor.transposed(np.asarray(array, np.float32))
        if value.shape != tensor.shape:
            raise InputError(
                f"{tensor.variable} must be {list(tensor.shape)} according to the {network}'s "
                f"configuration, was {list(value.shape)}; give the config.json of these tensors"
            )
        variables[tensor.variable] = value
    return variables


def _drop(
    dropped: dict[str, list[str]],
    network: str,
    names: Iterable[str],
    arrays: Mapping[str, np.ndarray],
) -> None:
    for name in sorted(names):
        if name == OUTPUT_TABLE:
            if not _equal(arrays[name], arrays[WORD_TABLE]):
                raise InputError(
                    f"{OUTPUT_TABLE} must equal the word table, because the google-research format "
                    "has no other output table, but differs from it; write --as huggingface"
                )
            reason = "a copy of the word table"
        else:
            reason = "not part of the google-research format"
        dropped.setdefault(reason, []).append(f"{network}: {name}")


def _save(prefix: pathlib.Path, variables: Mapping[str, np.ndarray]) -> None:
    import tensorflow as tf

    try:
        # The operation behind TensorFlow 1's Saver, which writes named variables.
        tf.raw_ops.SaveV2(
            prefix=plain_paths.plain(prefix),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=[tf.convert_to_tensor(value) for value in variables.values()],
        )
    except tf.errors.OpError as error:
        raise StorageError(f"cannot write {prefix}: {error.message}") from error
