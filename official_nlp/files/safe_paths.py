"""Folders that somebody else made: what is read in them lies in them."""

import os
import pathlib

from official_nlp.errors import InputError


def inside(folder: str | os.PathLike, name: str, index: str | None = None) -> pathlib.Path:
    """Returns the path of a file, which must lie in its folder, links resolved.

    The cache of Hugging Face's hub is the exception: there every file of a snapshot is a link to
    one of the blobs beside the snapshots.

    Args:
      folder: the folder.
      name: of the file.
      index: None; or the file of the folder that names this one.

    Raises:
      InputError: the file is not there, or not in the folder.
    """
    folder = pathlib.Path(folder)
    if index and not _is_plain(name):
        raise InputError(
            f"{folder / index} must name files in its own folder, but names {name[:100]!r}; "
            "nothing outside is read"
        )
    file = folder / name
    real, home = file.resolve(), folder.resolve()
    homes = [home]
    if home.parent.name == "snapshots":
        homes.append(home.parents[1] / "blobs")
    if not any(real.is_relative_to(place) for place in homes):
        raise InputError(
            f"{file} must lie in its folder, but is a link to {real}; nothing outside is read: put "
            "a copy there"
        )
    if not real.is_file():
        named = f", which {index} names," if index else ""
        raise InputError(f"{file}{named} must be a file, but is not there; copy it, too")
    return file


def _is_plain(name: str) -> bool:
    """Whether this is the name of a file, on any system."""
    is_one = pathlib.PurePath(name).name == name and name not in ("", "..") and "\\" not in name
    return is_one and name.isprintable() and len(name.encode()) < 256
