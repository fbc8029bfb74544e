"""A classifier of pooled rows."""

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class Classification(tf_keras.Model):
    """One dense layer on the vector of a row; with one class, a regression.

    `ClassificationHead` is the layer that pools as well; this is tfnlp's network of the name.

    Call: `[batch, input_width]`, alone or as `cls_output` of a dict, to float32
    `[batch, num_classes]`.

    Args:
      input_width: width of the vector.
      num_classes: number of outputs.
      initializer: of the kernel.
      output: `logits`, or `predictions` for log-probabilities.

    Attributes:
      inputs: list of the symbolic input.
      logits: the symbolic logits of it, whatever `output` is.

    Raises:
      InputError: `output` is something else.

    Example:
      >>> network = Classification(input_width=16, num_classes=3)
      >>> network(tf.ones([2, 16])).shape
      TensorShape([2, 3])
    """

    def __init__(
        self, input_width, num_classes, initializer="glorot_uniform", output="logits", **kwargs
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
        self.inputs = [tf_keras.Input([input_width], name="cls_output")]
        self.logits = self.dense(self.inputs[0])
        self.built = True

    # === Wiring ===
    def call(self, inputs):
        (vectors,) = tf.nest.flatten(inputs)  # [B, input_width]
        logits = self.dense(vectors)  # [B, num_classes]
        return logits if self.output_type == "logits" else tf.nn.log_softmax(logits)

    # === Config ===
    def get_config(self):
        return {
            "input_width": self.input_width,
            "num_classes": self.num_classes,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "name": self.name,
            "dtype": self._dtype_policy.name,
        }
