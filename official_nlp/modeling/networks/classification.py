"""Classifier of pooled sequences."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Initializer


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class Classification(tf_keras.Model):
    """Apply one dense layer to the vector of a sequence; with one class, a regression.

    This is tfnlp's network of this name. The layer `ClassificationHead` also pools.

    Call: `[batch, input_width]`, as a tensor or as the only value of a dict (`cls_output`), to
    float32 `[batch, num_classes]`.

    Args:
      input_width: width of the vector.
      num_classes: number of classes.
      initializer: initializer of the kernel.
      output: `logits`, or `predictions` for log-probabilities.

    Attributes:
      inputs: list of the symbolic input.
      logits: symbolic logits of this input, for either value of `output`.

    Raises:
      InputError: `output` has another value.

    Example:
      >>> network = Classification(input_width=16, num_classes=3)
      >>> network(tf.ones([2, 16])).shape
      TensorShape([2, 3])
    """

    def __init__(
        self,
        input_width: int,
        num_classes: int,
        initializer: Initializer = "glorot_uniform",
        output: str = "logits",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        ops.check_output(output)
        self.input_width = input_width
        self.num_classes = num_classes
        self.initializer = tf_keras.initializers.get(initializer)
        self.output_type = output
        # === Layers ===
        self.dense = tf_keras.layers.Dense(
            num_classes, kernel_initializer=self.initializer, dtype=tf.float32, name="logits"
        )
        # The symbolic call creates the variables; tfnlp's network has these attributes as well.
        self.inputs = [tf_keras.Input([input_width], name="cls_output")]
        self.logits = self.dense(self.inputs[0])
        self.built = True

    # === Wiring ===
    def call(self, inputs: tf.Tensor | dict[str, tf.Tensor]) -> tf.Tensor:
        (vectors,) = tf.nest.flatten(inputs)  # [B, input_width]
        logits = self.dense(vectors)  # [B, num_classes]
        return logits if self.output_type == "logits" else tf.nn.log_softmax(logits)

    # === Config ===
    def get_config(self) -> dict[str, Any]:
        return {
            "input_width": self.input_width,
            "num_classes": self.num_classes,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "name": self.name,
            "dtype": self.dtype_policy.name,
        }
