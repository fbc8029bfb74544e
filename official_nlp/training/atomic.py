"""Files that are replaced whole."""

import os
import pathlib


def write(path: pathlib.Path, text: str) -> None:
    """Replaces a file's content: whoever reads, now or after a crash, finds the old or the new."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
