"""Errors out of a traced function or a dataset, as they were raised."""

import contextlib
import re

import tensorflow as tf

from official_nlp.errors import InputError


@contextlib.contextmanager
def plain_errors():
    """Raises an `InputError` from inside as one.

    AutoGraph wraps what is raised while tracing, and an error in the Python generator behind a
    dataset arrives as the text of one of TensorFlow's.
    """
    try:
        yield
    except Exception as error:
        original = _input_error(error)
        if original is None or original is error:
            raise
        raise original from None


def _input_error(error: BaseException | None) -> InputError | None:
    """Returns what was raised first, where that is an `InputError`."""
    found = None
    while error is not None:
        if isinstance(error, InputError):
            found = error
        elif isinstance(error, tf.errors.OpError):
            text = re.search(rf"\b{InputError.__name__}: (.*)", error.message)
            return InputError(text.group(1)) if text else found
        error = error.__context__
    return found
