"""Resolve file names inside folders of unknown origin without reading anything outside them."""

import os
import pathlib

from official_nlp.errors import InputError


def inside(folder: str | os.PathLike, name: str, index: str | None = None) -> pathlib.Path:
    """Return the path of a file, after checking that it lies in the folder with links resolved.

    The cache of the Hugging Face hub is an exception: every file of a snapshot there is a link to
    one of the blobs beside the snapshots, which is accepted.

    Args:
      folder: the folder.
      name: name of the file in the folder.
      index: name of the file that lists `name`, or None if the program chose `name` itself. A
        listed name must be a plain file name.

    Raises:
      InputError: the file is missing, lies outside the folder, or `name` is not a file name.
    """
    folder = pathlib.Path(folder)
    if index and not _is_plain(name):
        raise InputError(
            f"{folder / index} must name files in its own folder, but names {name[:100]!r}; "
            "nothing outside is read"
        )
    file = folder / name
    try:
        real, root = file.resolve(), folder.resolve()
        is_file = real.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        # The name is too long or has a null byte, or links lead in a circle.
        reason = getattr(error, "strerror", None) or str(error).partition(":")[0]
        raise InputError(
            f"{folder} must hold a file {name[:100]!r}, but that cannot be one: {reason}; copy the "
            "folder again"
        ) from error
    roots = [root]
    # The layout is models--OWNER--NAME/snapshots/REVISION/FILE, a link to ../../blobs/HASH.
    if root.parent.name == "snapshots":
        roots.append(root.parents[1] / "blobs")
    if not any(real.is_relative_to(allowed) for allowed in roots):
        raise InputError(
            f"{file} must lie in its folder, but is a link to {real}; nothing outside is read: put "
            "a copy there"
        )
    if not is_file:
        source = f", which {index} names," if index else ""
        raise InputError(
            f"{file}{source} must be a file, but is not there: copy it into the folder, too"
        )
    return file


def _is_plain(name: str) -> bool:
    """Return whether `name` is a file name, without folders, on any operating system."""
    is_one = pathlib.PurePath(name).name == name and name not in ("", "..") and "\\" not in name
    return is_one and name.isprintable() and len(name.encode()) < 256
