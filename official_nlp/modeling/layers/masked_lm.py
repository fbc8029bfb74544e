"""The head of the generator."""

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MaskedLM(tf_keras.layers.Layer):
    """Scores every token of the vocabulary at some positions of a sequence.

    Gathers the positions, maps them to the width of the embeddings, applies the activation and
    LayerNorm, multiplies with the embedding table and adds a bias. The product with the
    vocabulary is made at the given positions only.

    Call: `sequence_data` `[batch, length, width]` and `masked_positions` integer
    `[batch, predictions]` (None: all positions) to float32 `[batch, predictions, vocab_size]`.

    Args:
      embedding_table: what the product is tied to: an `OnDeviceEmbedding`, or the variable
        `[vocab_size, embedding_width]` of another layer. Only the former can be serialized, and
        is copied by it, not tied: who owns both layers ties them again.
      activation: after the dense map; None is linear.
      initializer: of the dense kernel.
      output: `logits`, or `predictions` for log-probabilities.
      norm_epsilon: added to the variance.

    Raises:
      InputError: `output` is something else.
      NotImplementedError: `get_config` with a variable for a table.

    Example:
      >>> table = OnDeviceEmbedding(vocab_size=100, embedding_width=16)
      >>> head = MaskedLM(table, activation="gelu")
      >>> head(tf.ones([2, 8, 32]), masked_positions=tf.constant([[1, 3, 6], [2, 4, 0]])).shape
      TensorShape([2, 3, 100])

    Reference: paper section 2; Devlin et al. 2018 section 3.1.
    """

    def __init__(
        self,
        embedding_table,
        activation=None,
        initializer="glorot_uniform",
        output="logits",
        name=None,
        norm_epsilon=1e-12,
        **kwargs,
    ):
        super().__init__(name=name, autocast=False, **kwargs)
        # The policy is the dense map's; what follows, table and bias too, is float32 under each.
        self._dense_policy = self._dtype_policy
        self._set_dtype_policy("float32")
        ops.check_output(output)
        self.embedding_table = embedding_table
        self.activation = ops.activation(activation)
        self.initializer = tf_keras.initializers.get(initializer)
        self.output_type = output
        self.norm_epsilon = norm_epsilon
        if isinstance(embedding_table, tf_keras.layers.Layer) and not embedding_table.built:
            embedding_table.build(None)

    @property
    def table(self):
        """The variable `[vocab_size, embedding_width]`."""
        is_layer = isinstance(self.embedding_table, tf_keras.layers.Layer)
        return self.embedding_table.embeddings if is_layer else self.embedding_table

    def build(self, input_shape):
        vocab_size, width = self.table.shape
        self.dense = tf_keras.layers.Dense(
            width, kernel_initializer=self.initializer, dtype=self._dense_policy, name="dense"
        )
        self.dense.build([None, None, input_shape[-1]])
        self.layer_norm = tf_keras.layers.LayerNormalization(
            axis=-1, epsilon=self.norm_epsilon, dtype=tf.float32, name="layer_norm"
        )
        self.layer_norm.build([None, None, width])
        self.bias = self.add_weight(
            "output_bias", shape=[vocab_size], initializer="zeros", dtype=tf.float32
        )
        super().build(input_shape)

    def call(self, sequence_data, masked_positions=None):
        hidden = sequence_data
        if masked_positions is not None:
            hidden = ops.gather_positions(sequence_data, masked_positions)  # [B, P, H]
        hidden = self.layer_norm(self.activation(self.dense(hidden)))  # [B, P, E]
        *rows, width = ops.shape_list(hidden)
        # Of a product in three dimensions the gradient would be a table for each row of the batch.
        hidden = tf.reshape(hidden, [-1, width])
        logits = tf.matmul(hidden, self.table, transpose_b=True) + self.bias  # [B * P, V]
        logits = tf.reshape(logits, tf.stack([*rows, self.table.shape[0]]))  # [B, P, V]
        return logits if self.output_type == "logits" else tf.nn.log_softmax(logits)

    def get_config(self):
        if not isinstance(self.embedding_table, tf_keras.layers.Layer):
            raise NotImplementedError(
                "a MaskedLM tied to a variable cannot be serialized, as the variable belongs to "
                "another layer; give that layer (OnDeviceEmbedding) as embedding_table"
            )
        return {
            **super().get_config(),
            "dtype": self._dense_policy.name,
            "embedding_table": tf_keras.saving.serialize_keras_object(self.embedding_table),
            "activation": tf_keras.activations.serialize(self.activation),
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "norm_epsilon": self.norm_epsilon,
        }

    @classmethod
    def from_config(cls, config):
        table = config["embedding_table"]
        if isinstance(table, dict):
            table = tf_keras.saving.deserialize_keras_object(table)
        return cls(**{**config, "embedding_table": table})
