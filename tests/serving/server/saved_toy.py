"""The toy as a SavedModel, which takes a second to write."""

import pathlib

import tensorflow as tf

TEXTS = tf.TensorSpec([None], tf.string, "text")


class _Measures(tf.Module):
    def __init__(self, offset: int):
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[TEXTS])
    def measure(self, text):
        words = tf.strings.split(text)
        return {
            "size": tf.strings.length(text) + self.offset,
            "word": words.to_tensor(),
            "num_words": tf.cast(words.row_lengths(), tf.int32),
        }

    @tf.function(input_signature=[TEXTS])
    def check(self, text):
        number = tf.strings.to_number(text, tf.int32)
        with tf.control_dependencies([tf.debugging.assert_greater(number, 0, "too small")]):
            return {"number": tf.identity(number)}

    @tf.function(input_signature=[TEXTS])
    def slow(self, text):
        # A matrix is multiplied which takes a good part of a second.
        matrix = tf.while_loop(
            lambda i, m: i < 15,
            lambda i, m: (i + 1, tf.math.l2_normalize(m @ m)),
            [0, tf.ones([1000, 1000])],
        )[1]
        return {"size": tf.strings.length(text) + tf.cast(0 * matrix[0, 0], tf.int32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.complex64, "wave")])
    def unusual(self, wave):
        return {"real": tf.math.real(wave)}


def save(version: pathlib.Path, offset: int = 0) -> None:
    """Write a version of the toy, whose `size` is that of the text plus the offset."""
    model = _Measures(offset)
    signatures = {
        "serving_default": model.measure,
        "check": model.check,
        "slow": model.slow,
        "unusual": model.unusual,
    }
    tf.saved_model.save(model, str(version), signatures=signatures)
