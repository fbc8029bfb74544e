"""Network that scores the start and end of a span."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Activation, Initializer


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class SpanLabeling(tf_keras.Model):
    """Score every token of a sequence as the first and as the last of a span.

    This is tfnlp's network of this name. The layer `SpanHead` also takes a mask.

    Call: `[batch, length, input_width]`, as a tensor or as the only value of a dict
    (`sequence_data`), to the list of two float32 `[batch, length]`, for start and end.

    Args:
      input_width: width of the tokens.
      activation: activation of the dense layer; None for the identity.
      initializer: initializer of the kernel.
      output: `logits`, or `predictions` for log-probabilities over the tokens of a sequence.

    Attributes:
      inputs: list of the symbolic input.
      start_logits, end_logits: symbolic logits of this input, for either value of `output`.

    Raises:
      InputError: `output` has another value.

    Example:
      >>> start_logits, end_logits = SpanLabeling(input_width=16)(tf.ones([2, 8, 16]))
      >>> start_logits.shape, end_logits.shape
      (TensorShape([2, 8]), TensorShape([2, 8]))
    """

    def __init__(
        self,
        input_width: int,
        activation: Activation | None = None,
        initializer: Initializer = "glorot_uniform",
        output: str = "logits",
        **kwargs: Any,
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
        # The symbolic call creates the variables; tfnlp's network has these attributes as well.
        self.inputs = [tf_keras.Input([None, input_width], name="sequence_data")]
        self.start_logits, self.end_logits = tf.unstack(self.dense(self.inputs[0]), axis=-1)
        self.built = True

    # === Wiring ===
    def call(self, inputs: tf.Tensor | dict[str, tf.Tensor]) -> list[tf.Tensor]:
        (tokens,) = tf.nest.flatten(inputs)  # [B, L, input_width]
        logits = tf.unstack(self.dense(tokens), axis=-1)  # start and end, [B, L]
        return logits if self.output_type == "logits" else [tf.nn.log_softmax(x) for x in logits]

    # === Config ===
    def get_config(self) -> dict[str, Any]:
        return {
            "input_width": self.input_width,
            "activation": tf_keras.activations.serialize(self.activation),
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "name": self.name,
            "dtype": self.dtype_policy.name,
        }
