"""Read minimal pairs: two sentences that differ in one respect, of which one is acceptable."""

import dataclasses
import os
import pathlib

from official_nlp.data import text_format
from official_nlp.data.tables.content import listed
from official_nlp.data.tables.json_rows import json_rows
from official_nlp.data.tables.text_files import check_file
from official_nlp.errors import InputError
from official_nlp.ranges import shown

_SENTENCES = ("sentence_good", "sentence_bad")
# Keys of BLiMP that name a phenomenon, the finest first.
CATEGORIES = ("UID", "linguistics_term", "field")
_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclasses.dataclass(frozen=True)
class MinimalPair:
    """An acceptable sentence, and one that is not.

    Attributes:
      good: the acceptable sentence.
      bad: the other one.
      categories: names of its phenomenon by key, such as `UID`; `file` is always among the keys.
      where: file and line, for messages.
    """

    good: str
    bad: str
    categories: dict[str, str]
    where: str


def holds_minimal_pairs(path: str | os.PathLike) -> bool:
    """Return whether the first row of a file, or of a file in a folder, is of a minimal pair.

    Raises:
      InputError: a file cannot be read, or the path is an empty file.
    """
    path = pathlib.Path(path)
    if path.is_file():
        check_file(path)
    return any(text_format.has_json_keys(file, _SENTENCES) for file in _files(path))


def read_minimal_pairs(path: str | os.PathLike) -> list[MinimalPair]:
    """Read minimal pairs in the format of BLiMP.

    A row is `{"sentence_good": ..., "sentence_bad": ...}`, perhaps with names of its phenomenon as
    `UID`, `linguistics_term` or `field`. Other keys are ignored.

    Args:
      path: file of JSON lines, also compressed by gzip; or a folder, of which all files .jsonl and
        .jsonl.gz are read, in order of their names.

    Raises:
      InputError: a file cannot be read, has no rows, or has a row without one of the sentences;
        names file and line.

    Reference: Warstadt et al. 2020 (arXiv 1912.00582).
    """
    files = _files(pathlib.Path(path))
    if not files:
        raise InputError(f"{path} has no .jsonl file: give one of minimal pairs, such as BLiMP's")
    pairs = []
    for file in files:
        check_file(file)
        stem = file.name.removesuffix(".gz").removesuffix(".jsonl")
        for line, row in json_rows(file):
            pairs.append(_pair(row, stem, f"{file}, line {line}"))
    return pairs


def _pair(row: dict, stem: str, where: str) -> MinimalPair:
    for key in _SENTENCES:
        if key not in row:
            raise InputError(
                f"{where} has the keys {listed(list(row))}, but not {key}: a minimal pair has "
                "sentence_good and sentence_bad; add it"
            )
        if not isinstance(row[key], str) or not row[key].strip():
            raise InputError(
                f"{where}: {key} must be a sentence, was {shown(row[key])}: correct it"
            )
    categories = {"file": stem}
    for key in CATEGORIES:
        if row.get(key) is not None:
            categories[key] = str(row[key])
    return MinimalPair(row["sentence_good"], row["sentence_bad"], categories, where)


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []
    return sorted(file for file in path.iterdir() if file.name.endswith(_SUFFIXES))
