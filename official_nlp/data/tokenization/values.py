"""Values of arguments: what they may be, and what is said of others."""

from collections.abc import Mapping, Sequence

import numpy as np

from official_nlp.errors import InputError

# Hugging Face stores 1e30 for a length without limit.
UNLIMITED = int(1e30)
_NO_LIMIT = 10**20


def choice(name: str, value, choices: Sequence):
    """The value, one of the choices, and of their type: 1 is not True."""
    if not any(value == each and type(value) is type(each) for each in choices):
        raise InputError(f"{name} must be one of {choices}, was {value!r}")
    return value


def at_least(name: str, value, least: int) -> int:
    """The value as int, a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a number from {least} on, was {value!r}")
    return int(value)


def length(name: str, value) -> int | None:
    """A length, or None for those that Hugging Face stores for none."""
    if isinstance(value, float) and value == value and value >= _NO_LIMIT:
        return None
    if value is None or (isinstance(value, int) and value >= _NO_LIMIT):
        return None
    return at_least(name, value, 1)


def listed(name: str, value) -> list:
    """The values, None being none of them."""
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list, was {value!r}")
    return list(value)


def words(never_split) -> tuple[str, ...]:
    """The words of `never_split`."""
    found = listed("never_split", never_split)
    for word in found:
        if not isinstance(word, str) or word.split() != [word]:
            raise InputError(
                f"never_split must be words without white space in them, but one was {word!r}"
            )
    return tuple(found)
