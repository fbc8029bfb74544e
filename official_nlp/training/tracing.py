"""Errors out of a traced function, as they were raised."""

import contextlib

from official_nlp.errors import InputError


@contextlib.contextmanager
def plain_errors():
    """Raises an `InputError` from inside as itself; AutoGraph wraps it in an error of its own."""
    try:
        yield
    except Exception as error:
        original = error
        while original is not None and not isinstance(original, InputError):
            original = original.__context__
        if original is None or original is error:
            raise
        raise original from None
