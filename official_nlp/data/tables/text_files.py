"""Read whole text files of task data, with the checks that all of them share."""

import pathlib
import stat

from official_nlp.data import corpus, text_format
from official_nlp.errors import InputError

_EXPORT = "export it as CSV, JSON lines or Parquet"
# In characters. Parsed JSON takes many times its size in memory.
_LARGEST = 1 << 30
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


def check_file(file: pathlib.Path) -> None:
    """Check that a path names a regular file that is not empty.

    Raises:
      InputError: it does not, or the file is a spreadsheet.
    """
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise InputError(f"cannot read {str(file)!r}: {reason}; check its path") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise InputError(f"{file} must be a file, but is {kind}: give the file itself")
    if not status.st_size:
        raise InputError(f"{file} is empty: copy it again")
    if file.name.lower().endswith(_SPREADSHEETS):
        raise InputError(f"{file} is a spreadsheet: save its sheet as CSV")


def text_head(file: pathlib.Path) -> str:
    """Return the first 64 KiB of a text file, without byte order mark.

    Raises:
      InputError: the file cannot be read, or its first bytes are those of another format.
    """
    check_file(file)
    start = text_format.head(file)
    text_format.check_text(file, start, _EXPORT)
    text = start.decode("utf-8", "ignore").removeprefix("\ufeff")
    if not text.strip() and len(start) < text_format.HEAD_BYTES:
        raise InputError(f"{file} is empty: it has no line of text; copy it again")
    return text


def whole_text(file: pathlib.Path) -> str:
    """Return the text of a file in UTF-8, also compressed by gzip.

    Raises:
      InputError: the file cannot be read, is empty, is not UTF-8, has a NUL, or is too large.
    """
    text_head(file)
    pieces, size = [], 0
    # Not the rows of `corpus`, whose length is limited: JSON is often written without newlines.
    for _, piece in corpus.lines(file):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise InputError(
                f"{file} must have at most {_LARGEST:,} characters, but has more: divide it"
            )
    return "".join(pieces)
