"""Input errors from inside a traced function or a dataset."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from official_nlp.errors import InputError


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise an `InputError` from the block as an `InputError`.

    AutoGraph wraps exceptions that are raised while tracing, and an error in the Python generator
    of a dataset arrives as text within a TensorFlow error.
    """
    try:
        yield
    except Exception as error:
        original = _input_error(error)
        if original is None or original is error:
            raise
        raise original from None


def _input_error(error: BaseException | None) -> InputError | None:
    """Return the original exception if it is an `InputError`."""
    found = None
    while error is not None:
        if isinstance(error, InputError):
            found = error
        elif isinstance(error, tf.errors.OpError):
            text = re.search(rf"\b{InputError.__name__}: (.*)", error.message)
            return InputError(text.group(1)) if text else found
        error = error.__context__
    return found
