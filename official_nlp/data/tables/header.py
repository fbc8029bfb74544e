"""Tell whether the first row of a table names its columns."""

import re

from official_nlp.data.tables.column_names import KNOWN, normalized

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# A short phrase that opens with a letter: no sentence, no number, no empty cell.
_NAME = re.compile(r"[^\W\d][\w#/.\-]*( [\w#/.\-]+){0,2}")
_LONGEST_NAME = 40


def is_number(text: str) -> bool:
    """Return whether a text is a decimal number, such as `-1`, `0.50` or `1e-3`."""
    return bool(_NUMBER.fullmatch(text.strip()))


def has_header(rows: list[list[str]]) -> bool:
    """Return whether the first row of a table names its columns.

    In this order: a first cell that recurs below in its column, or is a number above numbers, is no
    name; a well-known name, or a text above numbers, is one. Otherwise the first row is a header if
    all its cells are different short phrases.

    Args:
      rows: fields of the first rows.
    """
    first, rest = rows[0], rows[1:]
    below = [[row[number] for row in rest if number < len(row)] for number in range(len(first))]
    columns = list(zip(first, below))
    if any(cell.strip() and cell in cells for cell, cells in columns):
        return False
    if any(is_number(cell) and _all_numbers(cells) for cell, cells in columns):
        return False
    if any(normalized(cell) in KNOWN for cell in first):
        return True
    if any(cell.strip() and not is_number(cell) and _all_numbers(cells) for cell, cells in columns):
        return True
    names = [cell.strip() for cell in first]
    return len(set(names)) == len(names) and all(
        len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) for name in names
    )


def _all_numbers(cells: list[str]) -> bool:
    return bool(cells) and all(is_number(cell) for cell in cells)
