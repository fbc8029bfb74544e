"""Data folders of pre-training examples, as the loop needs them."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.data import measure_ngram_baselines, open_folder
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.data.storage.data_folder import DataFolder
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.training import Data


class PretrainingData(Data):
    """A data folder of pre-training examples.

    Args:
      folder: the opened folder.
      corrupt_records: policy for corrupt records, with which it was opened.
    """

    def __init__(self, folder: DataFolder, corrupt_records: CorruptRecords):
        self.folder = folder
        self.examples = folder.count("train")
        self._corrupt_records = corrupt_records
        # Records that were met while an index was made do not belong to a run.
        self._earlier_rows = corrupt_records.rows

    @property
    def corrupt_rows(self) -> int:  # type: ignore[override]
        """Return the number of records that were skipped since the folder was opened."""
        return self._corrupt_records.rows - self._earlier_rows

    def corruption(self) -> str:
        return self._corrupt_records.describe()

    def fingerprint(self) -> str:
        # The index holds a hash of all examples.
        digest = hashlib.sha256(self.folder.tokenizer.vocab_hash.encode())
        digest.update(repr(dataclasses.asdict(self.folder.index)).encode())
        digest.update(self.folder.unigram_counts().tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        settings = self.folder.index.settings
        path = pathlib.Path(self.folder.path).resolve()
        return {
            "name": path.name,
            "path": str(path),
            "train": self.examples,
            "held_out": self.folder.count("held_out"),
            "length": self.folder.index.longest_row,
            **{name: settings[name] for name in ("documents", "words") if name in settings},
        }


def require_same_tokenizer(data: Mapping[str | None, PretrainingData]) -> None:
    """Check that the data of all phases was built by the tokenizer of that of the run.

    Args:
      data: opened data by the path of a phase; that of the run under None.

    Raises:
      InputError: another tokenizer built the data of a phase.
    """
    own = data[None].folder
    for path, each in data.items():
        if each.folder.tokenizer.vocab_hash != own.tokenizer.vocab_hash:
            raise InputError(
                f"the data {path} of a phase has another vocabulary than that of the run, "
                f"{own.path}; build its examples with the same tokenizer"
            )
        different = each.folder.tokenizer.differences(own.tokenizer)
        if different:
            raise InputError(
                f"the data {path} of a phase was built by a tokenizer that treats text in "
                f"another way than that of the run ({different}); build its examples "
                "with the same tokenizer"
            )


def require_positions(folder: DataFolder, positions: int) -> None:
    """Check that a network has positions for the longest example of a folder.

    Raises:
      InputError: it has fewer.
    """
    if folder.index.longest_row > positions:
        raise InputError(
            f"{folder.path} has examples of {folder.index.longest_row} tokens, but "
            f"max_position_embeddings is only {positions}; build examples with --length "
            f"{positions}, or train a model for more"
        )


def baselines(folder: DataFolder, two_sided: bool = True) -> dict[str, float]:
    """Return what n-grams of the training text reach on the held-out part, by name.

    Args:
      folder: a data folder with a held-out part.
      two_sided: whether the model sees the tokens on both sides.
    """
    found = measure_ngram_baselines(folder)
    two = {"two-sided bigram loss": found.two_sided_bigram} if two_sided else {}
    return {
        "unigram loss": found.unigram,
        "bigram loss": found.left_bigram,
        **two,
        "most frequent token accuracy": found.most_frequent_accuracy,
    }


def open_data(
    path: str | os.PathLike,
    vocabulary: str | None = None,
    corrupt_records: str = "stop",
    writes: bool = True,
) -> PretrainingData:
    """Open a data folder.

    Args:
      path: the folder, with or without a tokenizer.
      vocabulary: vocabulary file or tokenizer folder of the model. A tokenizer beside the data must
        be the same; without one, this is used.
      corrupt_records: policy for corrupt records, "stop" or "skip".
      writes: whether an index of shards without one is written beside them.

    Raises:
      InputError: the folder cannot be read, or has another vocabulary.
    """
    policy = CorruptRecords(corrupt_records)
    own = os.path.isdir(os.path.join(path, "tokenizer"))
    folder = open_folder(path, None if own else vocabulary, corrupt_records=policy, writes=writes)
    if own and vocabulary is not None:
        _check_vocabulary(folder, vocabulary)
    return PretrainingData(folder, policy)


def _check_vocabulary(folder: DataFolder, vocabulary: str) -> None:
    tokenizer = ElectraTokenizer.from_pretrained(vocabulary)
    if tokenizer.vocab_hash != folder.tokenizer.vocab_hash:
        raise InputError(
            f"the data folder {folder.path} has another vocabulary than {vocabulary}: "
            "give the data on which the model was trained, or examples built with the same "
            "tokenizer folder"
        )
    different = folder.tokenizer.differences(tokenizer)
    if different:
        raise InputError(
            f"the data folder {folder.path} was built by a tokenizer that treats text in another "
            f"way than {vocabulary} ({different}); give the data on which the model was "
            "trained, or examples built with the same tokenizer folder"
        )
