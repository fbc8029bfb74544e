"""Read examples of multiple choice: CSV of SWAG, JSON lines of CommonsenseQA or of texts."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from official_nlp.data import text_format
from official_nlp.data.tables.content import Row, listed
from official_nlp.data.tables.json_rows import json_rows
from official_nlp.data.tables.table import read_table
from official_nlp.data.tables.text_files import check_file
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

_FORMATS = (
    'CSV with the columns sent1, sent2, ending0, ending1, ... and label (SWAG), JSON lines {"id", '
    '"question": {"stem", "choices": [{"label", "text"}]}, "answerKey"} (CommonsenseQA), or JSON '
    'lines {"text", "choices": [...], "label"}'
)


@dataclasses.dataclass(frozen=True)
class ChoiceExample:
    """A text with several ways to continue or answer it.

    Attributes:
      id: identifier of the example; the number of its line if the file has none.
      text: the text that all choices share.
      choices: text of each choice; examples may differ in their number.
      label: index of the right choice, None if it is unknown.
      line: number of the first line of the example, counted from 1.
    """

    id: str
    text: str
    choices: tuple[str, ...]
    label: int | None
    line: int


@dataclasses.dataclass(frozen=True)
class ChoiceData:
    """The examples of a file.

    Attributes:
      path: the file.
      examples: the examples in order.
      notes: sentences on format and content, for the user.
    """

    path: pathlib.Path
    examples: list[ChoiceExample]
    notes: tuple[str, ...]


def read_choices(path: str | os.PathLike, least: int = 2) -> ChoiceData:
    """Read examples of multiple choice.

    The format is recognized by the content: SWAG's CSV, whose choices are `sent2` with each ending;
    JSON lines of CommonsenseQA; or JSON lines of text, choices and label, which is an index or the
    text of a choice.

    Args:
      path: the file, also compressed by gzip.
      least: smallest number of choices of an example. One alone can be predicted, not learned.

    Raises:
      InputError: the file cannot be read, has another format, an example with fewer choices, or a
        label that is none of them; names file and line.
    """
    file = pathlib.Path(path)
    check_file(file)
    if text_format.starts_like_json(text_format.head(file)):
        kind, examples = "JSON lines", list(_json_examples(file, least))
    else:
        kind, examples = "SWAG", list(_swag(file, least))
    sizes = sorted({len(example.choices) for example in examples})
    number = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    notes = [f"{kind}; {counted(len(examples), 'example')} of {number} choices"]
    unlabeled = sum(example.label is None for example in examples)
    if unlabeled:
        notes.append(f"{counted(unlabeled, 'example')} without a label")
    return ChoiceData(file, examples, tuple(f"{file.name}: {note}" for note in notes))


def _example(
    where: str,
    identifier: Any,
    text: Any,
    choices: list[Any],
    label: int | None,
    line: int,
    least: int,
) -> ChoiceExample:
    if not isinstance(text, str):
        raise InputError(f"{where}: the text must be a string, was {shown(text)}: correct it")
    if len(choices) < least or not all(isinstance(choice, str) and choice for choice in choices):
        raise InputError(
            f"{where}: there must be {least} or more choices, each a string that is not empty, "
            f"were {shown(choices)}: correct them"
        )
    name = str(line) if identifier is None or identifier == "" else str(identifier)
    return ChoiceExample(name, text, tuple(choices), label, line)


def _label(where: str, label: Any, choices: list[Any]) -> int | None:
    """Return the index of the choice that a label gives as index or text, None for no label."""
    if label is None or label == "":
        return None
    # The text of a choice may be a number, so it goes before the index in a string.
    if isinstance(label, str) and choices.count(label) == 1:
        return choices.index(label)
    if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10:
        label = int(label)
    if type(label) is int and 0 <= label < len(choices):
        return label
    raise InputError(
        f"{where}: the label must be the text of one choice, or an index from 0 to "
        f"{len(choices) - 1}, was {shown(label)}; the choices are {shown(choices)}: correct it"
    )


# === SWAG ===
def _swag(file: pathlib.Path, least: int) -> Iterator[ChoiceExample]:
    table = read_table(file, format="csv", header=True)
    columns = table.columns
    endings = [f"ending{n}" for n in range(len(columns)) if f"ending{n}" in columns]
    if not {"sent1", "sent2", "ending0", "ending1"} <= set(columns):
        raise InputError(
            f"{file} has the columns {listed(columns)}, which are none of multiple choice: give "
            f"{_FORMATS}"
        )
    for index, row in enumerate(table.rows):
        where = table.where(index)
        label = _label(where, row.get("label"), [row[name] for name in endings])
        choices = [f"{row['sent2']} {row[name]}".strip() for name in endings]
        name = "/".join(row[key] for key in ("video-id", "fold-ind") if row.get(key))
        yield _example(where, name, row["sent1"], choices, label, table.lines[index], least)


# === JSON ===
def _json_examples(file: pathlib.Path, least: int) -> Iterator[ChoiceExample]:
    for line, row in json_rows(file):
        where = f"{file}, line {line}"
        if isinstance(row.get("question"), dict):
            yield _commonsense_qa(where, row, line, least)
        elif isinstance(row.get("choices"), list):
            choices = row["choices"]
            label = _label(where, row.get("label"), choices)
            yield _example(where, row.get("id"), row.get("text"), choices, label, line, least)
        else:
            raise InputError(
                f"{where} has the keys {listed(list(row))}, which are none of multiple choice: "
                f"give {_FORMATS}"
            )


def _commonsense_qa(where: str, row: Row, line: int, least: int) -> ChoiceExample:
    choices = row["question"].get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise InputError(
            f'{where}: "choices" must be a list of objects with "label" and "text", was '
            f"{shown(choices)}: correct it"
        )
    letters = [choice.get("label") for choice in choices]
    key = row.get("answerKey")
    # The questions of test sets have no answer.
    if key not in (None, "") and letters.count(key) != 1:
        raise InputError(
            f"{where}: answerKey must be the label of one choice, was {shown(key)}; the labels are "
            f"{shown(letters)}: correct it"
        )
    label = letters.index(key) if key not in (None, "") else None
    texts = [choice.get("text") for choice in choices]
    return _example(where, row.get("id"), row["question"].get("stem"), texts, label, line, least)
