"""What the readers of the table formats return."""

from typing import Any, NamedTuple

from official_nlp.errors import InputError
from official_nlp.ranges import shown

Row = dict[str, Any]
# More columns and lines than this are counted in messages, not listed.
_LISTED = 20


class Content(NamedTuple):
    """The content of a table file.

    Attributes:
      columns: names of the columns.
      rows: values of each row by column.
      lines: number of the first line of each row, or of the row in formats without lines.
      description: format of the file, for the note of the table.
      notes: sentences on what was left out or changed.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    lines: list[int]
    description: str
    notes: tuple[str, ...] = ()


def listed(names: tuple[str, ...] | list[str]) -> str:
    """Return names for a message, quoted, and counted where there are many."""
    text = ", ".join(shown(name) for name in names[:_LISTED])
    return text + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")


def numbers(lines: list[int]) -> str:
    """Return the first of some line numbers for a message."""
    text = ", ".join(f"{line:,}" for line in lines[:3])
    return f"line{'s' * (len(lines) > 1)} {text}{', ...' * (len(lines) > 3)}"


def check_columns(where: str, columns: tuple[str, ...]) -> None:
    """Check the names of columns.

    Args:
      where: file and line, for messages.
      columns: the names.

    Raises:
      InputError: a name is empty, or occurs twice.
    """
    for number, name in enumerate(columns):
        if not name.strip():
            raise InputError(
                f"{where}: column {number + 1} has no name; the columns are {listed(columns)}: "
                "name each column, or state that the file has no header"
            )
        if name in columns[:number]:
            raise InputError(
                f"{where}: two columns are named {shown(name)}; the columns are {listed(columns)}: "
                "give each column a name of its own, or state that the file has no header"
            )


def plain_content(
    columns: tuple[str, ...], rows: list[Row], lines: list[int], kind: str
) -> Content:
    """Return the content without the columns that hold objects, dates and other special values.

    Args:
      columns: names of the columns.
      rows: values of each row; a column that is missing in a row becomes None.
      lines: number of the first line of each row.
      kind: format of the file.
    """
    special = [name for name in columns if not all(_is_plain(row.get(name)) for row in rows)]
    kept = tuple(name for name in columns if name not in special)
    partial = [name for name in kept if not all(name in row for row in rows)]
    notes = []
    if special:
        notes.append(
            f"left out, because they hold values other than texts, numbers and lists of these: "
            f"{listed(special)}"
        )
    if partial:
        notes.append(f"missing in some rows: {listed(partial)}")
    rows = [{name: row.get(name) for name in kept} for row in rows]
    return Content(kept, rows, lines, kind, tuple(notes))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(each is None or isinstance(each, (str, int, float)) for each in value)
    return value is None or isinstance(value, (str, int, float))
