"""Writing to a disk that may be full."""

import contextlib
import os
import pathlib
import shutil

import tensorflow as tf

from official_nlp.errors import StorageError


@contextlib.contextmanager
def writing(what: str, place: str | os.PathLike):
    """Turns a failure to write into a `StorageError` that says what, where, why and what is free.

    Args:
      what: what is written, for the message.
      place: the file or folder.
    """
    try:
        yield
    except StorageError:
        raise
    except (OSError, tf.errors.OpError) as error:
        raise StorageError(
            f"{what} could not be written to {place}: {_reason(error)}; {_free(place)} free there. "
            "The last checkpoint is whole: make room, and the same command continues from it"
        ) from error


def _reason(error: OSError | tf.errors.OpError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # TensorFlow's message ends with the system's words: `FILE; No space left on device [Op:...]`.
    return error.message.splitlines()[0].partition(" [Op:")[0].rpartition("; ")[2]


def _free(place: str | os.PathLike) -> str:
    place = pathlib.Path(place)
    while not place.exists() and place != place.parent:
        place = place.parent
    return f"{shutil.disk_usage(place).free / 1e6:,.1f} MB"
