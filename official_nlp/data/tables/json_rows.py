"""Read JSON lines, and files that hold one JSON array of objects."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from official_nlp.data import corpus
from official_nlp.data.tables.content import Content, Row, check_columns, plain_content
from official_nlp.data.tables.text_files import text_head, whole_text
from official_nlp.errors import InputError
from official_nlp.ranges import shown

_SPACE = re.compile(r"[\s,]*")
_ADVICE = 'each row must be a JSON object such as {"text": "...", "label": "..."}'


def read_jsonl(file: pathlib.Path) -> Content:
    """Read JSON lines or a JSON array of objects as a table, see `table.read_table`."""
    rows, lines = [], []
    # The keys of all rows, in the order in which they first occur.
    columns: dict[str, None] = {}
    for line, row in json_rows(file):
        rows.append(row)
        lines.append(line)
        columns.update(dict.fromkeys(row))
    check_columns(str(file), tuple(columns))
    kind = "JSON array" if is_array(file) else "JSON lines"
    return plain_content(tuple(columns), rows, lines, kind)


def is_array(file: pathlib.Path) -> bool:
    """Return whether a file starts like a JSON array rather than JSON lines."""
    return text_head(file).lstrip().startswith("[")


def json_rows(file: pathlib.Path) -> Iterator[tuple[int, Row]]:
    """Yield the number of the first line and the object of each row.

    Raises:
      InputError: the file cannot be read, has no row, or has a row that is no JSON object; names
        file and line.
    """
    empty = True
    for line, value in _array_values(file) if is_array(file) else _line_values(file):
        if not isinstance(value, dict):
            raise InputError(f"{file}, line {line}: {_ADVICE}, was {shown(value)}")
        empty = False
        yield line, value
    if empty:
        raise InputError(f"{file} has no rows: {_ADVICE}")


def _line_values(file: pathlib.Path) -> Iterator[tuple[int, Any]]:
    for number, line in corpus.rows(file):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            _refuse(file, number, line, error)
        yield number, _clean(value, line)


def _array_values(file: pathlib.Path) -> Iterator[tuple[int, Any]]:
    text = whole_text(file)
    decoder = json.JSONDecoder()
    # One value at a time, because the decoder does not say where those inside an array start.
    position, line = text.index("[") + 1, 1
    last = 0
    while True:
        if space := _SPACE.match(text, position):
            position = space.end()
        line += text.count("\n", last, position)
        last = position
        if text.startswith("]", position):
            break
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                line += text.count("\n", last, error.pos)
            _refuse(file, line, text[last : last + 100], error)
        yield line, _clean(value, text[last:position])
    if text[position + 1 :].strip():
        _refuse(file, line, text[position:], ValueError("more text follows the array"))


def _refuse(file: pathlib.Path, line: int, text: str, error: Exception) -> NoReturn:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    raise InputError(
        f"{file}, line {line}: this is no JSON ({reason}): {shown(text.strip())}; {_ADVICE}"
    ) from error


def _clean(value: Any, source: str) -> Any:
    # Only an escape can spell a lone surrogate.
    return _without_surrogates(value) if "\\u" in source else value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return corpus.without_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value
