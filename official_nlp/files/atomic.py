"""Replace files atomically: a reader sees the old content or the new, even after a crash."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


def write(path: str | os.PathLike, content: str | bytes) -> None:
    """Replace the content of a file atomically; text is encoded as UTF-8.

    A character that UTF-8 cannot encode, half of a surrogate pair, is written as an escape, which
    JSON reads back as the same character.

    A pipe or a device, such as /dev/stdout, is written directly: renaming a file over it would
    remove it from the system.

    Raises:
      OSError: the file cannot be written; its old content is intact.
    """
    path = pathlib.Path(path)
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, concurrent: bool = False) -> Iterator[pathlib.Path]:
    """Yield the path of a temporary file, which replaces `path` when the block succeeds.

    The temporary file lies in the same folder, because a rename is atomic only within one file
    system. Its content reaches the disk before the rename, and the rename before this returns:
    otherwise a power failure could leave the new name with no content.

    Args:
      path: the file to replace or create. A symbolic link is followed.
      concurrent: True if several processes may write this file at the same time. Each then uses a
        temporary file of its own, which a killed process leaves behind; otherwise the next write
        reuses the leftover.

    Raises:
      OSError: the file cannot be written; its old content is intact.
    """
    path = pathlib.Path(path)
    path = path.resolve() if path.is_symlink() else path
    writer = f".{os.getpid()}" if concurrent else ""
    temporary = path.with_name(f".{path.name}{writer}.new")
    try:
        yield temporary
        sync(temporary)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(*paths: str | os.PathLike) -> None:
    """Return when the content of files, or the names in folders, would survive a power failure."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
