"""A head that classifies a row by one of its positions."""

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ClassificationHead(tf_keras.layers.Layer):
    """Classifies each row of a batch by its first token.

    Call: `features` `[batch, length, width]` to float32 `[batch, num_classes]`. Where `inner_dim`
    is 0 or None the caller has pooled: `[..., width]` to `[..., num_classes]`.

    Args:
      inner_dim: width of the dense layer before the last; 0 or None for none.
      num_classes: number of outputs.
      cls_token_idx: the position that is classified.
      activation: of the dense layer.
      dropout_rate: share dropped before the last layer, in training.
      initializer: of both kernels.
      first_dropout_rate: share dropped before the dense layer, in training.

    Raises:
      InputError: `first_dropout_rate` without the dense layer.

    Example:
      >>> head = ClassificationHead(inner_dim=256, num_classes=2)
      >>> head(tf.ones([8, 128, 256])).shape
      TensorShape([8, 2])
    """

    def __init__(
        self,
        inner_dim,
        num_classes,
        cls_token_idx=0,
        activation="tanh",
        dropout_rate=0.0,
        initializer="glorot_uniform",
        first_dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if first_dropout_rate and not inner_dim:
            raise InputError(
                f"first_dropout_rate must be 0 where inner_dim is {inner_dim}, was "
                f"{first_dropout_rate}: there is no dense layer to drop before; use dropout_rate"
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
            self.dense = ops.dense(inner_dim, self.initializer, self._dtype_policy, "pooler_dense")
        self.out_proj = ops.dense(num_classes, self.initializer, tf.float32, "logits")

    def build(self, input_shape):
        width = input_shape[-1]
        if self.dense:
            self.dense.build([None, width])
        self.out_proj.build([None, self.inner_dim or width])
        super().build(input_shape)

    def call(self, features, only_project=False, training=None):
        x = features
        if self.dense:
            x = features[:, self.cls_token_idx, :]
            x = ops.apply_dropout(x, self.first_dropout_rate, training)
            x = self.activation(self.dense(x))
        if only_project:
            return x
        return self.out_proj(ops.apply_dropout(x, self.dropout_rate, training))  # [B, num_classes]

    def get_config(self):
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
    def checkpoint_items(self):
        return {self.dense.name: self.dense} if self.dense else {}
