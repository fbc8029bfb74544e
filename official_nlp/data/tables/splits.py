"""Find the files of the training, development and test sets, and hold out rows."""

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Sequence

from official_nlp.data.tables.content import listed
from official_nlp.errors import InputError
from official_nlp.ranges import Number

SUFFIXES = (".tsv", ".csv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".txt", ".conll")
_WORDS = {
    "train": ("train", "training"),
    "dev": ("dev", "validation", "valid", "val", "eval", "development"),
    "test": ("test", "testing"),
}
_NAME = re.compile(r"(?P<word>[a-z]+)(?:[-_.](?P<rest>.+))?", re.DOTALL)
# A further test set beside those of MNLI in GLUE, which has a name of its own.
_DIAGNOSTIC = "diagnostic"
# Lists of row numbers, which GLUE's MRPC has beside the tables.
_NO_TABLES = ("ids",)
_FRACTION = Number(0, 1, above=True, below=True)


@dataclasses.dataclass(frozen=True)
class Splits:
    """The files of a data set.

    Attributes:
      train: file of the training rows.
      dev: files of the development sets by name. A single one is named "dev"; of several, such as
        dev_matched.tsv and dev_mismatched.tsv, each has the rest of its name.
      test: files of the test sets by name; a single one is named "test", and `diagnostic.tsv`, as
        MNLI has one in GLUE, "diagnostic".
      notes: sentences on what was found, for the user.
    """

    train: pathlib.Path
    dev: dict[str, pathlib.Path]
    test: dict[str, pathlib.Path]
    notes: tuple[str, ...] = ()


def find_splits(
    path: str | os.PathLike,
    dev: str | os.PathLike | None = None,
    test: str | os.PathLike | None = None,
) -> Splits:
    """Find the files of a data set.

    Args:
      path: the training file, or a folder with files named train.*, dev.* (also validation, valid,
        val and eval), test.* and diagnostic.*. Other files of a folder, and its subfolders, are
        ignored.
      dev: file of the development set, in place of those of the folder. A name without a folder
        may also be that of a file in `path`.
      test: file of the test set, likewise.

    Raises:
      InputError: there is no such file or folder, a folder has no training file, or two files of
        a folder have the same role.
    """
    here = pathlib.Path(path)
    # Not pathlib's methods, which raise for a name that is too long.
    if os.path.isdir(here):
        found, notes = _search(here)
        (train,) = found["train"].values()
    else:
        train = _file(here, here.parent, "the data")
        found, notes = {"dev": {}, "test": {}}, []
    folder = train.parent
    if dev is not None:
        found["dev"] = {"dev": _file(pathlib.Path(dev), folder, "the development set")}
    if test is not None:
        found["test"] = {"test": _file(pathlib.Path(test), folder, "the test set")}
    return Splits(train, found["dev"], found["test"], tuple(notes))


def held_out(keys: Sequence[str], fraction: float) -> list[bool]:
    """Choose rows to hold out as a development set.

    A hash of the key decides, so that equal keys are on the same side, and rows that are added
    later change no other. If there are two or more distinct keys, each side gets one at least.

    Args:
      keys: content of each row, such as its text.
      fraction: expected fraction of the distinct keys to hold out, between 0 and 1.

    Returns:
      Whether each row is held out.

    Raises:
      InputError: the fraction is out of range.
    """
    _FRACTION.require("fraction", fraction)
    # Uniform in [0, 1), from 53 bits, which a float holds.
    ranks = {key: _digest(key) / 2**53 for key in set(keys)}
    out = {key for key, rank in ranks.items() if rank < fraction}
    if len(ranks) > 1:
        if not out:
            out = {min(ranks, key=lambda key: (ranks[key], key))}
        elif len(out) == len(ranks):
            out.remove(max(ranks, key=lambda key: (ranks[key], key)))
    elif ranks:
        out = set()
    return [key in out for key in keys]


def _digest(key: str) -> int:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def _file(path: pathlib.Path, folder: pathlib.Path, what: str) -> pathlib.Path:
    candidates = [path, folder / path]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InputError(f"there is no file {str(path)!r} for {what}: check the path")


def _search(folder: pathlib.Path) -> tuple[dict[str, dict[str, pathlib.Path]], list[str]]:
    """Return the files of each role by the name of their set, and notes."""
    found: dict[str, dict[str, pathlib.Path]] = {role: {} for role in _WORDS}
    ignored = []
    for file in _files(folder):
        role, name = _role(file)
        if role is None or not file.is_file():
            ignored.append(file.name)
            continue
        # What follows the word does not matter to the one training file.
        name = "train" if role == "train" else name
        if name in found[role]:
            raise InputError(
                f"{folder} has two files for the {role} set: "
                f"{listed([found[role][name].name, file.name])}; remove one, or give the files "
                "themselves"
            )
        found[role][name] = file
    if not found["train"]:
        raise InputError(
            f"{folder} has no training file, which is named train with one of the suffixes "
            f"{', '.join(SUFFIXES)}; other files are {listed(ignored) or 'none'}: rename the file, "
            "or give the file itself"
        )
    for role in ("dev", "test"):
        if len(found[role]) == 1 and _DIAGNOSTIC not in found[role]:
            found[role] = dict(zip([role], found[role].values()))
    used = {role: listed([file.name for file in files.values()]) for role, files in found.items()}
    notes = [f"{folder}: {', '.join(f'{role} {names}' for role, names in used.items() if names)}"]
    if ignored:
        notes.append(f"{folder}: ignored {listed(ignored)}")
    return found, notes


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"cannot read the folder {folder}: {error.strerror}; make it readable, or give the "
            "files themselves"
        ) from error


def _role(file: pathlib.Path) -> tuple[str | None, str]:
    """Return the role that the name of a file shows, and the name of its set."""
    stem = file.name.lower().removesuffix(".gz")
    suffix = next((suffix for suffix in SUFFIXES if stem.endswith(suffix)), None)
    match = _NAME.fullmatch(stem.removesuffix(suffix)) if suffix else None
    if not match or match["rest"] in _NO_TABLES:
        return None, ""
    if match[0] == _DIAGNOSTIC:
        return "test", _DIAGNOSTIC
    for role, words in _WORDS.items():
        if match["word"] in words:
            return role, match["rest"] or role
    return None, ""
