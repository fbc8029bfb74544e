"""Head that classifies a sequence by one of its tokens."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Activation, Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ClassificationHead(tf_keras.layers.Layer):
    """Classify each sequence of a batch by its first token.

    Call: `features` `[batch, length, width]` to float32 logits `[batch, num_classes]`. If
    `inner_dim` is 0 or None, the caller has pooled already: `[..., width]` to
    `[..., num_classes]`. With `only_project=True`, return the input of the last layer instead of
    the logits: `[batch, inner_dim]`, in the compute dtype.

    Args:
      inner_dim: width of the dense layer before the last one; 0 or None for no such layer.
      num_classes: number of classes.
      cls_token_idx: position of the token that represents the sequence.
      activation: activation of the dense layer.
      dropout_rate: dropout rate before the last layer, in training.
      initializer: initializer of both kernels.
      first_dropout_rate: dropout rate before the dense layer, in training.

    Raises:
      InputError: `first_dropout_rate` is set, but there is no dense layer.

    Example:
      >>> head = ClassificationHead(inner_dim=256, num_classes=2)
      >>> head(tf.ones([8, 128, 256])).shape
      TensorShape([8, 2])

    Reference: Devlin et al. 2018 section 4.1.
    """

    def __init__(
        self,
        inner_dim: int | None,
        num_classes: int,
        cls_token_idx: int = 0,
        activation: Activation | None = "tanh",
        dropout_rate: float = 0.0,
        initializer: Initializer = "glorot_uniform",
        first_dropout_rate: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if first_dropout_rate and not inner_dim:
            raise InputError(
                f"first_dropout_rate must be 0 if inner_dim is {inner_dim}, was "
                f"{first_dropout_rate}: there is no dense layer to apply it to; use dropout_rate"
            )
        self.inner_dim = inner_dim
        self.num_classes = num_classes
        self.cls_token_idx = cls_token_idx
        self.activation = ops.activation(activation)
        self.dropout_rate = dropout_rate
        self.initializer = tf_keras.initializers.get(initializer)
        self.first_dropout_rate = first_dropout_rate
        self.dense = None
        if inner_dim:
            self.dense = ops.dense(inner_dim, self.initializer, self.dtype_policy, "pooler_dense")
        # Logits are float32 under every policy: half precision would round the loss.
        self.out_proj = ops.dense(num_classes, self.initializer, tf.float32, "logits")

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        if self.dense:
            self.dense.build([None, width])
        self.out_proj.build([None, self.inner_dim or width])
        super().build(input_shape)

    def call(
        self, features: tf.Tensor, only_project: bool = False, training: bool | None = None
    ) -> tf.Tensor:
        x = features
        if self.dense:
            # Dropout, dense, activation, dropout, logits: the order of the head in Hugging Face.
            x = features[:, self.cls_token_idx, :]  # [B, H]
            x = ops.apply_dropout(x, self.first_dropout_rate, training)
            x = self.activation(self.dense(x))  # [B, inner_dim]
        if only_project:
            return x
        return self.out_proj(ops.apply_dropout(x, self.dropout_rate, training))  # [B, num_classes]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inner_dim": self.inner_dim,
            "num_classes": self.num_classes,
            "cls_token_idx": self.cls_token_idx,
            "activation": tf_keras.activations.serialize(self.activation),
            "dropout_rate": self.dropout_rate,
            "initializer": tf_keras.initializers.serialize(self.initializer),
            "first_dropout_rate": self.first_dropout_rate,
        }

    @property
    def checkpoint_items(self) -> dict[str, tf_keras.layers.Layer]:
        """Layers to save in a checkpoint under their own names: the pooler, if there is one."""
        return {self.dense.name: self.dense} if self.dense else {}
