import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training.tracing import plain_errors


def _traced(error):
    @tf.function
    def function(count):
        for _ in tf.range(count):
            raise error

    with plain_errors():
        function(tf.constant(1))


def test_an_error_of_the_user_comes_out_as_it_was_raised():
    error = InputError("size must be 1, was 2")
    with pytest.raises(InputError) as caught:
        _traced(error)
    assert caught.value is error


def test_other_errors_keep_what_autograph_says_about_them():
    with pytest.raises(KeyError, match="in user code"):
        _traced(KeyError("name"))
