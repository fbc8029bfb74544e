"""Write folders atomically: a folder appears complete or not at all."""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors


@contextlib.contextmanager
def staged(to: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield an empty folder to write into; it is renamed to `to` when the block succeeds.

    The folder lies beside `to`, as does a lock file, so that everything that prevents the rename is
    reported before the work begins, another writer of the same folder included. An error removes
    both. A killed process leaves them behind, and the next call with the same `to` removes them.

    Args:
      to: the folder to make; it must be missing or empty. A symbolic link is followed.

    Raises:
      InputError: `to` is no local path, is a file, a folder with content or one that cannot be
        replaced, another process is writing it, or something cannot be written.
    """
    ranges.Path().require("the folder", to)
    shown = pathlib.Path(to)
    # A rename replaces a link instead of following it.
    to = pathlib.Path(os.path.realpath(shown))
    advice = "Name a folder that can be made, on a disk with room"
    with disk_errors.writing("the folder", shown, advice, InputError):
        _check_free(to, shown)
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(f".{to.name}.partial")
        with _locked(to.with_name(f".{to.name}.lock"), shown):
            _check_free(to, shown)
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir()
                yield partial
                # The content must be on the disk before the rename makes it visible.
                atomic.sync(*partial.rglob("*"), partial)
                # Something may have been written there in the meantime.
                _check_free(to, shown)
                os.rename(partial, to)
                atomic.sync(to.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)


def _check_free(to: pathlib.Path, shown: pathlib.Path) -> None:
    if to.is_dir() and any(to.iterdir()):
        raise InputError(
            f"{shown} is not empty, and is not overwritten: remove it or name another folder"
        )
    if os.path.lexists(to) and not to.is_dir():
        raise InputError(f"{shown} is a file, but must be a folder, new or empty: name another")
    if to.is_dir() and (os.path.ismount(to) or to == pathlib.Path(os.path.realpath(os.curdir))):
        raise InputError(
            f"{shown} must be a folder that a complete one can replace, but is the working "
            "directory or a mounted file system: name a new folder inside it"
        )


@contextlib.contextmanager
def _locked(file: pathlib.Path, shown: pathlib.Path) -> Iterator[None]:
    """Lock a file, and remove it afterwards; the kernel releases the lock of a killed process.

    A file and not the folder, because network file systems lock only what is open for writing.
    """
    lock = _lock(file)
    if lock is None:
        raise InputError(
            f"another process is writing {shown}: wait until it ends, or name another folder"
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
        os.close(lock)


def _lock(file: pathlib.Path) -> int | None:
    """Return the descriptor of a locked file, None if another process has locked it."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last owner may have removed it since it was opened: then it excludes nobody.
            if os.path.samestat(os.fstat(lock), os.stat(file)):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
