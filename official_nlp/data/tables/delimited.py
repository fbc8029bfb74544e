"""Read tables whose fields are separated by a character: CSV and TSV.

CSV follows RFC 4180: a field in quotes may contain separators, newlines and doubled quotes. TSV has
no quotes at all; those in its fields are text, as in the files of GLUE, where many have no partner.
"""

import csv
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

from official_nlp.data import corpus, text_format
from official_nlp.data.tables.content import Content, check_columns, numbers
from official_nlp.data.tables.header import has_header
from official_nlp.data.tables.separator import infer_separator
from official_nlp.data.tables.text_files import text_head
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

# The header is inferred from this many rows.
_SAMPLE_ROWS = 200
_NAMES = {"\t": "tabs"}

# The number of the first line of a row, and its fields, which are none for a blank line.
Record = tuple[int, list[str]]


def read_csv(
    file: pathlib.Path, separator: str | None, header: bool | None, skip_broken_rows: bool
) -> Content:
    """Read a CSV file, see `table.read_table`."""
    start = text_head(file)
    complete = len(start) < text_format.HEAD_BYTES // 4  # A character has up to four bytes.
    if separator is None:
        separator = infer_separator(start, complete)
    content = _content(file, _csv_records(file, separator), header, skip_broken_rows)
    name = _NAMES.get(separator, shown(separator))
    if len(content.columns) == 1:
        return content._replace(description=f"CSV of one column, {content.description}")
    return content._replace(description=f"CSV separated by {name}, {content.description}")


def read_tsv(file: pathlib.Path, header: bool | None, skip_broken_rows: bool) -> Content:
    """Read a TSV file, see `table.read_table`."""
    text_head(file)
    content = _content(file, _tsv_records(file), header, skip_broken_rows)
    return content._replace(
        description=f"TSV, {content.description}", notes=content.notes + _quoted_note(content)
    )


def _content(
    file: pathlib.Path, records: Iterable[Record], header: bool | None, skip_broken_rows: bool
) -> Content:
    blank: list[int] = []
    records = _without_blank(records, blank)
    sample = list(itertools.islice(records, _SAMPLE_ROWS))
    if not sample:
        raise InputError(f"{file} is empty: it has no row; copy it again")
    named = has_header([fields for _, fields in sample]) if header is None else header
    columns = _columns(file, *sample[0]) if named else tuple(map(str, range(len(sample[0][1]))))
    rows, lines, broken = [], [], []
    for line, fields in itertools.chain(sample[named:], records):
        if len(fields) == len(columns):
            rows.append(dict(zip(columns, fields)))
            lines.append(line)
        elif skip_broken_rows:
            broken.append(line)
        else:
            _refuse_row(file, line, fields, columns, named)
    if not rows:
        _refuse_header(file, sample[0][1], broken)
    notes = []
    if blank:
        notes.append(f"left out {counted(len(blank), 'blank line')}: {numbers(blank)}")
    if broken:
        notes.append(
            f"left out {counted(len(broken), 'row')} with another number of fields than "
            f"{len(columns)}: {numbers(broken)}"
        )
    return Content(columns, rows, lines, f"with{'' if named else 'out'} a header", tuple(notes))


def _without_blank(records: Iterable[Record], blank: list[int]) -> Iterator[Record]:
    for line, fields in records:
        if fields:
            yield line, fields
        else:
            blank.append(line)


def _columns(file: pathlib.Path, line: int, names: list[str]) -> tuple[str, ...]:
    # pandas writes the numbers of the rows as a first column without a name.
    if len(names) > 1 and not names[0] and "index" not in names:
        names = ["index", *names[1:]]
    columns = tuple(name.strip() for name in names)
    check_columns(f"{file}, line {line}", columns)
    return columns


def _refuse_row(
    file: pathlib.Path, line: int, fields: list[str], columns: tuple[str, ...], named: bool
) -> NoReturn:
    raise InputError(
        f"{file}, line {line}: expected {counted(len(columns), 'field')} as in the "
        f"{'header' if named else 'first row'}, found {len(fields)}: {shown(fields)}; correct the "
        "row, leave such rows out by CORRUPT_RECORDS=skip, or state format, separator and header "
        "if they are others"
    )


def _refuse_header(file: pathlib.Path, first: list[str], broken: list[int]) -> NoReturn:
    if broken:
        raise InputError(
            f"{file}: no row has as many fields as the first one, which has {len(first)}: state "
            "format, separator and header"
        )
    if any("\r" in field for field in first):
        raise InputError(f"{file}: its lines end in CR alone; convert it with tr '\\r' '\\n'")
    raise InputError(
        f"{file} has a header, {shown(first)}, but no rows: add rows, or state that it has no "
        "header"
    )


# === TSV ===
def _tsv_records(file: pathlib.Path) -> Iterator[Record]:
    for number, line in corpus.rows(file):
        line = line.removesuffix("\n").removesuffix("\r")
        # Tabs alone are a row of empty fields.
        yield number, line.split("\t") if line.strip(" ") else []


def _quoted_note(content: Content) -> tuple[str, ...]:
    """Return a note if fields seem to be quoted as in CSV; in TSV the quotes belong to the text."""
    quoted = sum(_is_quoted(list(row.values())) for row in content.rows)
    if not quoted:
        return ()
    return (
        f"{counted(quoted, 'row')} with fields in quotes: TSV has no quoting, so the quotes belong "
        "to the text; if they do not, state that the format is csv",
    )


def _is_quoted(fields: list[str]) -> bool:
    inside = [field[1:-1] for field in fields if len(field) > 1 and field[0] == field[-1] == '"']
    # A text may be a quotation, but all fields hardly are, and text has no doubled quotes.
    return len(inside) == len(fields) or any('""' in text for text in inside)


# === CSV ===
class _RowLines:
    """The lines of a CSV file, of which those of the current row are retained.

    Attributes:
      first: number of the first line of the row.
      row: its lines so far.
    """

    def __init__(self, file: pathlib.Path):
        self.first = 0
        self.row: list[str] = []
        self.size = 0
        self._lines = corpus.rows(file)

    def start_row(self) -> None:
        """Forget the lines of the last row."""
        self.row, self.size = [], 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        if not self.row:
            self.first = number
        self.row.append(line)
        self.size += len(line)
        if self.size > corpus.ROW_CHARACTERS:
            # The file would be read to its end as one field.
            raise csv.Error("row too long")
        return line


def _csv_records(file: pathlib.Path, separator: str) -> Iterator[Record]:
    # The limit of the csv module is for the whole process: it is raised, and left there, because
    # another thread may be reading too. `_RowLines` has the limit of a row.
    csv.field_size_limit(max(csv.field_size_limit(), corpus.ROW_CHARACTERS + 1))
    lines = _RowLines(file)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.start_row()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse_csv(file, lines, separator, error)
        yield lines.first, fields


def _refuse_csv(file: pathlib.Path, lines: _RowLines, separator: str, error: csv.Error) -> NoReturn:
    text = "".join(lines.row)
    opened = _open_quote(text, separator)
    last = lines.first + len(lines.row) - 1
    if "new-line character" in str(error):
        raise InputError(
            f"{file}, line {last}: a CR stands outside of quotes; convert the ends of the lines "
            "with tr '\\r' '\\n'"
        ) from error
    if opened is None:
        raise InputError(f"{file}, line {last}: this is no CSV: {error}; correct it") from error
    line = lines.first + text.count("\n", 0, opened)
    where = f"{file}, line {line}: the quote before {shown(text[opened + 1 : opened + 31])}"
    advice = (
        "double the quotes within a field in quotes, or name the file .tsv if it has no quoting"
    )
    if "expected after" in str(error):
        raise InputError(
            f"{where} ends in line {last} before the end of the field: {advice}"
        ) from error
    within = f" within {len(text):,} characters" if lines.size > corpus.ROW_CHARACTERS else ""
    raise InputError(f"{where} has no partner{within}: {advice}") from error


def _open_quote(text: str, separator: str) -> int | None:
    """Return the position of the quote of the first field that does not end where it should."""
    end = rf"(?:{re.escape(separator)}|\r?\n)"
    field = re.compile(rf'(?:"[^"]*(?:""[^"]*)*"|(?!")[^{re.escape(separator)}\r\n]*){end}')
    position = 0
    while match := field.match(text, position):
        position = match.end()
    return position if text.startswith('"', position) else None
