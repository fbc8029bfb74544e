"""Recognize the format of text files by their content.

Text is either JSON lines, in which each line is an object, or prose. What is neither, such as an
archive or a table, is refused: read as prose, it would become a part of the vocabulary.
"""

import gzip
import json
import pathlib
import re
import zlib
from collections.abc import Collection
from typing import IO, Any, NoReturn, cast

from official_nlp.errors import InputError

# What is recognized lies in this many bytes of a file.
HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# Text of European languages has a NUL in nearly every character of UTF-16.
_FEWEST_NULLS = 0.1

_UNPACK, _EXPORT = "unpack it", "write its texts as JSON lines, or as plain text"
_OTHER_FORMATS = (
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive", _UNPACK),
    (re.compile(rb"PK\x03\x04"), "a zip archive", _UNPACK),
    (re.compile(rb"BZh\d1AY&SY"), "compressed by bzip2", _UNPACK),
    (re.compile(rb"\xfd7zXZ\x00"), "compressed by xz", _UNPACK),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "compressed by zstd", _UNPACK),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive", _UNPACK),
    (re.compile(_GZIP), "compressed by gzip twice", _UNPACK),
    (re.compile(rb"PAR1[^ -~]"), "a Parquet table", _EXPORT),
    (re.compile(rb"ARROW1\x00"), "an Arrow table", _EXPORT),
    (re.compile(rb"SQLite format 3\x00"), "an SQLite database", _EXPORT),
    (re.compile(rb"%PDF-"), "a PDF document", _EXPORT),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|!doctype html|html)\b", re.IGNORECASE),
     "XML or HTML", _EXPORT),
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_JSON_LINES = (".jsonl", ".jsonl.gz")
_JSON = (".json", ".json.gz")
_KEY = r'\{\s*"(?:[^"\\\n]|\\.)*"\s*:'
_ROW_START = re.compile(_KEY)
_JSON_START = re.compile(rf"(?:\[\s*)?{_KEY}")
_STRING_KEY = re.compile(r'"(\w+)"\s*:\s*"')
_SPECIAL_TOKENS = {"[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def decompressed(file: pathlib.Path, raw: IO[bytes]) -> IO[bytes]:
    """Return a stream of the uncompressed content of a file.

    Args:
      file: the file.
      raw: the open file, buffered, at its start.

    Raises:
      InputError: the file is named as if it were compressed, but is not.
    """
    # The name may deceive: many programs and downloads drop or add the suffix.
    start = raw.peek(len(_GZIP))[: len(_GZIP)]  # type: ignore[attr-defined]
    if start == _GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if file.name.endswith(".gz") and start:
        raise InputError(
            f"{file} is not a complete gzip file: it does not start like one; copy it again, or "
            "rename it if it is plain text"
        )
    return raw


def is_json_lines(file: pathlib.Path) -> bool:
    """Return whether a file holds JSON lines, False if it holds prose.

    Raises:
      InputError: the file cannot be read, or holds neither.
    """
    start = head(file)
    check_text(file, start)
    text = _text(start)
    if file.name.endswith(_JSON_LINES) or _first_row(start) is not None:
        return True
    if _JSON_START.match(text) or (file.name.endswith(_JSON) and text):
        raise InputError(
            f"{file} is JSON, but not JSON lines: write each document as an object in a line of "
            'its own, {"text": "..."}; jq -c .[] does so for a list of objects'
        )
    if file.name.endswith(_TABLES):
        raise InputError(f"{file} is a table: {_EXPORT}; if it is prose, name it .txt")
    if _names_special_tokens(text):
        raise InputError(f"{file} is a vocabulary, not text: give files that contain text")
    return False


def has_json_texts(file: pathlib.Path) -> bool:
    """Return whether a file holds JSON lines of which the first has a text.

    Raises:
      InputError: the file cannot be read.
    """
    row = _first_row(head(file))
    return row is not None and isinstance(row.get("text"), str)


def has_json_keys(file: pathlib.Path, keys: Collection[str]) -> bool:
    """Return whether a file holds JSON lines of which the first has one of these keys.

    Raises:
      InputError: the file cannot be read.
    """
    row = _first_row(head(file))
    return row is not None and any(key in row for key in keys)


def is_vocabulary(file: pathlib.Path) -> bool:
    """Return whether a file is the vocabulary of a WordPiece tokenizer.

    Raises:
      InputError: the file cannot be read.
    """
    return _names_special_tokens(_text(head(file)))


def starts_like_json(start: bytes) -> bool:
    """Return whether a file with these first bytes starts with a JSON object or array of these."""
    return bool(_JSON_START.match(_text(start)))


def _names_special_tokens(text: str) -> bool:
    return set(text.split("\n")) >= _SPECIAL_TOKENS


def head(file: pathlib.Path) -> bytes:
    """Return the first 64 KiB of the uncompressed content of a file.

    Raises:
      InputError: the file cannot be read.
    """
    try:
        with open(file, "rb") as raw:
            return decompressed(file, raw).read(HEAD_BYTES)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            _refuse_gzip(file, error)
        raise InputError(
            f"cannot read {file}: {error.strerror}; check its path and permissions"
        ) from error
    except (EOFError, zlib.error) as error:
        _refuse_gzip(file, error)


def _refuse_gzip(file: pathlib.Path, error: Exception) -> NoReturn:
    raise InputError(f"{file} is not a complete gzip file: {error}; copy it again") from error


def check_text(file: pathlib.Path, start: bytes, export: str = _EXPORT) -> None:
    """Check that a file holds text in UTF-8, as far as its first bytes show.

    Args:
      file: the file, for messages.
      start: its first bytes, see `head`.
      export: what the user can do if it holds texts in another format.

    Raises:
      InputError: the bytes are those of another format or encoding.
    """
    for pattern, kind, advice in _OTHER_FORMATS:
        if pattern.match(start):
            raise InputError(
                f"{file} must be text, but is {kind}: {export if advice == _EXPORT else advice}"
            )
    encoding = _wide_encoding(start)
    if encoding:
        raise InputError(
            f"{file}: text must be UTF-8, but this looks like {encoding}; convert it with "
            f"iconv -f {encoding} -t UTF-8"
        )


def _wide_encoding(head: bytes) -> str | None:
    """Return the encoding of two or four bytes a character that text seems to have, if any."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    nulls = head.count(0)
    if nulls < _FEWEST_NULLS * len(head) or not nulls:
        return None
    quarters = [head[start::4].count(0) for start in range(4)]
    quarter = len(head) // 4
    if quarter and min(quarters[2:]) >= quarter:
        return "UTF-32LE"
    if quarter and min(quarters[:2]) >= quarter:
        return "UTF-32BE"
    # The high byte of a letter is NUL: the second one of each pair, or the first one.
    odd = quarters[1] + quarters[3]
    if odd > 0.95 * nulls:
        return "UTF-16LE"
    return "UTF-16BE" if odd < 0.05 * nulls else None


def _text(head: bytes) -> str:
    return head.decode("utf-8", "ignore").removeprefix("\ufeff").lstrip()


def _first_row(head: bytes) -> dict[str, Any] | None:
    """Return the object in the first line, with what is known of one longer than the head."""
    line, newline, _ = _text(head).partition("\n")
    if not newline and len(head) >= HEAD_BYTES:
        # Documents may be long: of such a row only the names of strings can be seen.
        return dict.fromkeys(_STRING_KEY.findall(line), "") if _ROW_START.match(line) else None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
