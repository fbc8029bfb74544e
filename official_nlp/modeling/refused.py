"""Arguments of tfnlp's classes that ELECTRA does not support."""

from collections.abc import Mapping
from typing import Any

from official_nlp.errors import InputError


def drop_refused(
    owner: str, kwargs: dict[str, Any], refused: Mapping[str, tuple[Any, str]]
) -> None:
    """Remove unsupported arguments from `kwargs` if they have tfnlp's default value.

    The default requests nothing. Code and configurations that spell it out can therefore be ported
    unchanged.

    Args:
      owner: name of the class, for the message.
      kwargs: keyword arguments of its constructor; changed in place.
      refused: (tfnlp's default, reason why it is not supported) by name of the argument.

    Raises:
      InputError: an unsupported argument has another value.
    """
    for name, (default, reason) in refused.items():
        value = kwargs.pop(name, default)
        if value != default:
            raise InputError(
                f"{owner}: {name} must be left out or {default!r}, was {value!r}: {reason}"
            )
