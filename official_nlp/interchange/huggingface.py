"""Folders in Hugging Face's layout: config.json, and the weights in one of several formats."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping

import numpy as np

from official_nlp.errors import InputError, StorageError
from official_nlp.files import safe_paths
from official_nlp.interchange import keras_h5, safetensors, torch_pickle
from official_nlp.interchange.load_report import listed
from official_nlp.interchange.tensorflow_names import in_torch
from official_nlp.interchange.weights import Network

PREFIX = "electra."
CONFIG = "config.json"
_SAFETENSORS, _SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
# In the order of preference: of several formats in one folder the first is read.
_READERS = {
    _SAFETENSORS: safetensors.read,
    _SAFETENSORS_INDEX: safetensors.read,
    "tf_model.h5": keras_h5.read,
    "tf_model.h5.index.json": keras_h5.read,
    "pytorch_model.bin": torch_pickle.read,
    "pytorch_model.bin.index.json": torch_pickle.read,
}
_OURS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
_OF_A_BARE_ENCODER = ("embeddings.", "embeddings_project.", "encoder.")
_OLD_LEAVES = {"gamma": "weight", "beta": "bias"}
_BUFFER = "embeddings.position_ids"
_WIDTHS = ["float16", "bfloat16", "float32"]
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HuggingFaceFolder(Network):
    """The network of a folder; its `dtype` is the widest, if several are stored.

    Attributes:
      path: the folder.
      file: name of the file that the weights, or the list of their files, are in.
    """

    path: pathlib.Path
    file: str


def read_folder(folder: str | os.PathLike) -> HuggingFaceFolder:
    """Reads a model's folder. Nothing in it is executed, nothing outside of it read.

    Raises:
      InputError: there is no such folder, configuration or file of weights; or it cannot be read,
        is of another kind of model, or wants to lead out of the folder.
    """
    config = read_config(folder)
    folder = pathlib.Path(folder)
    file = _weights_file(folder)
    state, dtypes = {}, set()
    for name, array, dtype in _tensors(folder, file):
        name = _canonical(name)
        if name.endswith(_BUFFER):
            continue
        _check_is_float(folder / file, name, dtype)
        # Keras writes what two layers share in the place of both.
        if name in state and not np.array_equal(state[name], array, equal_nan=True):
            raise InputError(
                f"{folder / file} must hold a tensor once, but holds {name} twice, with different "
                "numbers; save the model anew"
            )
        state[name] = array
        dtypes.add(dtype)
    if not any(name.startswith(PREFIX) for name in state):
        raise InputError(
            f"{folder / file} must hold the variables of ELECTRA, but none is called {PREFIX}...; "
            f"it holds {listed(sorted(state)) or 'nothing'}: give another folder"
        )
    widest = max(dtypes & set(_WIDTHS), key=_WIDTHS.index, default="float32")
    return HuggingFaceFolder(config=config, state=state, dtype=widest, path=folder, file=file)


def holds_weights(folder: str | os.PathLike) -> bool:
    """Whether a folder has weights in one of the formats that `read_folder` reads."""
    return any((pathlib.Path(folder) / name).exists() for name in _READERS)


def read_config(folder: str | os.PathLike) -> dict:
    """Returns the content of config.json.

    Raises:
      InputError: it is not there, not JSON, or of another type of model.
    """
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise InputError(
            f"{folder} must be a folder with {CONFIG} and weights, but is a file: give the folder "
            "that it lies in"
        )
    if not folder.is_dir():
        raise InputError(
            f"{folder} must be a folder with {CONFIG} and weights, but is not there; nothing is "
            "downloaded here: fetch it with `hf download NAME --local-dir FOLDER`, say"
        )
    file = folder / CONFIG
    values = _read_json(
        folder, CONFIG, "a model is read from a folder that has both this and weights"
    )
    if "discriminator_bert_config" in values:
        raise InputError(
            f"{file} is google-research's, of a checkpoint that its code wrote; `electra convert "
            f"{folder} --to NEW` makes folders of it that are read here"
        )
    kind = values.get("model_type", "electra")
    if kind != "electra":
        raise InputError(
            f"{file}: model_type must be 'electra', was {kind!r}: another model's folder"
        )
    return values


def vocabulary_size(folder: str | os.PathLike) -> int | None:
    """Returns how many ids the tokenizer of a folder can give; None where it has no vocab.txt."""
    folder = pathlib.Path(folder)
    if not (folder / "vocab.txt").is_file():
        return None
    with open(safe_paths.inside(folder, "vocab.txt"), "rb") as file:
        count = sum(1 for _ in file)
    added = []
    if (folder / "added_tokens.json").is_file():
        added = _read_json(folder, "added_tokens.json").values()
    return max([count, *(number + 1 for number in added if isinstance(number, int))])


def write_folder(
    folder: str | os.PathLike,
    config_text: str,
    state: Mapping[str, np.ndarray],
    dtype: str = "float32",
    max_shard_size: int | str = "5GB",
):
    """Writes config.json and safetensors; other files of the folder stay.

    All is written under other names first. A disk that is full leaves the folder as it was; a
    process that is killed leaves the model of before, or a folder without config.json, or all.

    Args:
      folder: made if need be.
      config_text: a JSON object; its `dtype` becomes that of the weights.
      state: arrays by name. The prefix of the encoder goes, if nothing else is there and the
        configuration says that this is an ElectraModel.
      dtype: float32, float16 or bfloat16.
      max_shard_size: bytes, or a string such as 500MB; what is larger becomes several files.

    Raises:
      InputError: `folder` is a file, `dtype` or `max_shard_size` is none, or a number is too large
        for float16.
      StorageError: it cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} must be a folder, new or old, but is a file: name another")
    safetensors.check_dtype(dtype)
    config = json.loads(config_text)
    if config.get("architectures") == ["ElectraModel"]:
        if all(name.startswith(PREFIX) for name in state):
            state = {name.removeprefix(PREFIX): array for name, array in state.items()}
    # transformers makes the model of this dtype, whatever that of the file is.
    config = {**config, "dtype": dtype}
    if "torch_dtype" in config:
        config["torch_dtype"] = dtype
    shards = _shards(state, dtype, _bytes(max_shard_size))
    texts = {CONFIG: config}
    if len(shards) > 1:
        texts[_SAFETENSORS_INDEX] = _index(shards, state, dtype)
    with _replacing(folder) as partial:
        for name, tensors in shards.items():
            safetensors.write(partial(name), {key: state[key] for key in tensors}, dtype)
        for name, values in texts.items():
            _write_text(partial(name), json.dumps(values, indent=2, sort_keys=True) + "\n")


# === Reading ===
def _weights_file(folder) -> str:
    for name in _READERS:
        if (folder / name).exists() or (folder / name).is_symlink():
            return name
    whole = [name for name in _READERS if not name.endswith(".json")]
    raise InputError(
        f"{folder} must have weights, {', '.join(whole)} or a list of such files, but "
        f"has {', '.join(sorted(file.name for file in folder.iterdir())[:8])}"
    )


def _tensors(folder, file) -> Iterator[tuple[str, np.ndarray, str]]:
    read = _READERS[file]
    if not file.endswith(".index.json"):
        yield from read(safe_paths.inside(folder, file))
        return
    shards = {}
    places = _read_json(folder, file).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(
            f"{folder / file} must have a weight_map that names the file of every tensor, has "
            f"{str(places)[:40]}; save the model anew"
        )
    for name, shard in places.items():
        if "/" in name:  # was written by a TensorFlow class; before the slash is the model
            name, _ = in_torch(name.partition("/")[2])
        shards.setdefault(shard, set()).add(name)
    for shard, wanted in shards.items():
        found = set()
        for name, array, dtype in read(safe_paths.inside(folder, shard, index=file)):
            found.add(name)
            yield name, array, dtype
        if wanted - found:
            raise InputError(
                f"{folder / shard} must hold what {file} says, but lacks "
                f"{', '.join(sorted(wanted - found)[:4])}; copy or download both again"
            )


def _read_json(folder, name, why="copy it, too") -> dict:
    if not (folder / name).exists():
        raise InputError(f"{folder} must have {name}, but has none: {why}")
    try:
        values = json.loads(safe_paths.inside(folder, name).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / name} must be JSON, but is not: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{folder / name} must be a JSON object, was {str(values)[:40]!r}")
    return values


def _check_is_float(file, name, dtype):
    if dtype.startswith(("int", "uint", "bool")) and name.endswith((".weight", ".bias")):
        raise InputError(
            f"{file} must hold weights as floating-point numbers, but {name} is {dtype}: that of a "
            "quantized model; save the model as it was before"
        )


def _canonical(name: str) -> str:
    head, dot, leaf = name.rpartition(".")
    if head.endswith("LayerNorm"):
        leaf = _OLD_LEAVES.get(leaf, leaf)
    name = head + dot + leaf
    return PREFIX + name if name.startswith(_OF_A_BARE_ENCODER) else name


# === Writing ===
def _bytes(size: int | str) -> int:
    match = re.fullmatch(r"(\d+) *([KMG]?I?B)?", str(size).upper())
    if not match or not int(match[1]):
        raise InputError(f"max_shard_size must be a number of bytes, or as 500MB, was {size!r}")
    return int(match[1]) * _UNITS[match[2] or "B"]


def _shards(state, dtype, limit) -> dict[str, list[str]]:
    """Returns the names of the tensors of each file."""
    parts, room = [], 0
    for name, array in state.items():
        size = safetensors.nbytes(array, dtype)
        if not parts or size > room:
            parts.append([])
            room = limit
        parts[-1].append(name)
        room -= size
    if len(parts) < 2:
        return {_SAFETENSORS: list(state)}
    count = len(parts)
    return {f"model-{i:05}-of-{count:05}.safetensors": part for i, part in enumerate(parts, 1)}


def _index(shards, state, dtype) -> dict:
    return {
        "metadata": {
            "total_parameters": sum(array.size for array in state.values()),
            "total_size": sum(safetensors.nbytes(array, dtype) for array in state.values()),
        },
        "weight_map": {name: shard for shard, names in shards.items() for name in names},
    }


def _write_text(file, text):
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def _replacing(folder):
    """Gives a function from a file's name to where to write it; at the end all are renamed."""
    partial = {}

    def place(name):
        return partial.setdefault(name, folder / f".{name}.partial")

    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield place
        # From here to the last line the folder holds no configuration, and so no model.
        (folder / CONFIG).unlink(missing_ok=True)
        for old in folder.iterdir():
            if _OURS.fullmatch(old.name) and old.name not in partial:
                old.unlink()
        for name in sorted(partial, key=lambda name: name == CONFIG):
            os.replace(partial[name], folder / name)
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or folder}: {error.strerror or error}; name a folder "
            "that can be written, on a disk with room"
        ) from error
    finally:
        for file in partial.values():
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
