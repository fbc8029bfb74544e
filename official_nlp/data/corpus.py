"""Read text files as a stream of documents."""

import codecs
import glob
import gzip
import json
import os
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator

from official_nlp.errors import InputError

# The message of every tool that finds nothing to work on.
NO_TEXT = "the files contain no text; give files that contain text"
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz")

# Longer documents and lines are split, so that memory is bounded for any input.
_DOCUMENT_CHARACTERS = 1_000_000
_LINE_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18


def find_files(patterns: str | os.PathLike | Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    """Return the files that patterns match, each once, in order of the patterns, then of the names.

    Args:
      patterns: one or several of these: a file, a glob pattern, or a folder, which stands for all
        `.txt`, `.txt.gz`, `.jsonl` and `.jsonl.gz` files in it and its subfolders.

    Raises:
      InputError: a pattern matches no file, or there is no pattern.
    """
    if isinstance(patterns, str | os.PathLike):
        patterns = [patterns]
    found: dict[pathlib.Path, pathlib.Path] = {}
    for pattern in patterns:
        path = pathlib.Path(pattern)
        if path.is_dir():
            matches = [file for file in sorted(path.rglob("*")) if file.name.endswith(SUFFIXES)]
        elif path.is_file():
            matches = [path]
        else:
            matches = [
                pathlib.Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))
            ]
        matches = [match for match in matches if match.is_file()]
        if not matches:
            kind = f"folder with {', '.join(SUFFIXES)} files" if path.is_dir() else "such file"
            raise InputError(f"no {kind}: {pattern}; give files, globs or folders of text")
        # By resolved path, so that a file and a link to it count once.
        found |= {match.resolve(): match for match in matches if match.resolve() not in found}
    if not found:
        raise InputError("no files were given: give files, globs or folders of text")
    return list(found.values())


def documents(
    files: Iterable[pathlib.Path], advance: Callable[[int], None] = lambda size: None
) -> Iterator[list[str]]:
    """Yield documents as lists of lines, which are stripped and not empty.

    In `.jsonl` files each line is a JSON object whose "text" is a document. In all other files a
    blank line or the end of the file ends a document. `.gz` files are decompressed. A document of
    more than a million characters is split.

    Args:
      files: the files.
      advance: called with the number of bytes read from disk since its last call.

    Raises:
      InputError: a file cannot be read, is not UTF-8 or not JSON; names file and line.
    """
    for file in files:
        rows = _json_texts if file.name.endswith((".jsonl", ".jsonl.gz")) else _paragraphs
        yield from rows(file, advance)


def _paragraphs(file: pathlib.Path, advance: Callable[[int], None]) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for _, line in _lines(file, advance):
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
    row = ""
    for number, line in _lines(file, advance):
        row += line
        if not line.endswith("\n"):
            continue  # a piece of a long line; `_lines` ends every line with a newline
        if row.strip():
            yield from _split(_text(file, number, row))
        row = ""


def _text(file: pathlib.Path, number: int, row: str) -> str:
    try:
        text = json.loads(row)["text"]
        if not isinstance(text, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(
            f'{file}, line {number}: each row must be a JSON object with a string "text", was '
            f"{row.strip()[:60]!r}"
        ) from None
    # JSON escapes can spell lone surrogates, which are not characters and cannot be encoded.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _split(text: str) -> Iterator[list[str]]:
    """Yield the documents of one text: one, or several if it is too long."""
    lines = [line.strip() for line in text.split("\n")]
    document: list[str] = []
    size = 0
    for line in lines:
        for start in range(0, len(line), _DOCUMENT_CHARACTERS):
            piece = line[start : start + _DOCUMENT_CHARACTERS]
            if document and size + len(piece) > _DOCUMENT_CHARACTERS:
                yield document
                document, size = [], 0
            document.append(piece)
            size += len(piece)
    if document:
        yield document


def _lines(file: pathlib.Path, advance: Callable[[int], None]) -> Iterator[tuple[int, str]]:
    """Yield (line number, text); long lines come in pieces, and every line ends with a newline."""
    number, done, offset = 1, 0, 0
    # A piece may end in the middle of a character, of which the decoder retains the first bytes.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(file, "rb", buffering=_BUFFER_BYTES) as raw:
            stream = gzip.GzipFile(fileobj=raw) if file.name.endswith(".gz") else raw
            while piece := stream.readline(_LINE_BYTES):
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
