"""Write folders atomically: a folder appears complete or not at all."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors

_LOCK_FILE = ".lock"


@contextlib.contextmanager
def staged(to: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield an empty folder to write into; it is renamed to `to` when the block succeeds.

    The folder lies beside `to`. An error removes it. A killed process leaves it behind, and the
    next call with the same `to` removes it.

    Args:
      to: the folder to make; it must be missing or empty.

    Raises:
      InputError: `to` is a file or a folder with content, or something cannot be written.
    """
    to, partial = pathlib.Path(to), None
    advice = "Name a folder that can be made, on a disk with room"
    try:
        with disk_errors.writing("the folder", to, advice, InputError):
            _check_free(to)
            to.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{to.name}.partial-"
            _remove_leftovers(to.parent, prefix)
            partial = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=to.parent))
            # mkdtemp denies access to everybody else; the folder must obey the umask.
            os.chmod(partial, 0o777 & ~_umask())
            with _lock(partial):
                yield partial
                # The content must be on the disk before the rename makes it visible.
                atomic.sync(*partial.rglob("*"), partial)
                # The lock is held on the open file; only its name must not appear in the result.
                (partial / _LOCK_FILE).unlink()
                os.rename(partial, to)
            atomic.sync(to.parent)
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _check_free(to: pathlib.Path) -> None:
    if to.is_dir() and any(to.iterdir()):
        raise InputError(
            f"{to} is not empty, and is not overwritten: remove it or name another folder"
        )
    if to.exists() and not to.is_dir():
        raise InputError(f"{to} is a file, but must be a folder, new or empty: name another")


@contextlib.contextmanager
def _lock(folder: pathlib.Path) -> Iterator[None]:
    """Mark a staged folder as in use; the kernel releases the lock even of a killed process."""
    with open(folder / _LOCK_FILE, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove_leftovers(parent: pathlib.Path, prefix: str) -> None:
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
        # Another process has just removed or renamed it.
        return False


def _umask() -> int:
    # The umask can be read only by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
