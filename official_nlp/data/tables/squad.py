"""Read questions on contexts in the JSON format of SQuAD 1.1 and 2.0."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from official_nlp.data import corpus
from official_nlp.data.tables.text_files import whole_text
from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.ranges import shown

_TYPES = {list: "list", dict: "object", str: "string", int: "integer", bool: "boolean"}


class Answer(NamedTuple):
    """An answer: `context[start : start + len(text)] == text`."""

    text: str
    start: int


@dataclasses.dataclass(frozen=True)
class Question:
    """A question on a context.

    Attributes:
      id: identifier, which no other question of the file has.
      title: title of the article.
      question: the question.
      context: the paragraph that contains the answer. Questions share the string.
      answers: answers of several people, none if the question is impossible or unlabeled.
      impossible: whether the context does not answer the question (SQuAD 2.0).
    """

    id: str
    title: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    impossible: bool


@dataclasses.dataclass(frozen=True)
class SquadData:
    """The questions of a file.

    Attributes:
      path: the file.
      questions: the questions in order.
      version_2: whether questions may be impossible, as in SQuAD 2.0.
      notes: sentences on the content, for the user.
    """

    path: pathlib.Path
    questions: list[Question]
    version_2: bool
    notes: tuple[str, ...]


def read_squad(path: str | os.PathLike, needs_answers: bool = True) -> SquadData:
    """Read questions in the format of SQuAD.

    Args:
      path: the JSON file, also compressed by gzip.
      needs_answers: whether a question without an answer that is not marked as impossible is
        refused. Questions to predict have none.

    Raises:
      InputError: the file cannot be read, is not JSON of this format, holds no question, or has an
        answer that does not stand at its `answer_start`; names the question. The positions are not
        repaired, because a wrong one shows that the context was changed after the annotation.
    """
    file = pathlib.Path(path)
    text = whole_text(file)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} must be JSON in the format of SQuAD: {error}") from error
    root = _Place(str(file), content)
    version_2 = _version(content).startswith(("2", "v2"))
    questions = list(_questions(root, needs_answers))
    if not questions:
        raise InputError(f"{file} has no question: give a file in the format of SQuAD")
    _check_ids(file, questions)
    version_2 = version_2 or any(question.impossible for question in questions)
    return SquadData(file, questions, version_2, _notes(file, questions))


def _version(content: Any) -> str:
    return str(content.get("version", "")) if isinstance(content, dict) else ""


def _notes(file: pathlib.Path, questions: list[Question]) -> tuple[str, ...]:
    contexts = len({id(question.context) for question in questions})
    impossible = sum(question.impossible for question in questions)
    unlabeled = sum(not question.answers and not question.impossible for question in questions)
    note = f"{file.name}: {counted(len(questions), 'question')} on {counted(contexts, 'context')}"
    note += f"; {impossible:,} impossible" if impossible else ""
    note += f"; {unlabeled:,} without answers" if unlabeled else ""
    return (note,)


def _check_ids(file: pathlib.Path, questions: list[Question]) -> None:
    seen = set()
    for question in questions:
        if question.id in seen:
            raise InputError(
                f"{file}: two questions have the id {shown(question.id)}: give each its own"
            )
        seen.add(question.id)


@dataclasses.dataclass(frozen=True)
class _Place:
    """A JSON value with its position in the file, for messages."""

    where: str
    value: Any

    def get(self, key: str, kind: type[Any], default: Any = None) -> Any:
        """Return a value of an object, the default if it is missing and there is one."""
        if not isinstance(self.value, dict):
            raise InputError(
                f"{self.where} must be an object with {shown(key)}, was {shown(self.value)}: give "
                "a file in the format of SQuAD"
            )
        value = self.value.get(key, default)
        if type(value) is not kind:
            problem = "is missing" if key not in self.value else f"was {shown(value)}"
            raise InputError(
                f"{self.where}: {shown(key)} must be of type {_TYPES[kind]}, {problem}: give a "
                "file in the format of SQuAD"
            )
        return corpus.without_surrogates(value) if isinstance(value, str) else value

    def items(self, key: str, default: Any = None) -> "Iterator[_Place]":
        """Yield the elements of a list."""
        for number, value in enumerate(self.get(key, list, default)):
            yield _Place(f"{self.where}, {key}[{number}]", value)


def _questions(root: _Place, needs_answers: bool) -> Iterator[Question]:
    for article in root.items("data"):
        title = article.get("title", str, "")
        for paragraph in article.items("paragraphs"):
            context = paragraph.get("context", str)
            for place in paragraph.items("qas"):
                yield _question(place, title, context, needs_answers)


def _question(place: _Place, title: str, context: str, needs_answers: bool) -> Question:
    identifier = place.get("id", str)
    place = _Place(f"{place.where}, question {shown(identifier)}", place.value)
    impossible = place.get("is_impossible", bool, False)
    answers = tuple(_answer(answer, context) for answer in place.items("answers", []))
    if impossible and answers:
        raise InputError(
            f"{place.where} is impossible, but has the answer {shown(answers[0].text)}: remove "
            "one of both"
        )
    if needs_answers and not impossible and not answers:
        raise InputError(
            f'{place.where} has no answer: add one, or mark it with "is_impossible": true'
        )
    return Question(identifier, title, place.get("question", str), context, answers, impossible)


def _answer(place: _Place, context: str) -> Answer:
    text, start = place.get("text", str), place.get("answer_start", int)
    if not text:
        raise InputError(f"{place.where}: the text of the answer is empty: remove the answer")
    if start < 0 or not context.startswith(text, start):
        position = context.find(text)
        near = f"; it stands at {position}" if position >= 0 else "; the context lacks it"
        found = context[max(start, 0) : max(start, 0) + len(text)]
        raise InputError(
            f"{place.where}: the answer {shown(text)} must stand at answer_start {start} of the "
            f"context, but {shown(found)} does{near}: correct answer_start, which counts characters"
        )
    return Answer(text, start)
