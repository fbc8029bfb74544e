"""Paths for TensorFlow, which takes some characters of a checkpoint's path for a pattern.

TensorFlow looks for the files of a checkpoint by a pattern in which `*`, `?`, `[` and a backslash
have a meaning that no escape removes, and it cannot express a path that is not valid Unicode. A
symbolic link with a plain name leads it to the same folder.
"""

import atexit
import functools
import itertools
import os
import pathlib
import re
import shutil
import tempfile

from official_nlp.errors import InputError

_SPECIAL = re.compile(r"[*?\[\\\ud800-\udfff]")
_numbers = itertools.count()


def plain(path: str | os.PathLike) -> str:
    """Return a path of the same file whose folder TensorFlow takes literally.

    Args:
      path: a file or the prefix of a checkpoint, in a folder that exists.

    Returns:
      The path itself, or one through a link that lasts as long as this process.

    Raises:
      InputError: the name of the file itself has such a character.
    """
    path = pathlib.Path(path)
    if not _SPECIAL.search(str(path)):
        return str(path)
    if _SPECIAL.search(path.name):
        raise InputError(
            f"the name of a checkpoint must be without *, ?, [, \\ and bytes that are not UTF-8, "
            f"was {path.name!r}: rename its files"
        )
    return os.path.join(_link(os.path.abspath(path.parent)), path.name)


@functools.cache
def _link(folder: str) -> str:
    """Return a link to a folder."""
    link = os.path.join(_links(), str(next(_numbers)))
    os.symlink(folder, link)
    return link


@functools.cache
def _links() -> str:
    """Return a folder for links, which is removed when the process ends."""
    root = tempfile.gettempdir()
    if _SPECIAL.search(root):
        raise InputError(
            f"the temporary folder must be without *, ?, [, \\ and bytes that are not UTF-8, was "
            f"{root!r}: set TMPDIR to another one"
        )
    folder = tempfile.mkdtemp(prefix="electra-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
