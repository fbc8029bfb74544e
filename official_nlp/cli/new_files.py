"""Files that a verb writes: refused before the work begins, and written as a whole."""

import os
import pathlib

from official_nlp.errors import InputError
from official_nlp.files import atomic


def check(option: str, file: str, overwrite: bool, read: str | None = None) -> None:
    """Refuse a file that cannot be written, or whose content would be lost.

    Args:
      option: the option that names the file, for the message.
      file: the file.
      overwrite: whether an existing file may be replaced.
      read: file that the verb reads, or None.

    Raises:
      InputError: the file is a folder, lies in no existing folder, is the one that is read, or
        exists and may not be replaced.
    """
    target = pathlib.Path(file)
    if target.is_dir() or not target.parent.is_dir():
        reason = "Is a directory" if target.is_dir() else "No such file or directory"
        raise InputError(f"cannot write {file}: {reason}; name a file in an existing folder")
    if not os.path.lexists(file) or (target.exists() and not target.is_file()):
        return  # A new file, or a pipe or a device such as /dev/stdout.
    if read and target.exists() and os.path.exists(read) and target.samefile(read):
        raise InputError(f"{option} {file} is the file that is read; name another file")
    if not overwrite:
        raise InputError(
            f"{option} {file} exists and is not overwritten; name a new file, or give --overwrite"
        )


def write(file: str, content: str) -> None:
    """Write a text file, which appears when it is complete.

    Raises:
      InputError: it cannot be written.
    """
    try:
        atomic.write(file, content)
    except OSError as error:
        raise cannot_write(file, error) from error


def cannot_write(file: str, error: OSError) -> InputError:
    """Return the error for a file that the system does not let be written."""
    return InputError(f"cannot write {file}: {error.strerror}; name a file in an existing folder")
