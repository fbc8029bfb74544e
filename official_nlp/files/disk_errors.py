"""Turn failures to write, such as a full disk, into errors that the command can report."""

import contextlib
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

from official_nlp.errors import InputError, StorageError

_CONTINUE = "The last checkpoint is whole: make room, and the same command continues from it"


@contextlib.contextmanager
def writing(
    what: str,
    path: str | os.PathLike,
    advice: str = _CONTINUE,
    error_class: type[StorageError] | type[InputError] = StorageError,
) -> Iterator[None]:
    """Turn a failure to write within the block into one error with path, reason and free space.

    Args:
      what: what is written, for the message: "the index".
      path: the file or folder, for the message.
      advice: what the user can do, a full sentence without the full stop.
      error_class: `InputError` where the user has named the path for this purpose, otherwise
        `StorageError`.

    Raises:
      StorageError: or `error_class`, for an `OSError` or an error of a TensorFlow operation.
    """
    try:
        yield
    except _disk_errors() as error:
        raise error_class(
            f"{what} could not be written to {path}: {_reason(error)}; {_free(path)} free there. "
            f"{advice}"
        ) from error


def _disk_errors() -> tuple[type[Exception], ...]:
    # Importing TensorFlow takes seconds, and without it there are no errors of its operations.
    tensorflow = sys.modules.get("tensorflow")
    return (OSError, tensorflow.errors.OpError) if tensorflow else (OSError,)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # TensorFlow's message ends with the system's words: `FILE; No space left on device [Op:...]`.
    message = getattr(error, "message", str(error))
    return message.splitlines()[0].partition(" [Op:")[0].rpartition("; ")[2]


def _free(path: str | os.PathLike) -> str:
    path = pathlib.Path(path)
    # The nearest folder that exists is on the file system that would be written to.
    while not os.path.isdir(path) and path != path.parent:
        path = path.parent
    return f"{shutil.disk_usage(path).free / 1e6:,.1f} MB"
