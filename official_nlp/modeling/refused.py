"""Arguments of tfnlp's classes that ELECTRA has no use for."""

from official_nlp.errors import InputError


def drop_refused(owner: str, kwargs: dict, refused: dict) -> None:
    """Takes out of `kwargs` the arguments that a class does not support.

    At the value that tfnlp has by default such an argument asks for nothing, and is dropped: code
    and configurations that spell defaults out can be ported as they are.

    Args:
      owner: name of the class, for the message.
      kwargs: keyword arguments of its constructor; changed.
      refused: dict of name to (tfnlp's default, why it is not supported).

    Raises:
      InputError: one of them has another value.
    """
    for name, (default, reason) in refused.items():
        value = kwargs.pop(name, default)
        if value != default:
            raise InputError(
                f"{owner}: {name} must be left out or {default!r}, was {value!r}: {reason}"
            )
