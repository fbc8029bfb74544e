"""Checks of argument values, with messages that name the argument and the accepted values."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from official_nlp.data.tokenization.words import WORDPIECE_MARK
from official_nlp.errors import InputError

# Hugging Face stores int(1e30) as `model_max_length` if there is no limit.
UNLIMITED = int(1e30)
# Any larger length means "no limit": some files store 1e30 as float, which rounds.
_NO_LIMIT = 10**20

T = TypeVar("T")


def choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Return the value if it is one of the choices, with the same type: 1 is not True.

    Raises:
      InputError: if it is none of them.
    """
    if not any(value == each and type(value) is type(each) for each in choices):
        raise InputError(f"{name} must be one of {choices}, was {value!r}")
    return value


def at_least(name: str, value: Any, least: int) -> int:
    """Return the value as int if it is an integer of at least `least`.

    Raises:
      InputError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, was {value!r}")
    return int(value)


def length(name: str, value: Any) -> int | None:
    """Return a length, or None for the values that Hugging Face stores for "no limit".

    Raises:
      InputError: if it is not a positive integer.
    """
    if value is None or (isinstance(value, int | float) and value >= _NO_LIMIT):
        return None
    return at_least(name, value, 1)


def as_list(name: str, value: Any) -> list:
    """Return a sequence as list, and None as the empty list.

    Raises:
      InputError: if it is not a sequence, or a single string.
    """
    if value is None:
        return []
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list, was {value!r}")
    return list(value)


def text(name: str, value: str) -> str:
    """Return a string if it consists of valid characters.

    Raises:
      InputError: if it holds half of a surrogate pair, which UTF-8 cannot encode.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must consist of valid characters, was {value!r}; replace number {error.start}"
        ) from error
    return value


def never_split(value: Any) -> tuple[str, ...]:
    """Return the words of the argument `never_split`.

    Raises:
      InputError: if one of them is not a word, or contains white space.
    """
    words = as_list("never_split", value)
    for word in words:
        if not isinstance(word, str) or word.split() != [word]:
            raise InputError(
                f"never_split must be a list of words without white space, but one was {word!r}"
            )
        text("never_split", word)
    return tuple(words)


def prefix(value: Any) -> str:
    """Return the argument `wordpieces_prefix`.

    Raises:
      InputError: if it is not a string, or empty.
    """
    if not isinstance(value, str) or not value:
        raise InputError(
            "wordpieces_prefix must be the mark of pieces that continue a word, like "
            f"{WORDPIECE_MARK!r}, was {value!r}"
        )
    return text("wordpieces_prefix", value)
