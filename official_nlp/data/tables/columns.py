"""Find the columns of a table that hold the texts and the labels."""

import dataclasses
import statistics
from typing import Any

from official_nlp.data.tables.column_names import IDENTIFIERS, LABELS, PAIRS, TEXTS, normalized
from official_nlp.data.tables.content import listed
from official_nlp.data.tables.header import is_number
from official_nlp.data.tables.table import Table
from official_nlp.errors import InputError, nearest
from official_nlp.ranges import shown

# Content is judged by this many rows, spread evenly over the table.
_SAMPLE_ROWS = 1000
# A label column has at most this many distinct values, and each occurs this often on average.
_MOST_LABELS = 200
_ROWS_PER_LABEL = 2
# A text is much longer than the values of a column that only describes it.
_MUCH_LONGER = 3
_SENTENCE_WORDS = 3


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table that a task uses.

    Attributes:
      text: column of the texts.
      text_pair: column of the second texts, None if an example has one text.
      label: column of the labels, None if the table has none.
      notes: sentences on what was inferred, for the user.
    """

    text: str
    text_pair: str | None
    label: str | None
    notes: tuple[str, ...] = ()


def infer_columns(
    table: Table,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    needs_label: bool = True,
) -> Columns:
    """Find the columns of texts and labels, by well-known names and then by content.

    By content, a label column has few distinct values or numbers with a fraction, and a text column
    has the longest texts. Columns of identifiers are neither.

    Args:
      table: the table.
      text: column of the texts, None to infer it. If it is given and `text_pair` is not, an example
        has one text.
      text_pair: column of the second texts, None to infer it.
      label: column of the labels, None to infer it.
      needs_label: whether a table without labels is refused. If not, labels are found by name only,
        and `label` may be missing in the table.

    Raises:
      InputError: a column that is given is missing, no column fits, or several fit equally well.
    """
    notes = []
    find_label = label is None
    if label is not None and not needs_label and label not in table.columns:
        notes.append(f"{table.path.name}: no labels, because there is no column {shown(label)}")
        label = None
    given = {"TEXT": text, "TEXT_PAIR": text_pair, "LABEL": label}
    _check_given(table, given)
    inferred = []
    if find_label:
        texts = tuple(name for name in (text, text_pair) if name is not None)
        label = _label(table, texts, needs_label)
        inferred += [f"labels {shown(label)}"] if label is not None else []
    if text is None:
        text, pair = _texts(table, text_pair, label)
        inferred.insert(0, f"texts {shown(text)}")
        if text_pair is None and pair is not None:
            text_pair = pair
            inferred.insert(1, f"second texts {shown(pair)}")
    if inferred:
        unused = [name for name in table.columns if name not in (text, text_pair, label)]
        rest = f"; not used: {listed(unused)}" if unused else ""
        notes.append(f"{table.path.name}: columns of {', '.join(inferred)}{rest}")
    return Columns(text, text_pair, label, tuple(notes))


def texts(table: Table, column: str) -> list[str]:
    """Return the values of a column as texts; numbers are written out.

    Raises:
      InputError: a value is missing, a boolean or a list; names file and line.
    """
    found = []
    for index, value in enumerate(table.values(column)):
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InputError(
                f"{table.where(index)}: the text in column {shown(column)} must be a string, was "
                f"{shown(value)}: correct or remove the row, or give another column as TEXT= or "
                "TEXT_PAIR="
            )
        found.append(str(value))
    return found


def _check_given(table: Table, given: dict[str, str | None]) -> None:
    columns: dict[str, str] = {}
    for setting, name in given.items():
        if name is None:
            continue
        if name not in table.columns:
            raise InputError(
                f"{table.path} has no column {shown(name)}, which {setting}= names; its columns "
                f"are {listed(table.columns)}{nearest(shown(name), map(shown, table.columns))}"
            )
        if name in columns:
            raise InputError(
                f"{columns[name]}= and {setting}= both name the column {shown(name)}; the columns "
                f"of {table.path} are {listed(table.columns)}: give a different one to each"
            )
        columns[name] = setting


def _error(table: Table, reason: str, settings: str) -> InputError:
    return InputError(
        f"{table.path}: {reason}; its columns are {listed(table.columns)}: give {settings}"
    )


def _by_group(
    table: Table, groups: tuple[tuple[str, ...], ...], without: tuple[str | None, ...]
) -> list[str]:
    """Return the columns whose names are in the first group of which there is one."""
    for group in groups:
        found = [c for c in table.columns if normalized(c) in group and c not in without]
        if found:
            return found
    return []


# === Labels ===
def _label(table: Table, texts: tuple[str, ...], needed: bool) -> str | None:
    found = _by_group(table, LABELS, texts)
    if not found and needed:
        found = [c for c in table.columns if c not in texts and _is_label(_sample(table, c))]
        found = [c for c in found if normalized(c) not in IDENTIFIERS]
    if len(found) == 1:
        return found[0]
    if not needed:
        return None
    if found:
        raise _error(table, f"each of {listed(found)} could hold the labels", "LABEL=")
    raise _error(table, "no column looks like labels", "LABEL=")


def _is_label(values: list[Any]) -> bool:
    if any(value is None or value == "" for value in values):
        return False
    if all(isinstance(value, list) for value in values):
        return True
    written = [str(value).strip() for value in values]
    if _looks_like_text(written):
        return False
    if all(map(is_number, written)) and not all(float(value).is_integer() for value in written):
        return True
    # Of a few rows, each may have a label of its own.
    most = min(_MOST_LABELS, max(len(written) // _ROWS_PER_LABEL, 2))
    return 1 < len(set(written)) <= most


# === Texts ===
def _texts(table: Table, pair: str | None, label: str | None) -> tuple[str, str | None]:
    by_form = {normalized(c): c for c in table.columns if c != label}
    for first, second in PAIRS:
        if pair is not None and normalized(pair) == second and first in by_form:
            return by_form[first], pair
        if pair is None and first in by_form and second in by_form:
            return by_form[first], by_form[second]
    found = _by_group(table, TEXTS, (pair, label)) or _by_content(table, (pair, label))
    if len(found) == 1:
        return found[0], None
    if found:
        raise _error(table, f"each of {listed(found)} could hold the texts", _settings(pair))
    raise _error(table, "no column looks like texts", _settings(pair))


def _settings(pair: str | None) -> str:
    return "TEXT=, and TEXT_PAIR= if an example has two texts" if pair is None else "TEXT="


def _by_content(table: Table, without: tuple[str | None, ...]) -> list[str]:
    """Return the columns that are most likely to hold the texts."""
    others = [c for c in table.columns if c not in without and normalized(c) not in IDENTIFIERS]
    samples = {c: _sample(table, c) for c in others}
    strings = {
        c: values
        for c, values in samples.items()
        if all(isinstance(v, str) for v in values) and not all(map(is_number, filter(None, values)))
    }
    texts = [c for c, values in strings.items() if _looks_like_text(values)]
    if len(texts) < 2:
        # Texts may be single words: the only column of strings is the text then.
        return texts or list(strings)
    sentences = [c for c in texts if _mean_words(strings[c]) >= _SENTENCE_WORDS]
    if len(sentences) > 1:
        return sentences
    lengths = {c: statistics.fmean(map(len, strings[c])) for c in texts}
    first, second = sorted(texts, key=lambda c: -lengths[c])[:2]
    return [first] if lengths[first] >= _MUCH_LONGER * lengths[second] else texts


def _looks_like_text(values: list[str]) -> bool:
    """Return whether most values are several words, or words of a script without spaces."""
    several = sum(" " in value.strip() or _has_ideographs(value) for value in values)
    distinct = len(set(values))
    # Names of classes, such as "very good", recur.
    return several * 2 > len(values) and distinct * _ROWS_PER_LABEL > len(values)


def _has_ideographs(value: str) -> bool:
    return any("\u2e80" <= character <= "\U0003ffff" for character in value)


def _mean_words(values: list[str]) -> float:
    return statistics.fmean(
        len(value) / 2 if _has_ideographs(value) else len(value.split()) for value in values
    )


def _sample(table: Table, column: str) -> list[Any]:
    step = -(-len(table.rows) // _SAMPLE_ROWS)
    return [row[column] for row in table.rows[::step]]
