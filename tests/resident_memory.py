"""The memory of a process, as Linux states it."""

import os
import pathlib


def resident_bytes(process: int | str = "self") -> int:
    """Return the resident size of a process, or of this one."""
    pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
