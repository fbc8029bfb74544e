"""The contract between `export` and the formats: a model is written, then checked."""

import abc
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from official_nlp.inference.predictor import Predictor
from official_nlp.serving.served_network import ServedNetwork

ADVICE = "please report this with the model's config.json; nothing was exported"


class Contents(NamedTuple):
    """What was written, for `exported_files.Description`.

    Attributes:
      signatures: inputs and outputs of each signature, by its name.
      files: name and hash of the file of each network by part, `{"file", "sha256"}`; empty where
        the networks share one.
      versions: versions of the packages that wrote it, by name.
      windows: largest number of sequences of one text that the signatures of strings compute.
    """

    signatures: Mapping[str, Mapping[str, Mapping[str, str]]]
    files: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    windows: int = 1


class Writer(abc.ABC):
    """Write one model in one format.

    Args:
      predictor: the model.

    Attributes:
      networks: the networks of the model by part, as in `LoadedModel`.

    Raises:
      InputError: the model cannot be exported in this format, or a package is not installed.
    """

    networks: Mapping[str, ServedNetwork]

    @abc.abstractmethod
    def __init__(self, predictor: Predictor): ...

    @abc.abstractmethod
    def write(self, folder: pathlib.Path) -> Contents:
        """Write the networks into a folder.

        Raises:
          InputError: a network cannot be converted.
        """

    @abc.abstractmethod
    def check(self, folder: pathlib.Path) -> dict[str, Any]:
        """Run what was written in a process of its own, and compare it with the model.

        Returns:
          What was measured, for `exported_files.Description`.

        Raises:
          InputError: the process fails, or a result differs.
        """
