"""A feed-forward network with gates."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops

_POSITIONS = ("before_residual", "after_residual")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class GatedFeedforward(tf_keras.layers.Layer):
    """A stack of feed-forward blocks, whose inner activations are multiplied by linear gates.

    A block maps x to `norm(x + dropout(output(activation(intermediate(x)) * gate(x))))`.

    Call: `[batch, length, width]` to the same shape. LayerNorm computes in float32.

    Args:
      inner_dim: width of the inner layer. tfnlp's older name `intermediate_size` is understood.
      inner_activation: its activation: a name (`gelu` is exact, `gelu_new` tanh) or a callable.
        tfnlp's older name `intermediate_activation` is understood.
      dropout: share of a block's output dropped, in training.
      use_gate: whether there are gates; without them a block is that of the Transformer.
      apply_output_layer_norm: whether a block ends with the residual and LayerNorm; if not it has
        neither.
      num_blocks: number of blocks.
      dropout_position: `before_residual`, or `after_residual`: after LayerNorm.
      kernel_initializer, bias_initializer: of all maps.
      kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: of all maps.
      activity_regularizer: of the outputs of all maps.

    Raises:
      InputError: `dropout_position` is something else.

    Example:
      >>> feedforward = GatedFeedforward(inner_dim=64, num_blocks=2)
      >>> feedforward(tf.ones([2, 5, 16])).shape
      TensorShape([2, 5, 16])

    Reference: Shazeer 2020 (GLU Variants Improve Transformer) section 2.
    """

    def __init__(
        self,
        inner_dim=768,
        inner_activation="gelu",
        dropout=0.0,
        use_gate=True,
        apply_output_layer_norm=True,
        num_blocks=1,
        dropout_position="before_residual",
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        inner_dim = kwargs.pop("intermediate_size", inner_dim)
        inner_activation = kwargs.pop("intermediate_activation", inner_activation)
        super().__init__(**kwargs)
        if dropout_position not in _POSITIONS:
            raise InputError(
                f"dropout_position must be one of {', '.join(_POSITIONS)}, was {dropout_position!r}"
            )
        self.inner_dim = inner_dim
        self.inner_activation = ops.activation(inner_activation)
        self.dropout = dropout
        self.use_gate = use_gate
        self.apply_output_layer_norm = apply_output_layer_norm
        self.num_blocks = num_blocks
        self.dropout_position = dropout_position
        self.kernel_initializer = tf_keras.initializers.get(kernel_initializer)
        self.bias_initializer = tf_keras.initializers.get(bias_initializer)
        self.kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = tf_keras.regularizers.get(bias_regularizer)
        self.map_regularizer = tf_keras.regularizers.get(activity_regularizer)
        self.kernel_constraint = tf_keras.constraints.get(kernel_constraint)
        self.bias_constraint = tf_keras.constraints.get(bias_constraint)

    def build(self, input_shape):
        width, inner = input_shape[-1], self.inner_dim
        self.intermediate = self._maps("intermediate", width, inner)
        self.gate = self._maps("gate", width, inner) if self.use_gate else []
        self.output_dense = self._maps("output", inner, width)
        self.output_norm = self._norms(width) if self.apply_output_layer_norm else []
        super().build(input_shape)

    def _maps(self, name, inputs, outputs):
        """Returns a dense layer for each block."""
        maps = [
            tf_keras.layers.Dense(
                outputs,
                kernel_initializer=ops.copy_initializer(self.kernel_initializer),
                bias_initializer=ops.copy_initializer(self.bias_initializer),
                kernel_regularizer=self.kernel_regularizer,
                bias_regularizer=self.bias_regularizer,
                activity_regularizer=self.map_regularizer,
                kernel_constraint=self.kernel_constraint,
                bias_constraint=self.bias_constraint,
                dtype=self._dtype_policy,
                name=f"{name}_{i}",
            )
            for i in range(self.num_blocks)
        ]
        for dense in maps:
            dense.build([None, None, inputs])
        return maps

    def _norms(self, width):
        """Returns a LayerNorm for each block."""
        norms = [
            tf_keras.layers.LayerNormalization(
                axis=-1, epsilon=1e-12, dtype=tf.float32, name=f"output_layer_norm_{i}"
            )
            for i in range(self.num_blocks)
        ]
        for norm in norms:
            norm.build([None, None, width])
        return norms

    def call(self, inputs, training=None):
        x = inputs
        with randomness.scope(training=bool(training)):
            for i in range(self.num_blocks):
                x = self._block(i, x, training)
        return x

    def _block(self, i, x, training):
        inner = self.inner_activation(self.intermediate[i](x))  # [B, L, inner]
        if self.use_gate:
            inner *= self.gate[i](x)
        output = self.output_dense[i](inner)  # [B, L, H]
        if self.dropout_position == "before_residual":
            output = ops.apply_dropout(output, self.dropout, training)
        if self.apply_output_layer_norm:
            output = self.output_norm[i](output + tf.cast(x, output.dtype))
            output = tf.cast(output, self.compute_dtype)
        if self.dropout_position == "after_residual":
            output = ops.apply_dropout(output, self.dropout, training)
        return output

    def get_config(self):
        return {
            **super().get_config(),
            "inner_dim": self.inner_dim,
            "inner_activation": tf_keras.activations.serialize(self.inner_activation),
            "dropout": self.dropout,
            "use_gate": self.use_gate,
            "apply_output_layer_norm": self.apply_output_layer_norm,
            "num_blocks": self.num_blocks,
            "dropout_position": self.dropout_position,
            "kernel_initializer": tf_keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": tf_keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": tf_keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": tf_keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": tf_keras.regularizers.serialize(self.map_regularizer),
            "kernel_constraint": tf_keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": tf_keras.constraints.serialize(self.bias_constraint),
        }
