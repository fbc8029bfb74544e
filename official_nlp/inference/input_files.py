"""Read the inputs of a predictor from a table, and from the files of tagging and question tasks.

What is read depends on the model: the rows of a table are texts or pairs, questions with contexts,
or choices. Columns are found as in training.
"""

import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from official_nlp.data import text_format
from official_nlp.data.tables import columns, conll
from official_nlp.data.tables.choices import read_choices
from official_nlp.data.tables.column_names import normalized
from official_nlp.data.tables.columns import OPTIONS
from official_nlp.data.tables.content import listed
from official_nlp.data.tables.parquet import content_bytes
from official_nlp.data.tables.squad import read_squad
from official_nlp.data.tables.table import Table, read_table
from official_nlp.data.tables.text_files import check_file
from official_nlp.errors import InputError
from official_nlp.inference import inputs

# All inputs, their tokens and their results are in memory at once.
MOST_BYTES = 256 << 20
_TABLES = (".tsv", ".tab", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
CONLL = "conll"
_TAGGED = ".conll"
_SQUAD = ".json"
# Columns whose values identify a row in a file of predictions, in the order of preference.
_IDENTIFIERS = ("index", "id", "idx", "guid", "qid", "uid")
# Columns of sentences that are divided into words.
_WORD_LISTS = ("words", "tokens")
_CHUNK = 1 << 20


class FileInputs(NamedTuple):
    """The inputs of a file.

    Attributes:
      inputs: inputs in a form that `Predictor` takes.
      ids: identifier of each; None if the file has none, where they are numbered from 0.
      notes: sentences on what was inferred, for the user.
    """

    inputs: list[Any]
    ids: list[str] | None = None
    notes: tuple[str, ...] = ()


class ReadOptions(NamedTuple):
    """Which columns to read.

    Attributes:
      text, text_pair: columns that the user names; None to find them.
      trained: columns of the training file under `text` and `text_pair`, which are read where the
        table has them.
      token_column: column of the words of a tagged file.
      format: a format of `read_table`, or "conll"; None to tell it by the suffix.
      separator, header, skip_broken_rows: layout of a table, see `read_table`.
    """

    text: str | None = None
    text_pair: str | None = None
    trained: Mapping[str, str] = {}
    token_column: int = 0
    format: str | None = None
    separator: str | None = None
    header: bool | None = None
    skip_broken_rows: bool = False


def is_structured(path: str | os.PathLike) -> bool:
    """Return whether a file is one of those that `read` reads, by its suffix, also with .gz."""
    return _suffix(path) in (*_TABLES, _TAGGED)


def check(path: str | os.PathLike) -> None:
    """Refuse a file that is missing or too large, before a model is loaded.

    Raises:
      InputError: it is no file, or has more than `MOST_BYTES` uncompressed bytes.
    """
    file = pathlib.Path(path)
    check_file(file)
    size = content_bytes(file) if _suffix(file) == ".parquet" else _size(file)
    if size > MOST_BYTES:
        raise InputError(
            f"{file} must have at most {MOST_BYTES:,} bytes, has more; divide it into files"
        )


def read(path: str | os.PathLike, expects: str, options: ReadOptions) -> FileInputs:
    """Read the inputs of a file.

    Args:
      path: TSV, CSV, JSON lines, Parquet or CoNLL. Text may be `.gz`.
      expects: what the model takes: `Predictor.expects`, a constant of `inference.inputs`.
      options: which columns to read.

    Raises:
      InputError: the file cannot be read, or holds no inputs for this model; names file and line.
    """
    check(path)
    file = pathlib.Path(path)
    if options.format == CONLL or (options.format is None and _suffix(file) == _TAGGED):
        if expects != inputs.WORDS:
            raise InputError(
                f"{file} holds words, and this model takes {expects}: give a text file or a table"
            )
        return _refusing_columns(file, options, _words)
    if expects == inputs.CHOICES:
        return _refusing_columns(file, options, _choices)
    if expects == inputs.QUESTION and _suffix(file) == _SQUAD:
        return _refusing_columns(file, options, _questions)
    return _table(file, expects, options)


def _suffix(path: str | os.PathLike) -> str:
    return pathlib.Path(os.fspath(path).lower().removesuffix(".gz")).suffix


def _size(file: pathlib.Path) -> int:
    """Return the number of uncompressed bytes, or any above the limit for a larger file."""
    size = 0
    try:
        with open(file, "rb") as raw:
            stream = text_format.decompressed(file, raw)
            while size <= MOST_BYTES and (chunk := stream.read(_CHUNK)):
                size += len(chunk)
    except (OSError, EOFError) as error:
        raise InputError(f"cannot read {file}: {error}; copy it again") from error
    return size


def _refusing_columns(
    file: pathlib.Path,
    options: ReadOptions,
    function: Callable[[pathlib.Path, ReadOptions], FileInputs],
) -> FileInputs:
    """Return what a function reads from a file whose columns have fixed meanings."""
    if options.text is not None or options.text_pair is not None:
        raise InputError(
            f"{OPTIONS.text} and {OPTIONS.text_pair} name columns of a table of texts, which "
            f"{file} is not for this model: leave them out"
        )
    return function(file, options)


# === Files of tasks ===


def _words(file: pathlib.Path, options: ReadOptions) -> FileInputs:
    found = conll.read_conll(file, options.token_column, tag_column=None)
    return FileInputs([list(each.tokens) for each in found.sentences], None, found.notes)


def _choices(file: pathlib.Path, options: ReadOptions) -> FileInputs:
    found = read_choices(file, least=1)
    read = [{"text": each.text, "choices": list(each.choices)} for each in found.examples]
    return FileInputs(read, _distinct([each.id for each in found.examples]), found.notes)


def _questions(file: pathlib.Path, options: ReadOptions) -> FileInputs:
    found = read_squad(file, needs_answers=False)
    read = [{"question": each.question, "context": each.context} for each in found.questions]
    return FileInputs(read, [each.id for each in found.questions], found.notes)


# === Tables ===


def _table(file: pathlib.Path, expects: str, options: ReadOptions) -> FileInputs:
    table = read_table(
        file,
        format=options.format,
        separator=options.separator,
        header=options.header,
        skip_broken_rows=options.skip_broken_rows,
    )
    if expects == inputs.WORDS and options.text is None:
        for column in _WORD_LISTS:
            if column in table.columns and all(isinstance(x, list) for x in table.values(column)):
                return _with_ids(table, table.values(column), (column,), table.notes)
    text, pair = options.text, options.text_pair
    if text is None and pair is None and set(options.trained.values()) <= set(table.columns):
        text, pair = options.trained.get("text"), options.trained.get("text_pair")
    if expects in (inputs.TEXT, inputs.WORDS) and pair is not None:
        raise InputError(f"{OPTIONS.text_pair} is for models of two texts, and this takes one")
    chosen = columns.infer_columns(table, text, pair, needs_label=False, spelled=OPTIONS)
    notes = (*table.notes, *chosen.notes)
    read: list[Any]
    texts = columns.texts(table, chosen.text, OPTIONS)
    pairs = _pairs(table, chosen.text_pair)
    own = (chosen.text, chosen.text_pair)
    if expects == inputs.QUESTION:
        if pairs is None or None in pairs:
            raise InputError(
                f"{file} must have a column of questions and one of contexts; its columns are "
                f"{listed(table.columns)}: give {OPTIONS.text} QUESTIONS and {OPTIONS.text_pair} "
                "CONTEXTS"
            )
        read = [{"question": each, "context": other} for each, other in zip(texts, pairs)]
        return _with_ids(table, read, own, notes)
    if pairs is None:
        return _with_ids(table, texts, own, notes)
    if expects != inputs.TEXT_OR_PAIR:
        raise InputError(
            f"{file} has two columns of texts, {listed([x for x in own if x is not None])}, and "
            f"this model takes one: give {OPTIONS.text}"
        )
    read = [each if other is None else (each, other) for each, other in zip(texts, pairs)]
    return _with_ids(table, read, own, notes)


def _pairs(table: Table, column: str | None) -> list[str | None] | None:
    """Return the second texts, None where JSON has none; None without a column."""
    if column is None:
        return None
    values = table.values(column)
    if None not in values:
        return list(columns.texts(table, column, OPTIONS))
    if any(value is not None and not isinstance(value, str) for value in values):
        return list(columns.texts(table, column, OPTIONS))  # It raises.
    return values


def _with_ids(
    table: Table, read: list[Any], used: tuple[str | None, ...], notes: tuple[str, ...]
) -> FileInputs:
    """Return inputs with the values of the column that identifies rows, if there is one."""
    by_form = {normalized(name): name for name in table.columns if name not in used}
    for form in _IDENTIFIERS:
        if form in by_form:
            ids = _distinct([str(value) for value in table.values(by_form[form])])
            if ids is not None:
                return FileInputs(read, ids, notes)
    return FileInputs(read, None, notes)


def _distinct(ids: list[str]) -> list[str] | None:
    return ids if len(set(ids)) == len(ids) else None
