"""Output head of the generator."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Activation, Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MaskedLM(tf_keras.layers.Layer):
    """Score every token of the vocabulary at the masked positions of a sequence.

    The head gathers the hidden states of these positions, transforms them to the width of the
    embeddings (dense layer, activation, LayerNorm), multiplies by the transposed embedding table
    and adds a bias. Gathering comes first, so that the product over the vocabulary, the most
    expensive one of the model, is computed at the masked positions only.

    Call: `sequence_data` `[batch, length, width]` and `masked_positions` integer
    `[batch, predictions]`, None for all positions, to float32 `[batch, predictions, vocab_size]`.

    Args:
      embedding_table: table to which the output weights are tied: an `OnDeviceEmbedding`, or the
        variable `[vocab_size, embedding_width]` of another layer. Only an `OnDeviceEmbedding` can
        be serialized. Deserializing makes a copy of it, which the model that owns both layers ties
        again.
      activation: activation of the dense layer; None for the identity.
      initializer: initializer of the dense layer's kernel.
      output: `logits`, or `predictions` for log-probabilities.
      norm_epsilon: number added to the variance in LayerNorm.

    Raises:
      InputError: `output` has another value.
      NotImplementedError: `get_config` of a head that is tied to a variable.

    Example:
      >>> table = OnDeviceEmbedding(vocab_size=100, embedding_width=16)
      >>> head = MaskedLM(table, activation="gelu")
      >>> head(tf.ones([2, 8, 32]), masked_positions=tf.constant([[1, 3, 6], [2, 4, 0]])).shape
      TensorShape([2, 3, 100])

    Reference: paper section 2; Devlin et al. 2018 section 3.1.
    """

    def __init__(
        self,
        embedding_table: tf_keras.layers.Layer | tf.Variable,
        activation: Activation | None = None,
        initializer: Initializer = "glorot_uniform",
        output: str = "logits",
        name: str | None = None,
        norm_epsilon: float = 1e-12,
        **kwargs: Any,
    ):
        # `dtype` is the policy of the dense layer. What follows it is float32 under every policy:
        # LayerNorm, the product with the table (a variable in float32) and the bias.
        dense_policy = kwargs.pop("dtype", None)
        # Without autocast the hidden states reach the dense layer in their own dtype.
        super().__init__(name=name, autocast=False, dtype="float32", **kwargs)
        ops.check_output(output)
        self.embedding_table = embedding_table
        self.activation = ops.activation(activation)
        self.initializer = tf_keras.initializers.get(initializer)
        self.output_type = output
        self.norm_epsilon = norm_epsilon
        # The width of the dense layer is that of the table, which therefore has to exist.
        if isinstance(embedding_table, tf_keras.layers.Layer) and not embedding_table.built:
            embedding_table.build(None)
        self.dense = tf_keras.layers.Dense(
            self.table.shape[1],
            kernel_initializer=self.initializer,
            dtype=dense_policy,
            name="dense",
        )
        self.layer_norm = tf_keras.layers.LayerNormalization(
            axis=-1, epsilon=norm_epsilon, dtype=tf.float32, name="layer_norm"
        )

    @property
    def table(self) -> tf.Variable:
        """The tied table, a variable `[vocab_size, embedding_width]`."""
        is_layer = isinstance(self.embedding_table, tf_keras.layers.Layer)
        return self.embedding_table.embeddings if is_layer else self.embedding_table

    def build(self, input_shape: Shape) -> None:
        vocab_size, width = self.table.shape
        self.dense.build([None, None, input_shape[-1]])
        self.layer_norm.build([None, None, width])
        self.bias = self.add_weight(
            "output_bias", shape=[vocab_size], initializer="zeros", dtype=tf.float32
        )
        super().build(input_shape)

    def call(
        self, sequence_data: tf.Tensor, masked_positions: tf.Tensor | None = None
    ) -> tf.Tensor:
        hidden = sequence_data
        if masked_positions is not None:
            hidden = ops.gather_positions(sequence_data, masked_positions)  # [B, P, H]
        hidden = self.layer_norm(self.activation(self.dense(hidden)))  # [B, P, E]
        *batch_and_slots, width = ops.shape_list(hidden)
        # A batched product would give the table a gradient per sequence, [B, V, E], before they
        # are summed. Flattened to one matrix there is a single gradient.
        hidden = tf.reshape(hidden, [-1, width])
        logits = tf.matmul(hidden, self.table, transpose_b=True) + self.bias  # [B * P, V]
        vocab_size = self.table.shape[0]
        logits = tf.reshape(logits, tf.stack([*batch_and_slots, vocab_size]))  # [B, P, V]
        return logits if self.output_type == "logits" else tf.nn.log_softmax(logits)

    def get_config(self) -> dict[str, Any]:
        if not isinstance(self.embedding_table, tf_keras.layers.Layer):
            raise NotImplementedError(
                "a MaskedLM tied to a variable cannot be serialized, because the variable belongs "
                "to another layer; pass that layer (OnDeviceEmbedding) as embedding_table"
            )
        return {
            **super().get_config(),
            # The argument `dtype` is the policy of the dense layer, see the constructor.
            "dtype": self.dense.dtype_policy.name,
            "embedding_table": tf_keras.saving.serialize_keras_object(self.embedding_table),
            "activation": tf_keras.activations.serialize(self.activation),
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "output": self.output_type,
            "norm_epsilon": self.norm_epsilon,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaskedLM":
        """Build the head with a copy of its table.

        Args:
          config: what `get_config` returned, or the same with the layer `embedding_table` itself.
        """
        table = config["embedding_table"]
        if isinstance(table, dict):
            table = tf_keras.saving.deserialize_keras_object(table)
        return cls(**{**config, "embedding_table": table})
