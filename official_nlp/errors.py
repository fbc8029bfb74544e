"""The errors that the command turns into one line and an exit code."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """An argument, file or setting cannot be used; the message says why and what to do."""

    # AutoGraph re-raises an error of a traced function in its own class only if `__init__` is
    # that of `Exception`, and as a `StagingError` otherwise.
    __init__ = Exception.__init__


def missing_package(purpose: str, package: str, extra: str) -> InputError:
    """Return the error of a package that is not installed.

    Args:
      purpose: what needs the package; the subject of a sentence.
      package: the package that could not be imported.
      extra: the extra of setup.py that has it.
    """
    return InputError(
        f"{purpose} needs the package {package}: pip install 'official_nlp[{extra}]', or in a "
        f"checkout pip install -e '.[{extra}]'"
    )


class NotFiniteError(RuntimeError):
    """A loss term, or the gradient, became infinite or not a number.

    Attributes:
      term: name of the first term that was not finite.
      step: the step, counted from 1, whose update was refused.
    """

    def __init__(self, term: str, step: int):
        super().__init__(
            f"{term} is not finite at step {step}; that step and those after it changed nothing. "
            "The last checkpoint is from before; a new run with a lower learning rate or a longer "
            "warm-up may do better."
        )
        self.term = term
        self.step = step


class Preempted(RuntimeError):
    """The run was asked to stop, and has saved its state."""


class StorageError(RuntimeError):
    """Writing failed, because the disk is full or refuses; what was saved before is complete."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` if one of the known names is similar, else an empty string."""
    upper = {candidate.upper(): candidate for candidate in known}
    found = difflib.get_close_matches(name.upper(), upper, n=1, cutoff=0.6)
    return f" (did you mean {upper[found[0]]}?)" if found else ""
