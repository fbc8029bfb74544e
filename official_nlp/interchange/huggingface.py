"""Read and write Hugging Face folders: config.json, and weights in one of several formats."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors, guarded, safe_paths
from official_nlp.interchange import keras_h5, safetensors, torch_pickle
from official_nlp.interchange.load_report import listed
from official_nlp.interchange.tensorflow_names import torch_name
from official_nlp.interchange.weights import Weights

PREFIX = "electra."
CONFIG = "config.json"
# For names on the hub, which users of transformers give where we expect a path.
NO_DOWNLOAD = (
    "nothing is downloaded: fetch a model of the hub with `hf download NAME --local-dir FOLDER`"
)
_SAFETENSORS, _SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
# In order of preference: of several formats in one folder the first is read.
_READERS = {
    _SAFETENSORS: safetensors.read,
    _SAFETENSORS_INDEX: safetensors.read,
    "tf_model.h5": keras_h5.read,
    "tf_model.h5.index.json": keras_h5.read,
    "pytorch_model.bin": torch_pickle.read,
    "pytorch_model.bin.index.json": torch_pickle.read,
}
# Names that `write_folder` gives to weights. Those of an earlier model are removed: a stale file
# would be read instead of the new index.
_WRITTEN = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
# transformers saves a bare encoder without the prefix `electra.`.
_BARE_ENCODER = ("embeddings.", "embeddings_project.", "encoder.")
# Programs that wrap a model, or save two in one file, put these before the names of its tensors.
# A name of another model, like `bert.`, is no wrapper: its weights are not ELECTRA's.
_WRAPPED = re.compile(
    r"((?:(?:module|model|_orig_mod|_fsdp_wrapped_module|_forward_module|generator|discriminator)"
    r"\.)*)(?:electra\.)?(?:embeddings|embeddings_project|encoder)\."
)
_OLD_LEAVES = {"gamma": "weight", "beta": "bias"}  # names of LayerNorm's variables before 2020
_BUFFER = "embeddings.position_ids"
_DTYPES = ["float16", "bfloat16", "float32"]  # from narrow to wide
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HuggingFaceFolder(Weights):
    """The network of a folder. `dtype` is the widest, if the file stores several.

    Attributes:
      path: path of the folder.
      file: name of the file with the weights, or with the list of shards.
      prefix: prefix of a wrapper, such as `module.`, without which the names were read.
    """

    path: pathlib.Path
    file: str
    prefix: str = ""


# === Reading ===


def read_folder(folder: str | os.PathLike) -> HuggingFaceFolder:
    """Read a model folder. Nothing in it is executed, and nothing outside of it is read.

    Raises:
      InputError: folder, configuration or weights do not exist, cannot be read, belong to another
        kind of model, or refer to files outside the folder.
    """
    config = read_config(folder)
    folder = pathlib.Path(folder)
    file = _weights_file(folder)
    arrays: dict[str, np.ndarray] = {}
    dtypes = set()
    tensors = list(_tensors(folder, file))
    prefix = _wrapper([name for name, _, _ in tensors], folder / file)
    for stored_name, array, dtype in tensors:
        name = _canonical(stored_name.removeprefix(prefix))
        # The numbers 0, 1, 2, ..., which older versions of transformers stored with the weights.
        if name.endswith(_BUFFER):
            continue
        _check_is_float(folder / file, name, dtype)
        # Keras stores a tensor that two layers share once for each of them.
        if name in arrays and not np.array_equal(arrays[name], array, equal_nan=True):
            raise InputError(
                f"{folder / file} must contain each tensor once, but contains {name} twice, with "
                "different values; save the model again"
            )
        arrays[name] = array
        dtypes.add(dtype)
    if not any(name.startswith(PREFIX) for name in arrays):
        raise InputError(
            f"{folder / file} must contain ELECTRA's variables, but no name starts with {PREFIX}; "
            f"it contains {listed(sorted(arrays)) or 'nothing'}: give another folder"
        )
    # A file with several dtypes is written again in the widest, which loses nothing.
    widest = max(dtypes & set(_DTYPES), key=_DTYPES.index, default="float32")
    return HuggingFaceFolder(
        config=config, arrays=arrays, dtype=widest, path=folder, file=file, prefix=prefix
    )


def holds_weights(folder: str | os.PathLike) -> bool:
    """Return whether a folder has weights in a format that `read_folder` reads."""
    return any((pathlib.Path(folder) / name).exists() for name in _READERS)


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the content of config.json.

    Raises:
      InputError: the file does not exist, is not JSON, or belongs to another type of model.
    """
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise InputError(
            f"{folder} must be a folder with {CONFIG} and weights, but is a file: give the folder "
            "that contains it"
        )
    if not folder.is_dir():
        raise InputError(
            f"{folder} must be a folder with {CONFIG} and weights, but does not exist; "
            f"{NO_DOWNLOAD}"
        )
    file = folder / CONFIG
    values = _read_json(folder, CONFIG, f"a model folder has both {CONFIG} and weights")
    if "discriminator_bert_config" in values:
        raise InputError(
            f"{file} belongs to a google-research checkpoint; convert it to Hugging Face folders "
            f"with `electra convert {folder} --to NEW`"
        )
    kind = values.get("model_type", "electra")
    if kind != "electra":
        raise InputError(
            f"{file}: model_type must be 'electra', was {kind!r}; this is the folder of another "
            "model"
        )
    classes = values.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise InputError(
            f"{file}: architectures must be a list with the name of a class, was {classes!r}; name "
            "the class that the weights belong to, or remove the key"
        )
    return values


def _weights_file(folder: pathlib.Path) -> str:
    for name in _READERS:
        # A broken link is not skipped for the next format: reading it reports which file is absent.
        if (folder / name).exists() or (folder / name).is_symlink():
            return name
    whole = [name for name in _READERS if not name.endswith(".json")]
    raise InputError(
        f"{folder} must have weights, {', '.join(whole)} or an index of their shards, but has "
        f"{', '.join(sorted(file.name for file in folder.iterdir())[:8])}"
    )


def _tensors(folder: pathlib.Path, file: str) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield name, array and stored dtype of each tensor, shard by shard."""
    read = _READERS[file]
    if not file.endswith(".index.json"):
        yield from read(safe_paths.inside(folder, file))
        return
    for shard, expected in _names_by_shard(folder, file).items():
        found = set()
        for name, array, dtype in read(safe_paths.inside(folder, shard, index=file)):
            found.add(name)
            yield name, array, dtype
        if expected - found:
            raise InputError(
                f"{folder / shard} must contain the tensors that {file} lists, but lacks "
                f"{', '.join(sorted(expected - found)[:4])}; copy or download both again"
            )


def _names_by_shard(folder: pathlib.Path, file: str) -> dict[str, set[str]]:
    shard_of = _read_json(folder, file).get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(x, str) for x in shard_of.values()):
        raise InputError(
            f"{folder / file} must have a weight_map from the name of every tensor to its file, "
            f"but has {str(shard_of)[:40]}; save the model again"
        )
    names: dict[str, set[str]] = {}
    for name, shard in shard_of.items():
        if "/" in name:  # a TensorFlow class wrote it; the first part is the model
            name, _ = torch_name(name.partition("/")[2])
        names.setdefault(shard, set()).add(name)
    return names


def _read_json(folder: pathlib.Path, name: str, reason: str = "copy it too") -> dict[str, Any]:
    if not (folder / name).exists():
        raise InputError(f"{folder} must have {name}, but has none: {reason}")
    return guarded.read_object(safe_paths.inside(folder, name), "copy it again")


def _check_is_float(file: pathlib.Path, name: str, dtype: str) -> None:
    if dtype.startswith(("int", "uint", "bool")) and name.endswith((".weight", ".bias")):
        raise InputError(
            f"{file} must store weights as floating-point numbers, but {name} is {dtype}, as in a "
            "quantized model; save the model without quantization"
        )


def _wrapper(names: Sequence[str], file: pathlib.Path) -> str:
    """Return the prefix with which a wrapper saved all names of the network, "" for none.

    Raises:
      InputError: the file holds several networks.
    """
    found = {match[1]: name for name in names if (match := _WRAPPED.match(name))}
    if len(found) > 1 and "" not in found:
        one = min(found)
        raise InputError(
            f"{file} must hold one network, but its names have the prefixes "
            f"{' and '.join(map(repr, sorted(found)))}, as in {found[one][:100]!r}: save each "
            "network in a folder of its own, with its config.json, and its tensors without the "
            "prefix, for example {name.removeprefix(prefix): tensor for name, tensor in "
            f"tensors.items() if name.startswith(prefix)}} with prefix = {one!r}"
        )
    # Names without prefix are those of the network; others beside them are not.
    return "" if "" in found or not found else next(iter(found))


def _canonical(name: str) -> str:
    """Return the present name of a tensor, with the prefix of the encoder."""
    head, dot, leaf = name.rpartition(".")
    if head.endswith("LayerNorm"):
        leaf = _OLD_LEAVES.get(leaf, leaf)
    name = head + dot + leaf
    return PREFIX + name if name.startswith(_BARE_ENCODER) else name


# === Writing ===


def write_folder(
    folder: str | os.PathLike,
    config_text: str,
    arrays: Mapping[str, np.ndarray],
    dtype: str = "float32",
    max_shard_size: int | str = "5GB",
) -> None:
    """Write config.json and safetensors. Other files in the folder are left alone.

    Every file is first written under a temporary name. A full disk leaves the folder as it was. A
    killed process leaves the previous model, a folder without config.json, or the new model.

    Args:
      folder: path of the folder; it is created if necessary.
      config_text: a JSON object; its `dtype` is set to that of the weights.
      arrays: arrays by name. The prefix of the encoder is omitted if the configuration names
        ElectraModel and there are no other tensors.
      dtype: dtype to store, float32, float16 or bfloat16.
      max_shard_size: size in bytes, or a string such as 500MB, above which the weights are split
        into several files.

    Raises:
      InputError: `folder` is a file or no local path, `dtype` or `max_shard_size` is invalid, or a
        number is too large for float16.
      StorageError: the folder cannot be written.
    """
    ranges.Path().require("the folder", folder)
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} must be a folder, new or existing, but is a file: name another")
    safetensors.check_dtype(dtype)
    config = json.loads(config_text)
    # transformers expects the prefix only in models with a head.
    if config.get("architectures") == ["ElectraModel"]:
        if all(name.startswith(PREFIX) for name in arrays):
            arrays = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    # transformers creates the model in this dtype, whatever the file stores.
    config = {**config, "dtype": dtype}
    # Older versions of transformers read this key, and its value must not contradict `dtype`.
    if "torch_dtype" in config:
        config["torch_dtype"] = dtype
    shards = _shards(arrays, dtype, _bytes(max_shard_size))
    # Shards are cast while they are written, one by one, so that memory holds the model once.
    texts = {CONFIG: config}
    if len(shards) > 1:
        texts[_SAFETENSORS_INDEX] = _index(shards, arrays, dtype)
    with _replacing(folder) as temporary:
        for name, tensors in shards.items():
            safetensors.write(temporary(name), {key: arrays[key] for key in tensors}, dtype)
        for name, values in texts.items():
            text = json.dumps(values, indent=2, sort_keys=True) + "\n"
            temporary(name).write_text(text, encoding="utf-8")


def _bytes(size: int | str) -> int:
    match = re.fullmatch(r"(\d+) *([KMG]?I?B)?", str(size).upper())
    if not match or not int(match[1]):
        raise InputError(
            f"max_shard_size must be a number of bytes or a string such as 500MB, was {size!r}"
        )
    return int(match[1]) * _UNITS[match[2] or "B"]


def _shards(arrays: Mapping[str, np.ndarray], dtype: str, limit: int) -> dict[str, list[str]]:
    """Return the names of the tensors of each file."""
    parts: list[list[str]] = []
    free = 0
    for name, array in arrays.items():
        size = safetensors.nbytes(array, dtype)
        # A tensor above the limit gets a file of its own.
        if not parts or size > free:
            parts.append([])
            free = limit
        parts[-1].append(name)
        free -= size
    if len(parts) < 2:
        return {_SAFETENSORS: list(arrays)}
    count = len(parts)
    return {f"model-{i:05}-of-{count:05}.safetensors": part for i, part in enumerate(parts, 1)}


def _index(
    shards: Mapping[str, Sequence[str]], arrays: Mapping[str, np.ndarray], dtype: str
) -> dict[str, Any]:
    return {
        "metadata": {
            "total_parameters": sum(array.size for array in arrays.values()),
            "total_size": sum(safetensors.nbytes(array, dtype) for array in arrays.values()),
        },
        "weight_map": {name: shard for shard, names in shards.items() for name in names},
    }


@contextlib.contextmanager
def _replacing(folder: pathlib.Path) -> Iterator[Callable[[str], pathlib.Path]]:
    """Yield a function from a file's name to its temporary path; rename all files at the end.

    The order of renaming makes a kill harmless: config.json is removed first and renamed last, so
    that a folder with a mixture of old and new weights has no config.json and is refused.
    """
    advice = "Name a folder that is writable, on a disk with free space"
    with disk_errors.writing("the model", folder, advice), contextlib.ExitStack() as files:
        folder.mkdir(parents=True, exist_ok=True)
        # An ExitStack ends in reverse order: the configuration enters first to be renamed last.
        paths = {CONFIG: files.enter_context(atomic.replacing(folder / CONFIG))}

        def temporary(name: str) -> pathlib.Path:
            if name not in paths:
                paths[name] = files.enter_context(atomic.replacing(folder / name))
            return paths[name]

        yield temporary
        (folder / CONFIG).unlink(missing_ok=True)
        for old in folder.iterdir():
            if _WRITTEN.fullmatch(old.name) and old.name not in paths:
                old.unlink()
