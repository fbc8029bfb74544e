"""A network that points at a span of tokens."""

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class SpanLabeling(tf_keras.Model):
    """Scores every token of a row as the first and as the last of a span.

    `SpanHead` is the layer that knows masks; this is tfnlp's network of the name.

    Call: `[batch, length, input_width]`, alone or as `sequence_data` of a dict, to the list of two
    float32 `[batch, length]`, for start and end.

    Args:
      input_width: width of the tokens.
      activation: of the dense layer; None is linear.
      initializer: of the kernel.
      output: `logits`, or `predictions` for log-probabilities over the tokens of a row.

    Attributes:
      inputs: list of the symbolic input.
      start_logits, end_logits: the symbolic logits of it, whatever `output` is.

    Raises:
      InputError: `output` is something else.

    Example:
      >>> start_logits, end_logits = SpanLabeling(input_width=16)(tf.ones([2, 8, 16]))
      >>> start_logits.shape, end_logits.shape
      (TensorShape([2, 8]), TensorShape([2, 8]))
    """

    def __init__(
        self,
        input_width,
        activation=None,
        initializer="glorot_uniform",
        output="logits",
        **kwargs,
    ):
        super().__init__(**kwargs)
        ops.check_output(output)
        self.input_width = input_width
        self.activation = ops.activation(activation)
        self.initializer = tf_keras.initializers.get(initializer)
        self.output_type = output
        # === Layers ===
        self.dense = tf_keras.layers.Dense(
            2,
            activation=self.activation,
            kernel_initializer=self.initializer,
            dtype=tf.float32,
            name="logits",
        )
        self.inputs = [tf_keras.Input([None, input_width], name="sequence_data")]
        self.start_logits, self.end_logits = tf.unstack(self.dense(self.inputs[0]), axis=-1)
        self.built = True

    # === Wiring ===
    def call(self, inputs):
        (tokens,) = tf.nest.flatten(inputs)  # [B, L, input_width]
        logits = tf.unstack(self.dense(tokens), axis=-1)  # start and end, [B, L]
        return logits if self.output_type == "logits" else [tf.nn.log_softmax(x) for x in logits]

    # === Config ===
    def get_config(self):
        return {
            "input_width": self.input_width,
            "activation": tf_keras.activations.serialize(self.activation),
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "name": self.name,
            "dtype": self._dtype_policy.name,
        }
