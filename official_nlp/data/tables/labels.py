"""Infer the kind of a classification or regression problem from its labels, and encode labels.

The names of the kinds are those of `problem_type` in configurations of Hugging Face.
"""

import collections
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from official_nlp.data.tables.content import listed
from official_nlp.data.tables.header import is_number
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
KINDS = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)

# More distinct integers than this are measurements, unless they number classes without a gap.
_MOST_INTEGERS = 20
_LISTED = 10

Where: TypeAlias = Callable[[int], str]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a model learns from labels.

    Attributes:
      kind: "single_label_classification", "multi_label_classification" or "regression".
      labels: names of the classes, in the order of their numbers; none for regression.
      notes: sentences on what was inferred, for the user.
      separator: string between the labels of a value, None if values are lists or single labels.
    """

    kind: str
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    separator: str | None = None


@dataclasses.dataclass(frozen=True)
class Targets:
    """The labels of a set as numbers.

    Attributes:
      values: of each row the number of the class, a list of 0 and 1 by class, or a float.
      notes: sentences on what is unusual, for the user.
    """

    values: list[int] | list[list[int]] | list[float]
    notes: tuple[str, ...] = ()


def infer_problem(
    values: Sequence[Any],
    kind: str | None = None,
    label_separator: str | None = None,
    where: Where | None = None,
) -> Problem:
    """Infer the kind of a problem, and its classes, from the labels of the training rows.

    Lists, or strings with a separator, are several labels of one example. Numbers with a fraction,
    or many distinct numbers, are regression. All other values are classes, in numeric order if they
    are integers, and otherwise in the order of their characters.

    Args:
      values: the labels: strings, numbers, booleans, or lists of these, also as JSON in a string.
      kind: the kind if it is known, None to infer it.
      label_separator: string between the labels of a value.
      where: returns file and line of a row for messages, see `Table.where`.

    Raises:
      InputError: an argument is out of range, a label is empty, or the labels do not fit the kind.
    """
    where = where or _row
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, was {shown(kind)}")
    if label_separator == "":
        raise InputError("label separator must have at least one character, was ''")
    if not len(values):
        raise InputError("there are no labels: give a table with rows")
    if kind is None:
        kind = _kind(values, label_separator)
    if kind == MULTI_LABEL:
        return _multi_label(values, label_separator, where)
    if kind == REGRESSION:
        return _regression(values, where)
    return _single_label(values, where)


def encode(problem: Problem, values: Sequence[Any], where: Where | None = None) -> Targets:
    """Turn the labels of a set into numbers.

    Args:
      problem: the problem, inferred from the training rows.
      values: the labels.
      where: returns file and line of a row for messages, see `Table.where`.

    Raises:
      InputError: a label is empty, is not among those of the problem, or is not a number; names
        file, line and value.
    """
    where = where or _row
    if problem.kind == REGRESSION:
        return Targets([to_float(value, where(row)) for row, value in enumerate(values)])
    if problem.kind == MULTI_LABEL:
        vectors = [to_vector(problem, value, where(row)) for row, value in enumerate(values)]
        return Targets(vectors, _absent(problem, [sum(column) for column in zip(*vectors)]))
    classes = [to_class(problem, value, where(row)) for row, value in enumerate(values)]
    counts = collections.Counter(classes)
    if len(counts) == 1:
        only = shown(problem.labels[classes[0]])
        return Targets(classes, (f"all {counted(len(classes), 'row')} have the label {only}",))
    return Targets(classes, _absent(problem, [counts[n] for n in range(len(problem.labels))]))


def to_class(problem: Problem, value: Any, where: str) -> int:
    """Return the number of the class that a label names.

    Args:
      problem: a single-label problem.
      value: the label.
      where: file and line, for messages.

    Raises:
      InputError: the label is empty or unknown.
    """
    return _number(problem, _name(value, where), where)


def to_vector(problem: Problem, value: Any, where: str) -> list[int]:
    """Return 0 or 1 for each class: whether an example has it.

    Args:
      problem: a multi-label problem.
      value: a list of labels, also as JSON in a string, or a string with separators.
      where: file and line, for messages.

    Raises:
      InputError: a label is empty or unknown, or the value is no list.
    """
    vector = [0] * len(problem.labels)
    for name in _names(value, problem.separator, where):
        vector[_number(problem, name, where)] = 1
    return vector


def to_float(value: Any, where: str) -> float:
    """Return a label as a number.

    Args:
      value: a number, also as a string.
      where: file and line, for messages.

    Raises:
      InputError: it is no finite number.
    """
    number = _float(value)
    if number is None:
        raise InputError(
            f"{where}: the label must be a number, was {shown(value)}: correct or remove the row, "
            "or give another column as LABEL="
        )
    return number


def _row(row: int) -> str:
    return f"row {row + 1}"


# === The kind ===
def _kind(values: Sequence[Any], separator: str | None) -> str:
    if separator is not None or all(_list(value) is not None for value in values):
        return MULTI_LABEL
    floats = [_float(value) for value in values]
    if any(number is None for number in floats):
        return SINGLE_LABEL
    distinct = {number for number in floats if number is not None}
    if not all(number.is_integer() for number in distinct):
        return REGRESSION
    # Classes are numbered from 0 or 1 without a gap, and occur more than once.
    low, high = min(distinct), max(distinct)
    numbered = (
        low in (0, 1) and high - low + 1 == len(distinct) and len(values) >= 2 * len(distinct)
    )
    return SINGLE_LABEL if len(distinct) <= _MOST_INTEGERS or numbered else REGRESSION


def _regression(values: Sequence[Any], where: Where) -> Problem:
    numbers = [to_float(value, where(row)) for row, value in enumerate(values)]
    low, high = min(numbers), max(numbers)
    if low == high:
        raise InputError(
            f"all {counted(len(numbers), 'label')} are {low:g}: there is nothing to learn; give "
            "another column as LABEL="
        )
    return Problem(REGRESSION, (), (f"regression: numbers from {low:g} to {high:g}",))


def _single_label(values: Sequence[Any], where: Where) -> Problem:
    counts = collections.Counter(_name(value, where(row)) for row, value in enumerate(values))
    labels = _sorted(counts)
    if len(labels) == 1:
        raise InputError(
            f"all {counted(len(values), 'row')} have the label {shown(labels[0])}: there is "
            "nothing to learn; give another column as LABEL="
        )
    return Problem(SINGLE_LABEL, labels, _class_notes("classification", labels, counts))


def _multi_label(values: Sequence[Any], separator: str | None, where: Where) -> Problem:
    counts: collections.Counter[str] = collections.Counter()
    empty = 0
    for row, value in enumerate(values):
        names = set(_names(value, separator, where(row)))
        counts.update(names)
        empty += not names
    labels = _sorted(counts)
    if not labels:
        raise InputError("no row has a label: give another column as LABEL=")
    notes = _class_notes("multi-label classification", labels, counts)
    if empty:
        notes += (f"{counted(empty, 'row')} without a label",)
    return Problem(MULTI_LABEL, labels, notes, separator)


def _class_notes(kind: str, labels: tuple[str, ...], counts: dict[str, int]) -> tuple[str, ...]:
    shares = ", ".join(f"{shown(label)} {counts[label]:,}" for label in labels[:_LISTED])
    rest = f" and {len(labels) - _LISTED:,} more" if len(labels) > _LISTED else ""
    notes = [f"{kind} with {counted(len(labels), 'label')}: {shares}{rest}"]
    folded: dict[str, str] = {}
    for label in labels:
        twin = folded.setdefault(label.casefold(), label)
        if twin != label:
            notes.append(f"the labels {shown(twin)} and {shown(label)} differ only in case")
    rare = [label for label in labels if counts[label] == 1]
    if rare:
        notes.append(f"labels of a single row: {listed(rare)}")
    return tuple(notes)


def _sorted(names: Sequence[str] | dict[str, int]) -> tuple[str, ...]:
    if all(is_number(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


# === Values ===
def _name(value: Any, where: str) -> str:
    """Return the name of a class."""
    empty = value is None or (isinstance(value, str) and not value.strip())
    if empty or isinstance(value, (list, dict)):
        raise InputError(
            f"{where}: the label is {'empty' if empty else shown(value)}, but must be the name or "
            "number of a class: correct or remove the row, or give another column as LABEL="
        )
    # JSON and Parquet turn integers into floats where other rows have none.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _names(value: Any, separator: str | None, where: str) -> list[str]:
    """Return the names of the classes of an example."""
    found = _list(value)
    if found is None and separator is not None and isinstance(value, str):
        found = [part for part in value.split(separator) if part.strip()]
    if found is None:
        raise InputError(
            f"{where}: the labels must be a list, or a string with a label separator, was "
            f"{shown(value)}: give the separator, or correct the row"
        )
    return [_name(each, where) for each in found]


def _list(value: Any) -> list[Any] | None:
    """Return the list that a value is, or that a string spells as JSON."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _float(value: Any) -> float | None:
    if isinstance(value, str):
        value = float(value) if is_number(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Integers of JSON may be larger than any float.
    number = float(value) if isinstance(value, float) or abs(value) < 2**1023 else math.inf
    return number if math.isfinite(number) else None


def _number(problem: Problem, name: str, where: str) -> int:
    try:
        return problem.labels.index(name)
    except ValueError:
        raise InputError(
            f"{where}: the label {shown(name)} does not occur in the training rows; the labels are "
            f"{listed(problem.labels)}: correct or remove the row, or add training rows of it"
        ) from None


def _absent(problem: Problem, counts: list[int]) -> tuple[str, ...]:
    absent = [label for label, count in zip(problem.labels, counts) if not count]
    return (f"no row has the label {listed(absent)}",) if absent else ()
