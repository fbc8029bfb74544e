"""Accepted forms of an input. Each function returns None for a value of any other form."""

from typing import Any, NamedTuple

TEXT = 'a text, or {"text": ...}'
TEXT_OR_PAIR = (
    'a text, a pair (text, text_pair), or a dict {"text": ...} or {"text": ..., "text_pair": ...}'
)
WORDS = 'a text, or {"text": ...}, or a list of words, or {"words": [...]}, without empty words'
QUESTION = 'a pair (question, context), or {"question": ..., "context": ...}'
CHOICES = '{"text": ..., "choices": [...]} with at least one choice'


class TextPair(NamedTuple):
    """One or two texts that share a sequence."""

    text: str
    pair: str | None = None


class Words(NamedTuple):
    """A text to tag.

    Attributes:
      text: the text; words that are given are joined by spaces.
      spans: characters of each word, `text[start:end]`; None for a text that is not yet divided.
    """

    text: str
    spans: list[tuple[int, int]] | None


class Question(NamedTuple):
    """A question, and the text that holds the answer."""

    question: str
    context: str


class Choices(NamedTuple):
    """A text, and several that may follow it."""

    text: str
    choices: list[str]


def parse_text(value: Any) -> str | None:
    """Return the text of a string or of `{"text"}`."""
    if isinstance(value, dict) and value.keys() == {"text"}:
        value = value["text"]
    return value if isinstance(value, str) else None


def parse_words(value: Any) -> Words | None:
    """Return a text, or the words of a list or of `{"words"}`.

    A tuple has another meaning, a pair of texts, and is none of these forms.
    """
    text = parse_text(value)
    if text is not None:
        return Words(text, None)
    if isinstance(value, dict) and value.keys() == {"words"}:
        value = value["words"]
    if not isinstance(value, list) or not _are_strings(value) or not all(value):
        return None
    spans, start = [], 0
    for word in value:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return Words(" ".join(value), spans)


def parse_text_or_pair(value: Any) -> TextPair | None:
    """Return the texts of a string, of two strings, or of `{"text"}` with or without `text_pair`.

    A `text_pair` of None, which is null in JSON, is ignored.
    """
    if isinstance(value, str):
        return TextPair(value)
    if isinstance(value, dict):
        if "text" not in value or not value.keys() <= {"text", "text_pair"}:
            return None
        texts = [value["text"]]
        if value.get("text_pair") is not None:
            texts.append(value["text_pair"])
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        texts = list(value)
    else:
        return None
    return TextPair(*texts) if _are_strings(texts) else None


def parse_question(value: Any) -> Question | None:
    """Return the texts of two strings, or of `{"question", "context"}`."""
    if isinstance(value, dict) and value.keys() == {"question", "context"}:
        value = (value["question"], value["context"])
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not _are_strings(value):
        return None
    return Question(*value)


def parse_choices(value: Any) -> Choices | None:
    """Return the texts of `{"text", "choices"}`."""
    if not isinstance(value, dict) or value.keys() != {"text", "choices"}:
        return None
    text, choices = value["text"], value["choices"]
    if not isinstance(text, str) or not isinstance(choices, (tuple, list)):
        return None
    return Choices(text, list(choices)) if choices and _are_strings(choices) else None


def _are_strings(values) -> bool:
    return all(isinstance(value, str) for value in values)
