"""Input errors from inside traced functions and datasets."""

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


def test_an_input_error_is_raised_as_it_was():
    error = InputError("size must be 1, was 2")
    with pytest.raises(InputError) as caught:
        _traced(error)
    assert caught.value is error


def test_other_errors_retain_the_message_of_autograph():
    with pytest.raises(KeyError, match="in user code"):
        _traced(KeyError("name"))


def test_an_input_error_in_the_generator_of_a_dataset_is_an_input_error():
    def generator():
        yield 1
        raise InputError("shard.tfrecord ends at byte 7, expected 9")

    dataset = tf.data.Dataset.from_generator(
        generator, output_signature=tf.TensorSpec([], tf.int32)
    )

    @tf.function
    def function(iterator):
        return next(iterator) + next(iterator)

    message = r"^shard\.tfrecord ends at byte 7, expected 9$"
    with pytest.raises(InputError, match=message), plain_errors():
        function(iter(dataset.prefetch(1)))


def test_other_errors_of_tensorflow_are_unchanged():
    with pytest.raises(tf.errors.InvalidArgumentError), plain_errors():
        tf.debugging.assert_equal(1, 2)
