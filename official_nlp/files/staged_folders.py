"""A folder that is there whole or not at all."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from official_nlp.errors import InputError

_LOCK_FILE = ".lock"


@contextlib.contextmanager
def staged(to: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives an empty folder to write into, which becomes `to` when the block ends without error.

    It lies beside `to`. After an error it is removed; after a kill it stays, and goes when the
    same `to` is next written.

    Raises:
      InputError: `to` exists and is not an empty folder, or something cannot be written.
    """
    to, partial = pathlib.Path(to), None
    try:
        _check_free(to)
        to.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{to.name}.partial-"
        _remove_leftovers(to.parent, prefix)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=to.parent))
        os.chmod(partial, 0o777 & ~_umask())  # mkdtemp keeps others out
        with _lock(partial):
            yield partial
            _sync(partial)
            (partial / _LOCK_FILE).unlink()
            os.rename(partial, to)
        _sync_folder(to.parent)
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename or to}: {error.strerror}; name a folder that can be "
            "made, on a disk with room"
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _check_free(to: pathlib.Path):
    if to.is_dir() and any(to.iterdir()):
        raise InputError(
            f"{to} is not empty, and is not overwritten: remove it or name another folder"
        )
    if to.exists() and not to.is_dir():
        raise InputError(f"{to} is a file, but must be a folder that is to be made: name another")


@contextlib.contextmanager
def _lock(folder: pathlib.Path):
    # The kernel lets go of the lock when the process ends, however it ends.
    with open(folder / _LOCK_FILE, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove_leftovers(parent: pathlib.Path, prefix: str):
    for folder in parent.iterdir():
        if folder.name.startswith(prefix) and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: pathlib.Path) -> bool:
    try:
        with _lock(folder):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _sync(folder: pathlib.Path):
    for file in folder.rglob("*"):
        if file.is_dir():
            _sync_folder(file)
        else:
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: pathlib.Path):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
