"""The errors that the command reports in one line and by an exit code."""

import pytest
import tensorflow as tf

from official_nlp.errors import InputError


def test_an_input_error_keeps_its_type_and_message_in_a_traced_function():
    @tf.function
    def refuse():
        raise InputError("size must be positive, was 0")

    with pytest.raises(InputError, match="size must be positive, was 0"):
        refuse()
