"""The layout of the folders that `electra export` writes, and what is recorded in them.

A folder has a numbered subfolder for each version, as TensorFlow Serving expects: a SavedModel.
Servers ignore its `assets.extra`, which holds the tokenizer and a description of the networks.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError
from official_nlp.files import atomic, guarded

GRAPH_FILE = "saved_model.pb"
DESCRIPTION = "assets.extra/electra.json"
TOKENIZER = "assets.extra/tokenizer"
ADVICE = "export the model again"


@dataclasses.dataclass(frozen=True)
class Description:
    """What is recorded of an exported model.

    Attributes:
      head: name of the head, such as "SequenceClassifier".
      length: largest number of tokens in a sequence.
      networks: for each part of the model, "" if it has only one, the Hugging Face name of its
        class, its configuration and the signature that computes it: `{"class", "config",
        "signature"}`.
      signatures: names, dtypes and shapes of inputs and outputs of each signature:
        `{"inputs": {"text": "string [batch]"}, "outputs": ...}`.
      versions: versions of the packages that wrote it, by name.
      windows: largest number of sequences of one text, computed by the signatures of strings.
    """

    head: str
    length: int
    networks: Mapping[str, Mapping[str, Any]]
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]]
    versions: Mapping[str, str]
    windows: int = 1

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
        values = {"windows": 1, **guarded.read_object(file, ADVICE)}
        kinds = {
            "head": str,
            "length": int,
            "networks": dict,
            "signatures": dict,
            "versions": dict,
            "windows": int,
        }
        wrong = [name for name, kind in kinds.items() if not isinstance(values.get(name), kind)]
        if wrong or values.keys() != kinds.keys():
            raise InputError(
                f"{file} must have the keys {', '.join(kinds)} with values of their types, but "
                f"does not: {', '.join(wrong) or 'it has others'}; {ADVICE}"
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
        if (version / GRAPH_FILE).is_file() and (version / DESCRIPTION).is_file():
            return version
    return None


def versions(folder: pathlib.Path) -> list[int]:
    """Return the numbers of the subfolders that a server takes for versions."""
    try:
        names = os.listdir(folder)
    except OSError:  # It is missing, or no folder.
        return []
    return [int(name) for name in names if name.isascii() and name.isdigit()]
