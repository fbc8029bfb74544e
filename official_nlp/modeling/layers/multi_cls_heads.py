"""Several sequence classifiers that share their first layer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Activation, Initializer, Shape


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultiClsHeads(tf_keras.layers.Layer):
    """Classify each sequence of a batch in several ways, all from one vector.

    Call: `features` `[batch, length, width]` to a dict of float32 logits `[batch, classes]` by
    name. If `inner_dim` is 0 or None, the caller has pooled already: `features` is
    `[..., width]`. With `only_project=True`, return the shared vector, `[batch, inner_dim]`.

    Args:
      inner_dim: width of the shared dense layer; 0 or None for no such layer.
      cls_list: pairs (name of a classification, number of its classes).
      cls_token_idx: position of the token that represents the sequence.
      activation: activation of the shared layer.
      dropout_rate: dropout rate before the last layers, in training.
      initializer: initializer of all kernels.

    Raises:
      InputError: `cls_list` is empty or repeats a name.

    Example:
      >>> heads = MultiClsHeads(inner_dim=16, cls_list=[("topic", 5), ("polite", 2)])
      >>> outputs = heads(tf.ones([2, 8, 32]))
      >>> outputs["topic"].shape, outputs["polite"].shape
      (TensorShape([2, 5]), TensorShape([2, 2]))
    """

    def __init__(
        self,
        inner_dim: int | None,
        cls_list: Sequence[tuple[str, int]],
        cls_token_idx: int = 0,
        activation: Activation | None = "tanh",
        dropout_rate: float = 0.0,
        initializer: Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        names = [name for name, _ in cls_list]
        if not names or len(set(names)) < len(names):
            raise InputError(
                "cls_list must be pairs (name, number of classes) with different names, was "
                f"{cls_list!r}"
            )
        self.inner_dim = inner_dim
        self.cls_list = [tuple(pair) for pair in cls_list]
        self.cls_token_idx = cls_token_idx
        self.activation = ops.activation(activation)
        self.dropout_rate = dropout_rate
        self.initializer = tf_keras.initializers.get(initializer)
        self.dense = None
        if inner_dim:
            self.dense = ops.dense(inner_dim, self.initializer, self.dtype_policy, "pooler_dense")
        self.out_projs = [
            ops.dense(classes, self.initializer, tf.float32, name) for name, classes in cls_list
        ]  # Each layer has the name of its classification, which `call` uses as the key.

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        if self.dense:
            self.dense.build([None, width])
        for projection in self.out_projs:
            projection.build([None, self.inner_dim or width])
        super().build(input_shape)

    def call(
        self, features: tf.Tensor, only_project: bool = False, training: bool | None = None
    ) -> dict[str, tf.Tensor] | tf.Tensor:
        x = features
        if self.dense:
            x = self.activation(self.dense(features[:, self.cls_token_idx, :]))  # [B, inner_dim]
        if only_project:
            return x
        # All heads share one mask, because they share the vector.
        x = ops.apply_dropout(x, self.dropout_rate, training)
        return {projection.name: projection(x) for projection in self.out_projs}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inner_dim": self.inner_dim,
            "cls_list": [list(pair) for pair in self.cls_list],
            "cls_token_idx": self.cls_token_idx,
            "activation": tf_keras.activations.serialize(self.activation),
            "dropout_rate": self.dropout_rate,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }

    @property
    def checkpoint_items(self) -> dict[str, tf_keras.layers.Layer]:
        """Layers to save in a checkpoint, each under its own name."""
        parts = [self.dense, *self.out_projs] if self.dense else self.out_projs
        return {part.name: part for part in parts}
