"""Infer the character that separates the fields of a CSV file."""

import csv
import io
from typing import NamedTuple

from official_nlp.data.tables.column_names import KNOWN, normalized

# In order of preference, where several fit equally well.
SEPARATORS = (",", ";", "\t", "|")
_ROWS = 50


class _Fit(NamedTuple):
    """How well a separator fits, compared from left to right."""

    several: bool
    fraction: float
    known: int


def infer_separator(start: str, complete: bool) -> str:
    """Return the separator of a CSV file.

    It separates the first row into several fields, and most other rows into as many; among several
    such characters it is the one that makes well-known names of columns.

    Args:
      start: text of the first lines.
      complete: whether this is the whole file; otherwise the last row may be cut off.
    """
    fits = {separator: _fit(start, separator, complete) for separator in SEPARATORS}
    return max(SEPARATORS, key=lambda separator: fits[separator])


def _fit(start: str, separator: str, complete: bool) -> _Fit:
    rows = []
    try:
        for row in csv.reader(io.StringIO(start, newline=""), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) > _ROWS:
                break
    except csv.Error:
        pass  # The reader of the whole file explains it.
    if len(rows) > 1 and (not complete or len(rows) > _ROWS):
        rows.pop()
    if not rows:
        return _Fit(False, 0.0, 0)
    width = len(rows[0])
    equal = sum(len(row) == width for row in rows) / len(rows)
    known = sum(normalized(name) in KNOWN for name in rows[0])
    return _Fit(width > 1, equal if width > 1 else 0.0, known)
