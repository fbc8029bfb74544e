"""Read Parquet tables."""

import json
import pathlib
from typing import Any

from official_nlp.data.tables.content import Content, check_columns, plain_content
from official_nlp.data.tables.text_files import check_file
from official_nlp.errors import InputError


def read_parquet(file: pathlib.Path) -> Content:
    """Read a Parquet file, see `table.read_table`.

    Numbers of classes become names of classes where the file has them, as files of the datasets
    library do. The number of a class that has no name, such as -1, becomes None.
    """
    check_file(file)
    import pyarrow
    import pyarrow.parquet

    try:
        with open(file, "rb") as stream:
            table = pyarrow.parquet.read_table(stream)
        columns = tuple(table.column_names)
        values = [column.to_pylist() for column in table.columns]
    # ValueError: names or texts are not UTF-8.
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{file} is no complete Parquet file: {str(error).splitlines()[0]}; copy it again"
        ) from error
    check_columns(str(file), columns)
    for name, names in _class_names(table.schema.metadata or {}).items():
        if name in columns:
            values[columns.index(name)] = [
                _named(value, names) for value in values[columns.index(name)]
            ]
    if not table.num_rows:
        raise InputError(f"{file} has no rows: write it again")
    rows = [dict(zip(columns, row)) for row in zip(*values)]
    return plain_content(columns, rows, list(range(1, len(rows) + 1)), "Parquet")


def content_bytes(file: pathlib.Path) -> int:
    """Return the number of uncompressed bytes that a Parquet file declares.

    Raises:
      InputError: it is no Parquet file.
    """
    check_file(file)
    import pyarrow
    import pyarrow.parquet

    try:
        with open(file, "rb") as stream:
            described = pyarrow.parquet.read_metadata(stream)
        groups = range(described.num_row_groups)
        return sum(described.row_group(number).total_byte_size for number in groups)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{file} is no complete Parquet file: {str(error).splitlines()[0]}; copy it again"
        ) from error


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of the classes of each column that the datasets library describes."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        found = {name: _names(feature) for name, feature in features.items()}
    # The file is of unknown origin, and is complete without this description.
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if names}


def _names(feature: Any) -> list[str] | None:
    """Return the names of the classes of a feature, or of the elements of a list."""
    while isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List"):
        feature = feature.get("feature")
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    complete = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if complete else None


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    return value
