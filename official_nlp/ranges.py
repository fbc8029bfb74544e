"""Types and ranges of settings, declared as a table beside each configuration class.

A frozen dataclass calls `check` in `__post_init__`. A value that no run can use is then refused
where the configuration is built: in a dry run as in the run, from a recipe as from Python.
"""

import abc
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp.errors import InputError

# Steps fit into float64 exactly, and their product with a batch size into int64.
MOST_STEPS = 10**12
# The generators of numpy and Python take seeds of 32 bits.
LARGEST_SEED = 2**32 - 1
# Python would take the scheme, such as `gs:`, for the name of a folder.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Longer values are cut in messages.
_SHOWN = 80


class Range(abc.ABC):
    """The values that a setting may have. The string is the end of `NAME must be ...`."""

    @abc.abstractmethod
    def accepts(self, value: Any) -> bool:
        """Return whether a value has the type and is in the range."""

    @abc.abstractmethod
    def __str__(self) -> str: ...

    def require(self, name: str, value: Any) -> None:
        """Check a value.

        Args:
          name: name of the setting, for the message.
          value: the value.

        Raises:
          InputError: it has another type or is out of range; names setting, range and value.
        """
        if not self.accepts(value):
            raise InputError(f"{name} must be {self}, was {shown(value)}")


@dataclasses.dataclass(frozen=True)
class Integer(Range):
    """Integers from `low` to `high`, both included."""

    low: int
    high: int

    def accepts(self, value: Any) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"an integer from {self.low:,} to {self.high:,}"


@dataclasses.dataclass(frozen=True)
class Number(Range):
    """Finite numbers from `low` to `high`, both included unless `above` or `below` excludes them.

    Attributes:
      low: smallest number.
      high: largest number.
      above: whether `low` itself is excluded.
      below: whether `high` itself is excluded.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        # Comparisons with NaN are false.
        enough = value > self.low if self.above else value >= self.low
        return enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'of at least'} {self.low:,.12g}"
        return f"a number {low} and {'below' if self.below else 'at most'} {self.high:,.12g}"


@dataclasses.dataclass(frozen=True)
class Flag(Range):
    """True and False."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclasses.dataclass(frozen=True)
class Choice(Range):
    """One of several names."""

    names: Sequence[str]

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


@dataclasses.dataclass(frozen=True)
class Text(Range):
    """Text that is not blank."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip())

    def __str__(self) -> str:
        return "text that is not empty"


@dataclasses.dataclass(frozen=True)
class Path(Range):
    """Paths of files and folders of this machine, as text or as objects of `pathlib`."""

    def accepts(self, value: Any) -> bool:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str):
            return False
        # No path of any system can hold a null character.
        return bool(value.strip()) and "\0" not in value and not _URL.match(value)

    def __str__(self) -> str:
        return "a local path (mount or copy what is elsewhere, such as gs:// or http://)"


@dataclasses.dataclass(frozen=True)
class Instance(Range):
    """Instances of a class."""

    kind: type

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.kind)

    def __str__(self) -> str:
        return f"a {self.kind.__name__}"


@dataclasses.dataclass(frozen=True)
class OrNone(Range):
    """None, or a value of another range."""

    range: Range

    def accepts(self, value: Any) -> bool:
        return value is None or self.range.accepts(value)

    def __str__(self) -> str:
        return f"{self.range}, or None"

    def require(self, name: str, value: Any) -> None:
        super().require(name, value)
        if value is not None:
            self.range.require(name, value)


@dataclasses.dataclass(frozen=True)
class Either(Range):
    """Values of one range or another."""

    first: Range
    second: Range

    def accepts(self, value: Any) -> bool:
        return self.first.accepts(value) or self.second.accepts(value)

    def __str__(self) -> str:
        return f"{self.first}, or {self.second}"

    def require(self, name: str, value: Any) -> None:
        super().require(name, value)
        (self.first if self.first.accepts(value) else self.second).require(name, value)


@dataclasses.dataclass(frozen=True)
class ListOf(Range):
    """Lists and tuples of values of a range, at least `least` of them."""

    range: Range
    least: int = 0

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (list, tuple)) and len(value) >= self.least

    def __str__(self) -> str:
        return f"a list of at least {self.least} values"

    def require(self, name: str, value: Any) -> None:
        super().require(name, value)
        for index, each in enumerate(value):
            self.range.require(f"{name}[{index}]", each)


@dataclasses.dataclass(frozen=True)
class ByName(Range):
    """Dicts of values of a range by name."""

    range: Range

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)

    def __str__(self) -> str:
        return "a dict of values by name"

    def require(self, name: str, value: Any) -> None:
        super().require(name, value)
        for key, each in value.items():
            self.range.require(f"{name}[{key!r}]", each)


def check(config: Any, table: Mapping[str, Range]) -> None:
    """Check every field of a dataclass.

    Args:
      config: the instance.
      table: range of each field by name. A field without one is a mistake of the program.

    Raises:
      InputError: a value has another type or is out of range; names field, range and value.
    """
    for field in dataclasses.fields(config):
        table[field.name].require(field.name, getattr(config, field.name))


def shown(value: Any) -> str:
    """Return a value for a message: as in Python, on one line, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits.
        text = f"an integer of {value.bit_length():,} bits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
