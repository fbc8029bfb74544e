"""Folders that one of several test processes makes for all of them."""

import fcntl
import os
import pathlib
from collections.abc import Callable

import pytest


def folder(
    factory: pytest.TempPathFactory, name: str, make: Callable[[pathlib.Path], None]
) -> pathlib.Path:
    """Return a folder below that of the test session; the first caller makes its content.

    Args:
      factory: the fixture `tmp_path_factory`.
      name: name of the folder.
      make: fills the folder, which exists.
    """
    root = factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own within that of the session.
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    complete = root / f"{name}.complete"
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            (root / name).mkdir()
            make(root / name)
            complete.touch()
    return root / name
