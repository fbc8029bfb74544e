"""Read a table of examples from a file: TSV, CSV, JSON lines or Parquet."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from official_nlp.data import text_format
from official_nlp.data.tables.content import Content
from official_nlp.data.tables.delimited import read_csv, read_tsv
from official_nlp.data.tables.json_rows import read_jsonl
from official_nlp.data.tables.parquet import read_parquet
from official_nlp.data.tables.text_files import check_file, text_head
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

FORMATS = ("tsv", "csv", "jsonl", "parquet")
_SUFFIXES = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_SPELLED = {"tab": "\t", "\\t": "\t"}


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
      path: the file.
      columns: names of the columns; "0", "1" and so on if the file has no header.
      rows: values by column. Text formats have strings; JSON and Parquet have strings, numbers,
        booleans, None, and lists of these.
      lines: number of the first line of each row, counted from 1; of Parquet the number of the row.
      notes: sentences on what was inferred, left out or changed, for the user.
    """

    path: pathlib.Path
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    lines: list[int]
    notes: tuple[str, ...]

    def where(self, row: int) -> str:
        """Return file and line of a row, for messages.

        Args:
          row: index into `rows`.
        """
        unit = "row" if self.path.suffix.lower() == ".parquet" else "line"
        return f"{self.path}, {unit} {self.lines[row]}"

    def values(self, column: str) -> list[Any]:
        """Return the values of a column."""
        return [row[column] for row in self.rows]


def table_of(rows: Any, name: str) -> Table:
    """Return a table of rows in memory.

    Args:
      rows: a list of dicts with equal keys; a dict of columns, lists of equal length; or a
        DataFrame of pandas.
      name: name of the table, for messages.

    Raises:
      InputError: there are no rows, or they have other keys.
    """
    if hasattr(rows, "to_dict"):  # A DataFrame.
        rows = rows.to_dict("list")
    if isinstance(rows, Mapping):
        columns = {column: list(values) for column, values in rows.items()}
        sizes = {len(values) for values in columns.values()}
        if len(sizes) > 1:
            raise InputError(
                f"{name}: all columns must have the same number of rows, had "
                f"{', '.join(f'{column} {len(values)}' for column, values in columns.items())}"
            )
        rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    rows = [dict(row) for row in rows]
    if not rows:
        raise InputError(f"{name} must hold at least one row, holds none")
    keys = tuple(rows[0])
    for number, row in enumerate(rows, start=1):
        if row.keys() != set(keys):
            raise InputError(
                f"{name}, row {number} must have the keys {', '.join(map(str, keys))}, had "
                f"{', '.join(map(str, row))}"
            )
    return Table(pathlib.Path(name), keys, rows, list(range(1, len(rows) + 1)), ())


def read_table(
    path: str | os.PathLike,
    format: str | None = None,
    separator: str | None = None,
    header: bool | None = None,
    skip_broken_rows: bool = False,
) -> Table:
    """Read a table.

    Args:
      path: the file. Text formats may be compressed by gzip.
      format: "tsv", "csv", "jsonl" (JSON lines, or one JSON array of objects) or "parquet"; None
        decides by the suffix, and by the content where the suffix says nothing.
      separator: the character between the fields of a CSV file, "tab" for a tab; None infers it
        from the first rows, among comma, semicolon, tab and bar.
      header: whether the first row of a TSV or CSV file names the columns; None infers it.
      skip_broken_rows: leave out the rows of a TSV or CSV file that have another number of fields
        than the first one, and count them in the notes. Otherwise they are refused.

    Raises:
      InputError: an argument is out of range; the file cannot be read, is not UTF-8, has another
        format, no rows, or a row that does not fit; names file and line.
    """
    file = pathlib.Path(path)
    if format is not None and format not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, was {shown(format)}")
    separator = _SPELLED.get(separator, separator) if separator is not None else None
    check_file(file)
    format = format or _format_of(file, separator)
    _check_separator(separator, format)
    content = _read(file, format, separator, header, skip_broken_rows)
    summary = f"{content.description}; {counted(len(content.rows), 'row')}"
    notes = tuple(f"{file.name}: {note}" for note in (summary, *content.notes))
    return Table(file, content.columns, content.rows, content.lines, notes)


def _read(
    file: pathlib.Path,
    format: str,
    separator: str | None,
    header: bool | None,
    skip_broken_rows: bool,
) -> Content:
    if format == "parquet":
        return read_parquet(file)
    if format == "jsonl":
        return read_jsonl(file)
    if format == "csv":
        return read_csv(file, separator, header, skip_broken_rows)
    return read_tsv(file, header, skip_broken_rows)


def _check_separator(separator: str | None, format: str) -> None:
    if separator is None:
        return
    if len(separator) != 1 or separator in '"\r\n':
        raise InputError(
            "separator must be one character other than a quote and the end of a line, or the word "
            f"tab; was {shown(separator)}"
        )
    if format != "csv" and (format, separator) != ("tsv", "\t"):
        raise InputError(
            f"separator is for CSV files, but the format is {format}: remove the separator, or "
            "state that the format is csv"
        )


def _format_of(file: pathlib.Path, separator: str | None) -> str:
    """Return the format that suffix and content show."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    named = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    seen = _seen_format(file)
    if named and seen in (None, named):
        return named
    if named:
        raise InputError(
            f"{file} is named like {named}, but its content is {seen}: name it .{seen}, or state "
            "its format"
        )
    if seen:
        return seen
    if separator and separator != "\t":
        return "csv"
    first = text_head(file).partition("\n")[0]
    if "\t" in first:
        return "tsv"
    raise InputError(
        f"{file}: its name does not tell the format of the table; name it .tsv, .csv, .jsonl or "
        ".parquet, or state the format"
    )


def _seen_format(file: pathlib.Path) -> str | None:
    """Return the format if the content shows it clearly: Parquet or JSON."""
    start = text_format.head(file)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if text_format.starts_like_json(start) else None
