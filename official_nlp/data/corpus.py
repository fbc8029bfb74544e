"""Read text files as a stream of documents.

`text_format` recognizes the format of a file by its content.
"""

import codecs
import dataclasses
import glob
import gzip
import json
import os
import pathlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from official_nlp import output
from official_nlp.data import text_format
from official_nlp.errors import InputError

# The message of every tool that finds nothing to work on.
NO_TEXT = "the files contain no text; give files that contain text"
# Of the files in a folder, these are read.
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".json", ".json.gz")

# Longer documents and lines are split, and longer rows of JSON, which cannot be, are refused, so
# that memory is bounded for any input.
_DOCUMENT_CHARACTERS = 1_000_000
_LINE_BYTES = 1 << 20
ROW_CHARACTERS = 16 << 20
_BUFFER_BYTES = 1 << 18
_LISTED = 3

# Folders that this program or a model library writes: the names of files that identify them.
_ARTEFACTS = {
    "data folder": ({"index.json", "unigram.npy"},),
    "run folder": ({"run.json", "config.gin"},),
    "exported model": ({"saved_model.pb"},),
    "tokenizer or model folder": (
        {"tokenizer_config.json", "vocab.txt"},
        {"tokenizer_config.json", "tokenizer.json"},
        {"tokenizer_config.json", "spm.model"},
    ),
}


@dataclasses.dataclass(frozen=True)
class FoundFiles:
    """Files to read, and those left out of folders and patterns.

    Attributes:
      files: the files to read, each once.
      skipped: files and folders that are not read, with the reason of each.
    """

    files: list[pathlib.Path]
    skipped: dict[pathlib.Path, str]

    def describe(self) -> str:
        """Return a line for each reason to leave out files, empty if none was left out."""
        by_reason: dict[str, list[str]] = {}
        for path, reason in self.skipped.items():
            by_reason.setdefault(reason, []).append(output.escaped(str(path)))
        return "\n".join(
            f"not read, {reason}: {', '.join(paths[:_LISTED])}"
            + (f" and {len(paths) - _LISTED:,} more" if len(paths) > _LISTED else "")
            for reason, paths in sorted(by_reason.items())
        )


def find_files(patterns: str | os.PathLike | Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    """Return the files that patterns match, each once, in order of the patterns, then of the names.

    Args:
      patterns: see `find`.

    Raises:
      InputError: a pattern matches no file, or there is no pattern.
    """
    return find(patterns).files


def find(patterns: str | os.PathLike | Iterable[str | os.PathLike]) -> FoundFiles:
    """Find the files that patterns match, each once, in order of the patterns, then of the names.

    Args:
      patterns: one or several of these: a file, a glob pattern, or a folder, which stands for all
        `.txt` and `.jsonl` files in it and its subfolders, also compressed as `.gz`, and for the
        `.json` files that hold JSON lines. Hidden files and what this program has written itself,
        such as tokenizer and data folders, are left out of folders and patterns.

    Raises:
      InputError: a pattern matches no file, a folder cannot be read, or there is no pattern.
    """
    if isinstance(patterns, str | os.PathLike):
        patterns = [patterns]
    found: dict[pathlib.Path, pathlib.Path] = {}
    skipped: dict[pathlib.Path, str] = {}
    for pattern in patterns:
        path = pathlib.Path(pattern)
        left_out: dict[pathlib.Path, str] = {}
        # Not pathlib's, which raise for a name that is too long.
        if os.path.isdir(path):
            matches = sorted(_files_of_folder(path, left_out))
        elif os.path.isfile(path):
            matches = [path]
        else:
            matches = list(_files_of_pattern(str(pattern), left_out))
        if not matches:
            kind = (
                f"folder with {', '.join(SUFFIXES)} files" if os.path.isdir(path) else "such file"
            )
            reasons = FoundFiles([], left_out).describe().replace("\n", "; ")
            raise InputError(
                f"no {kind}: {pattern}{f' ({reasons})' if reasons else ''}; give files, globs or "
                "folders of text"
            )
        # By resolved path, so that a file and a link to it count once.
        found |= {match.resolve(): match for match in matches if match.resolve() not in found}
        skipped |= left_out
    if not found:
        raise InputError("no files were given: give files, globs or folders of text")
    return FoundFiles(list(found.values()), skipped)


def _files_of_folder(
    folder: pathlib.Path, skipped: dict[pathlib.Path, str]
) -> Iterator[pathlib.Path]:
    for top, folders, names in os.walk(folder, onerror=_refuse_folder):
        here = pathlib.Path(top)
        artefact = _artefact({*folders, *names})
        if artefact:
            skipped[here] = artefact
            folders.clear()
            continue
        for name in sorted(names + [name for name in folders if name.startswith(".")]):
            reason = _reason_to_skip(here / name)
            if reason:
                skipped[here / name] = reason
            elif (here / name).is_file():
                yield here / name
        folders[:] = [name for name in folders if not name.startswith(".")]


def _files_of_pattern(pattern: str, skipped: dict[pathlib.Path, str]) -> Iterator[pathlib.Path]:
    for match in sorted(glob.glob(pattern, recursive=True)):
        file = pathlib.Path(match)
        if not file.is_file():
            continue
        artefact = _artefact(set(os.listdir(file.parent)))
        if artefact:
            skipped[file.parent] = artefact
        else:
            yield file


def _artefact(names: set[str]) -> str | None:
    """Return the kind of a folder that holds no text but the output of a program."""
    for kind, signatures in _ARTEFACTS.items():
        if any(signature <= names for signature in signatures):
            return kind
    return None


def _reason_to_skip(file: pathlib.Path) -> str | None:
    """Return why a file of a folder is not read, None if it is."""
    if file.name.startswith("."):
        return "hidden"
    if not file.name.endswith(SUFFIXES):
        return f"not named {', '.join(SUFFIXES)}"
    if file.name.endswith((".json", ".json.gz")) and not text_format.has_json_texts(file):
        return "no JSON lines with texts"
    if file.name.startswith("vocab") and text_format.is_vocabulary(file):
        return "vocabulary"
    return None


def _refuse_folder(error: OSError) -> NoReturn:
    raise InputError(
        f"cannot read the folder {error.filename}: {error.strerror}; make it readable, or give the "
        "files themselves"
    ) from error


def documents(
    files: Iterable[pathlib.Path], advance: Callable[[int], None] = lambda size: None
) -> Iterator[list[str]]:
    """Yield documents as lists of lines, which are stripped and not empty.

    The content of a file determines how it is read, see `text_format`. In JSON lines each line is
    an object whose "text" is a document. In all other text a blank line or the end of the file ends
    a document. Compressed files are decompressed. A document of more than a million characters is
    split.

    Args:
      files: the files.
      advance: called with the number of bytes read from disk since its last call.

    Raises:
      InputError: a file cannot be read, is not UTF-8, is of a format other than text and JSON
        lines, or has a row that is no JSON or larger than 16 MiB; names file and line.
    """
    for file in files:
        read = _json_texts if text_format.is_json_lines(file) else _paragraphs
        yield from read(file, advance)


def _refuse_null(file: pathlib.Path, number: int, position: int) -> NoReturn:
    raise InputError(
        f"{file}, line {number}: byte {position} of the text is NUL, which no text has: convert "
        "the text to UTF-8 with iconv, or remove these bytes with tr -d '\\000'"
    )


def _paragraphs(file: pathlib.Path, advance: Callable[[int], None]) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for _, line in lines(file, advance):
        line = line.strip()
        if document and (not line or size + len(line) > _DOCUMENT_CHARACTERS):
            yield document
            document, size = [], 0
        if line:
            document.append(line)
            size += len(line)
    if document:
        yield document


def _json_texts(file: pathlib.Path, advance: Callable[[int], None]) -> Iterator[list[str]]:
    for number, row in rows(file, advance):
        if row.strip():
            yield from _split(_text(file, number, row))


def rows(
    file: pathlib.Path, advance: Callable[[int], None] = lambda size: None
) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line, which ends with a newline.

    Args:
      file: the file, in UTF-8, with or without a byte order mark, also compressed by gzip.
      advance: called with the number of bytes read from disk since its last call.

    Raises:
      InputError: the file cannot be read, is not UTF-8, or has a NUL or a line of more than 16
        million characters; names file and line.
    """
    pieces: list[str] = []
    size = 0
    for number, line in lines(file, advance):
        pieces.append(line)
        size += len(line)
        if size > ROW_CHARACTERS:
            raise InputError(
                f"{file}, line {number}: a row may have at most {ROW_CHARACTERS:,} characters, but "
                "this one has more: divide its text into several rows"
            )
        if not line.endswith("\n"):
            continue  # a piece of a long line; `lines` ends every line with a newline
        yield number, "".join(pieces)
        pieces.clear()
        size = 0


def _text(file: pathlib.Path, number: int, row: str) -> str:
    try:
        text = json.loads(row)["text"]
        if not isinstance(text, str):
            raise TypeError
    # Deeply nested values exceed the recursion limit.
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise InputError(
            f'{file}, line {number}: each row must be a JSON object with a string "text", was '
            f"{row.strip()[:60]!r}"
        ) from None
    return without_surrogates(text)


def without_surrogates(text: str) -> str:
    """Return a text in which the replacement character stands for each lone surrogate.

    JSON escapes can spell lone surrogates, which are not characters and cannot be encoded.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _split(text: str) -> Iterator[list[str]]:
    """Yield the documents of one text: one, or several if it is too long."""
    document: list[str] = []
    size = 0
    # One line at a time: the list of a million empty lines takes more memory than the text.
    for match in re.finditer("[^\n]+", text):
        line = match[0].strip()
        for start in range(0, len(line), _DOCUMENT_CHARACTERS):
            piece = line[start : start + _DOCUMENT_CHARACTERS]
            if document and size + len(piece) > _DOCUMENT_CHARACTERS:
                yield document
                document, size = [], 0
            document.append(piece)
            size += len(piece)
    if document:
        yield document


def lines(
    file: pathlib.Path, advance: Callable[[int], None] = lambda size: None
) -> Iterator[tuple[int, str]]:
    """Yield (line number, text); long lines come in pieces, and every line ends with a newline.

    Args:
      file: see `rows`.
      advance: see `rows`.

    Raises:
      InputError: the file cannot be read, is not UTF-8, or has a NUL; names file and line.
    """
    number, done, offset = 1, 0, 0
    # A piece may end in the middle of a character, of which the decoder retains the first bytes.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(file, "rb", buffering=_BUFFER_BYTES) as raw:
            stream = text_format.decompressed(file, raw)
            while piece := stream.readline(_LINE_BYTES):
                if b"\0" in piece:
                    _refuse_null(file, number, offset + piece.index(b"\0"))
                text = decoder.decode(piece)
                yield number, text.removeprefix("\ufeff") if offset == 0 else text
                offset += len(piece)
                number += piece.endswith(b"\n")
                if raw.tell() - done > _BUFFER_BYTES:
                    advance(raw.tell() - done)
                    done = raw.tell()
            decoder.decode(b"", final=True)
            if offset and not text.endswith("\n"):
                yield number, "\n"
            advance(raw.tell() - done)
    except UnicodeDecodeError as error:
        position = offset - len(decoder.getstate()[0]) + error.start
        raise InputError(
            f"{file}, line {number}: text must be UTF-8, but byte {position} of the text, "
            f"0x{error.object[error.start]:02x}, is not; convert it with iconv"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{file} is not a complete gzip file: {error}; copy it again") from error
    except OSError as error:
        raise InputError(
            f"cannot read {file}: {error.strerror}; check its path and permissions"
        ) from error
