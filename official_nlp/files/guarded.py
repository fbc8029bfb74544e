"""Read small files of unknown origin: whatever they hold, the result is a value or one clear error.

A file from elsewhere can be missing, a folder, a pipe that never ends, larger than the memory, in
another encoding, or no JSON. Every reader of a configuration, a vocabulary or an index goes through
these functions.
"""

import json
import os
import pathlib
import stat
from typing import Any

from official_nlp.errors import InputError

# Far above the tokenizer.json of a multilingual model, which is the largest of these files. Parsed
# JSON takes many times its size in memory.
LARGEST = 64 << 20


def read_bytes(
    file: str | os.PathLike, advice: str = "copy it again", largest: int = LARGEST
) -> bytes:
    """Return the content of a regular file.

    Args:
      file: the file. Links are followed; `safe_paths.inside` checks where they lead.
      advice: what the user can do, the end of the message.
      largest: maximum number of bytes.

    Raises:
      InputError: the file is missing, is not a regular file, cannot be read, or is too large.
    """
    path = pathlib.Path(file)
    try:
        status = path.stat()
        # A pipe or a device could block or never end.
        if not (stat.S_ISREG(status.st_mode) or path.is_dir()):
            raise InputError(f"{path} must be a regular file, but is a pipe or a device: {advice}")
        if status.st_size > largest:
            raise InputError(
                f"{path} has {status.st_size:,} bytes, and at most {largest:,} are read: {advice}"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {advice}") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        # The path holds a null byte.
        raise InputError(f"cannot read {str(path)!r}: {error}; {advice}") from error


def read_text(
    file: str | os.PathLike, advice: str = "copy it again", largest: int = LARGEST
) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
      InputError: as `read_bytes`, or the content is not UTF-8.
    """
    content = read_bytes(file, advice, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} must be UTF-8 text, but byte {error.start} is not; {advice}"
        ) from error


def read_object(
    file: str | os.PathLike, advice: str = "write it again", largest: int = LARGEST
) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
      InputError: as `read_text`, or the content is not JSON or another type of value.
    """
    text = read_text(file, advice, largest)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} must be JSON: {error}; {advice}") from error
    if not isinstance(value, dict):
        raise InputError(
            f"{file} must hold a JSON object, but holds a {type(value).__name__}; {advice}"
        )
    return value
