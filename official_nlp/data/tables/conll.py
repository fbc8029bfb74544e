"""Read tagged sentences in the format of the CoNLL tasks: a word in a line, with its tag."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from official_nlp.data import corpus
from official_nlp.data.tables.tagging_schemes import NONE, broken_tags, scheme_of
from official_nlp.data.tables.text_files import text_head
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

_NO_TAG = "_"
# A line that starts a document, in the files of CoNLL-2003.
_DOCUMENT = "-DOCSTART-"
# Not all white space: a word may contain a no-break space.
_SPACE = re.compile(r"[ \t]+")


class Sentence(NamedTuple):
    """A sentence with the tags of its words.

    Attributes:
      tokens: the words.
      tags: tag of each word, as in the file.
      line: number of its first line, counted from 1.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    line: int


@dataclasses.dataclass(frozen=True)
class Tagged:
    """The sentences of a file.

    Attributes:
      path: the file.
      sentences: the sentences in order.
      scheme: scheme of the tags, see `tagging_schemes.scheme_of`.
      notes: sentences on what was inferred or left out, for the user.
    """

    path: pathlib.Path
    sentences: list[Sentence]
    scheme: str
    notes: tuple[str, ...]

    def where(self, sentence: int) -> str:
        """Return file and line of a sentence, for messages.

        Args:
          sentence: index into `sentences`.
        """
        return f"{self.path}, line {self.sentences[sentence].line}"


def read_conll(
    path: str | os.PathLike, token_column: int = 0, tag_column: int | None = -1
) -> Tagged:
    """Read tagged sentences.

    A line has the columns of a word, separated by tabs if the first line has one, and otherwise by
    spaces. Blank lines separate sentences, and lines that start with -DOCSTART- are left out.

    Args:
      path: the file, in UTF-8, also compressed by gzip.
      token_column: column of the words, counted from 0; negative from the last one.
      tag_column: column of the tags; None to read the words alone, which have no tags then.

    Raises:
      InputError: the file cannot be read, holds no sentence, or a line does not have its columns;
        names file and line.
    """
    file = pathlib.Path(path)
    text_head(file)
    sentences: list[Sentence] = []
    tokens: list[tuple[int, str, str | None]] = []
    dropped = 0
    for number, fields in _rows(file):
        if fields and fields[0] != _DOCUMENT:
            tokens.append((number, *_token(file, number, fields, token_column, tag_column)))
            continue
        dropped += bool(fields)
        if tokens:
            sentences.append(_sentence(tokens))
            tokens = []
    if tokens:
        sentences.append(_sentence(tokens))
    if not sentences:
        raise InputError(f"{file} has no sentence: each line must have a word and its tag")
    return _tagged(file, sentences, dropped, has_tags=tag_column is not None)


def has_tags(path: str | os.PathLike, token_column: int = 0, tag_column: int = -1) -> bool:
    """Return whether a file has tags: a column besides that of the words, with any but `_` in it.

    `_` stands for a missing value in the files of CoNLL tasks.

    Args:
      path, token_column, tag_column: see `read_conll`.

    Raises:
      InputError: the file cannot be read; names file and line.
    """
    file = pathlib.Path(path)
    text_head(file)
    for number, fields in _rows(file):
        if not fields or fields[0] == _DOCUMENT:
            continue
        size = len(fields)
        is_alone = tag_column >= size or (token_column - tag_column) % size == 0
        _, tag = _token(file, number, fields, token_column, None if is_alone else tag_column)
        if tag not in (None, _NO_TAG):
            return True
    return False


def _tagged(file: pathlib.Path, sentences: list[Sentence], dropped: int, has_tags: bool) -> Tagged:
    scheme = scheme_of(sentence.tags for sentence in sentences)
    words = sum(len(sentence.tokens) for sentence in sentences)
    kind = "no scheme" if scheme == NONE else f"scheme {scheme}"
    tags = f"; tags of {kind}" if has_tags else ""
    notes = [f"{counted(len(sentences), 'sentence')}, {counted(words, 'word')}{tags}"]
    broken = sum(broken_tags(sentence.tags, scheme) for sentence in sentences)
    if broken:
        notes.append(
            f"{counted(broken, 'tag')} not valid in {scheme}, read as the CoNLL evaluation does"
        )
    if dropped:
        notes.append(f"left out {counted(dropped, 'line')} with {_DOCUMENT}")
    return Tagged(file, sentences, scheme, tuple(f"{file.name}: {note}" for note in notes))


def _sentence(tokens: list[tuple[int, str, str | None]]) -> Sentence:
    lines, words, tags = zip(*tokens)
    return Sentence(words, tuple(tag for tag in tags if tag is not None), lines[0])


def _rows(file: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and columns, none for a blank line."""
    separator: re.Pattern | None = None
    width = 0
    for number, line in corpus.rows(file):
        line = line.rstrip("\r\n")
        if not line.strip(" \t"):
            yield number, []
            continue
        if line.startswith(_DOCUMENT):
            yield number, [_DOCUMENT]
            continue
        if separator is None:
            separator = re.compile("\t") if "\t" in line else _SPACE
        fields = separator.split(line.strip(" ") if separator is _SPACE else line)
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(
                f"{file}, line {number}: expected {counted(width, 'column')} as in the first line, "
                f"found {len(fields)}: {shown(line)}; correct the line"
            )
        yield number, fields


def _token(
    file: pathlib.Path, number: int, fields: list[str], token_column: int, tag_column: int | None
) -> tuple[str, str | None]:
    found: list[int] = []
    for name, column in (("token", token_column), ("tag", tag_column)):
        if column is None:
            return fields[found[0]], None
        if not -len(fields) <= column < len(fields):
            raise InputError(
                f"{file}, line {number}: there is no {name} column {column}, because the line has "
                f"{counted(len(fields), 'column')}: {shown(' '.join(fields))}; give a column from "
                f"0 to {len(fields) - 1}"
            )
        if not fields[column]:
            raise InputError(f"{file}, line {number}: the {name} is empty; correct the line")
        found.append(column % len(fields))
    if found[0] == found[1]:
        raise InputError(
            f"{file}, line {number}: words and tags are in the same column, {found[0]}: "
            f"{shown(' '.join(fields))}; each line must have a word and its tag"
        )
    return fields[found[0]], fields[found[1]]
