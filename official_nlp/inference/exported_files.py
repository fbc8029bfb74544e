"""The layout of the folders that `electra export` writes, and what is recorded in them.

A folder has a numbered subfolder for each version, as TensorFlow Serving and Triton expect: a
SavedModel, or a file for each network of the model. Servers ignore its `assets.extra`, which holds
the tokenizer and a description of the networks.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.files import atomic, guarded
from official_nlp.ranges import shown

SAVED_MODEL = "saved_model"
ONNX, ONNX_INT8, LITERT, LITERT_INT8 = "onnx", "onnx-int8", "litert", "litert-int8"
# Formats, and the extra of setup.py with the packages that each needs besides.
EXTRAS = {SAVED_MODEL: "", ONNX: "onnx", ONNX_INT8: "onnx", LITERT: "litert", LITERT_INT8: "litert"}
FORMATS = tuple(EXTRAS)
GRAPH_FILE = "saved_model.pb"
# Suffixes of the files of networks.
ONNX_SUFFIX, LITERT_SUFFIX = ".onnx", ".tflite"
DESCRIPTION = "assets.extra/electra.json"
TOKENIZER = "assets.extra/tokenizer"
ADVICE = "export the model again"


@dataclasses.dataclass(frozen=True)
class Description:
    """What is recorded of an exported model.

    Attributes:
      format: one of `FORMATS`.
      head: name of the head, such as "SequenceClassifier".
      length: largest number of tokens in a sequence.
      networks: for each part of the model, "" if it has only one, the Hugging Face name of its
        class, its configuration and the signature that computes it: `{"class", "config",
        "signature"}`; and if the network has a file of its own, `"file"`, its name, and `"sha256"`.
      signatures: names, dtypes and shapes of inputs and outputs of each signature:
        `{"inputs": {"text": "string [batch]"}, "outputs": ...}`.
      versions: versions of the packages that wrote it, by name.
      windows: largest number of sequences of one text, computed by the signatures of strings.
      measured: what the export measured: `differences`, of networks with files the largest
        difference of each output from the model's, by signature; and `dev`, a metric on labeled
        examples: `{"file", "examples", "metric", "model", "exported"}`.
    """

    format: str
    head: str
    length: int
    networks: Mapping[str, Mapping[str, Any]]
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]]
    versions: Mapping[str, str]
    windows: int = 1
    measured: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, version: pathlib.Path) -> None:
        """Write it into the folder of a version."""
        file = version / DESCRIPTION
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, version: pathlib.Path) -> "Description":
        """Read it from the folder of a version.

        Raises:
          InputError: it is missing or damaged.
        """
        file = version / DESCRIPTION
        values = guarded.read_object(file, ADVICE)
        kinds = {
            "format": str,
            "head": str,
            "length": int,
            "networks": dict,
            "signatures": dict,
            "versions": dict,
            "windows": int,
            "measured": dict,
        }
        wrong = [name for name, kind in kinds.items() if not isinstance(values.get(name), kind)]
        if wrong or values.keys() != kinds.keys():
            raise InputError(
                f"{file} must have the keys {', '.join(kinds)} with values of their types, but "
                f"does not: {', '.join(wrong) or 'it has others'}; {ADVICE}"
            )
        if values["format"] not in FORMATS:
            raise InputError(
                f"{file} must name one of the formats {', '.join(FORMATS)}, named "
                f"{shown(values['format'])}; {ADVICE}"
            )
        return cls(**values)


def newest_version(folder: str | os.PathLike) -> pathlib.Path | None:
    """Return the folder of the newest version, or the folder itself if it is a version.

    Args:
      folder: any path.

    Returns:
      None if the path is not an exported folder.
    """
    folder = pathlib.Path(folder)
    numbered = [folder / str(number) for number in sorted(versions(folder), reverse=True)]
    for version in (folder, *numbered):
        if kind_of(version) is not None and (version / DESCRIPTION).is_file():
            return version
    return None


def kind_of(version: pathlib.Path) -> str | None:
    """Return the format of a version as its files show it, without "-int8"; None for no version."""
    suffixes = {GRAPH_FILE: SAVED_MODEL, ONNX_SUFFIX: ONNX, LITERT_SUFFIX: LITERT}
    try:
        names = os.listdir(version)
    except OSError:  # It is missing, or no folder.
        return None
    found = (of for name in names for end, of in suffixes.items() if name.endswith(end))
    return next(found, None)


def versions(folder: pathlib.Path) -> list[int]:
    """Return the numbers of the subfolders that a server takes for versions."""
    try:
        names = os.listdir(folder)
    except OSError:  # It is missing, or no folder.
        return []
    return [int(name) for name in names if name.isascii() and name.isdigit()]
