"""Feed-forward network with gates."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import (
    Activation,
    Constraint,
    Initializer,
    Regularizer,
    Shape,
)

_DROPOUT_POSITIONS = ("before_residual", "after_residual")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class GatedFeedforward(tf_keras.layers.Layer):
    """Apply feed-forward blocks whose inner activations are multiplied by linear gates.

    A block maps x to `norm(x + dropout(output(activation(intermediate(x)) * gate(x))))`.

    Call: `[batch, length, width]` to the same shape. LayerNorm computes in float32.

    Args:
      inner_dim: width of the inner layer; tfnlp's older name `intermediate_size` works too.
      inner_activation: activation of the inner layer, a name (`gelu` is exact, `gelu_new` tanh) or
        a callable; tfnlp's older name `intermediate_activation` works too.
      dropout: dropout rate of the output of a block, in training.
      use_gate: whether to use gates; a block without gates is that of the Transformer.
      apply_output_layer_norm: whether a block ends with the residual connection and LayerNorm;
        otherwise it has neither.
      num_blocks: number of blocks.
      dropout_position: `before_residual`, or `after_residual`, which is after LayerNorm.
      kernel_initializer, bias_initializer: initializers of all dense layers.
      kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: regularizers and
        constraints of all dense layers.
      activity_regularizer: regularizer of the outputs of all dense layers.

    Raises:
      InputError: `dropout_position` has another value.

    Example:
      >>> feedforward = GatedFeedforward(inner_dim=64, num_blocks=2)
      >>> feedforward(tf.ones([2, 5, 16])).shape
      TensorShape([2, 5, 16])

    Reference: Shazeer 2020 (GLU Variants Improve Transformer) section 2.
    """

    def __init__(
        self,
        inner_dim: int = 768,
        inner_activation: Activation | None = "gelu",
        dropout: float = 0.0,
        use_gate: bool = True,
        apply_output_layer_norm: bool = True,
        num_blocks: int = 1,
        dropout_position: str = "before_residual",
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Any,
    ):
        inner_dim = kwargs.pop("intermediate_size", inner_dim)
        inner_activation = kwargs.pop("intermediate_activation", inner_activation)
        super().__init__(**kwargs)
        if dropout_position not in _DROPOUT_POSITIONS:
            raise InputError(
                f"dropout_position must be one of {', '.join(_DROPOUT_POSITIONS)}, was "
                f"{dropout_position!r}"
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
        # Not named `activity_regularizer`: by that name Keras would also regularize the output of
        # the whole layer.
        self.dense_activity_regularizer = tf_keras.regularizers.get(activity_regularizer)
        self.kernel_constraint = tf_keras.constraints.get(kernel_constraint)
        self.bias_constraint = tf_keras.constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        width, inner = input_shape[-1], self.inner_dim
        self.intermediate = self._dense_layers("intermediate", width, inner)
        self.gate = self._dense_layers("gate", width, inner) if self.use_gate else []
        self.output_dense = self._dense_layers("output", inner, width)
        self.output_norm = self._norms(width) if self.apply_output_layer_norm else []
        super().build(input_shape)

    def _dense_layers(self, name: str, inputs: int, outputs: int) -> list[tf_keras.layers.Dense]:
        """Return one built dense layer per block."""
        layers = [
            tf_keras.layers.Dense(
                outputs,
                kernel_initializer=ops.copy_initializer(self.kernel_initializer),
                bias_initializer=ops.copy_initializer(self.bias_initializer),
                kernel_regularizer=self.kernel_regularizer,
                bias_regularizer=self.bias_regularizer,
                activity_regularizer=self.dense_activity_regularizer,
                kernel_constraint=self.kernel_constraint,
                bias_constraint=self.bias_constraint,
                dtype=self.dtype_policy,
                name=f"{name}_{i}",
            )
            for i in range(self.num_blocks)
        ]
        for layer in layers:
            layer.build([None, None, inputs])
        return layers

    def _norms(self, width: int) -> list[tf_keras.layers.LayerNormalization]:
        """Return one built LayerNorm per block."""
        norms = [
            tf_keras.layers.LayerNormalization(
                axis=-1, epsilon=1e-12, dtype=tf.float32, name=f"output_layer_norm_{i}"
            )
            for i in range(self.num_blocks)
        ]
        for norm in norms:
            norm.build([None, None, width])
        return norms

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        x = inputs
        with randomness.scope(training=bool(training)):
            for i in range(self.num_blocks):
                x = self._block(i, x, training)
        return x

    def _block(self, i: int, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        inner = self.inner_activation(self.intermediate[i](x))  # [B, L, inner_dim]
        if self.use_gate:
            inner *= self.gate[i](x)  # The gate is linear: the activation is on the other factor.
        output = self.output_dense[i](inner)  # [B, L, H]
        if self.dropout_position == "before_residual":
            output = ops.apply_dropout(output, self.dropout, training)
        if self.apply_output_layer_norm:
            output = self.output_norm[i](output + tf.cast(x, output.dtype))
            # LayerNorm returns float32 under every policy.
            output = tf.cast(output, self.compute_dtype)
        if self.dropout_position == "after_residual":
            output = ops.apply_dropout(output, self.dropout, training)
        return output

    def get_config(self) -> dict[str, Any]:
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
            "activity_regularizer": tf_keras.regularizers.serialize(
                self.dense_activity_regularizer
            ),
            "kernel_constraint": tf_keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": tf_keras.constraints.serialize(self.bias_constraint),
        }
