"""Head that scores the choices of a question."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops
from official_nlp.modeling.keras_types import Activation, Initializer, Shape, Size

_SUMMARY_TYPES = ("first", "last", "mean", "cls_index")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultipleChoiceHead(tf_keras.layers.Layer):
    """Score each choice of a question by a summary vector of its sequence.

    Call: `features` `[batch, choices, length, width]`, or `[batch * choices, length, width]` with
    the integer `num_choices`, to float32 logits `[batch, choices]`. `cls_index`, integer
    `[batch, choices]` or `[batch * choices]` like the features, is the position of the summary
    token if `summary_type` is `cls_index`; without it the last token is used. `last` and `mean`
    include padding, as in Hugging Face.

    Args:
      summary_type: which vector summarizes a sequence: the `first` or `last` token, the `mean` of
        all, or the token at `cls_index`.
      summary_use_proj: whether a dense layer, as wide as the input, transforms the summary.
      summary_activation: activation of the summary, a Hugging Face name or a callable; None for
        the identity.
      summary_first_dropout: dropout rate before the dense layer, in training.
      summary_last_dropout: dropout rate after the activation, in training.
      initializer: initializer of both kernels.

    Raises:
      InputError: `summary_type` has another value, `features` has three axes but `num_choices` is
        missing, or `cls_index` is given but `summary_type` does not use it.

    Example:
      >>> head = MultipleChoiceHead()
      >>> head(tf.ones([2, 4, 8, 32])).shape  # two questions of four choices
      TensorShape([2, 4])

    Reference: Hugging Face's ElectraForMultipleChoice, whose configuration has these names.
    """

    def __init__(
        self,
        summary_type: str = "first",
        summary_use_proj: bool = True,
        summary_activation: Activation | None = "gelu",
        summary_first_dropout: float = 0.0,
        summary_last_dropout: float = 0.1,
        initializer: Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if summary_type not in _SUMMARY_TYPES:
            raise InputError(
                f"summary_type must be one of {', '.join(_SUMMARY_TYPES)}, was {summary_type!r}"
            )
        self.summary_type = summary_type
        self.summary_use_proj = summary_use_proj
        self.summary_activation = ops.activation(summary_activation)
        self.summary_first_dropout = summary_first_dropout
        self.summary_last_dropout = summary_last_dropout
        self.initializer = tf_keras.initializers.get(initializer)

    def build(self, input_shape: Shape) -> None:
        width = input_shape[-1]
        self.dense = None
        if self.summary_use_proj:
            self.dense = ops.dense(width, self.initializer, self.dtype_policy, "summary")
            self.dense.build([None, width])
        self.out_proj = ops.dense(1, self.initializer, tf.float32, "logits")
        self.out_proj.build([None, width])
        super().build(input_shape)

    def call(
        self,
        features: tf.Tensor,
        num_choices: Size | None = None,
        cls_index: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        if len(features.shape) == 3 and num_choices is None:
            raise InputError(
                f"features must be [batch, choices, length, width], were {features.shape}; give "
                "num_choices if the first axis counts the choices of all questions"
            )
        *leading, _, width = ops.shape_list(features)
        num_choices = leading[1] if num_choices is None else num_choices
        # Questions are the first axis before dropout, which numbers examples along that axis: a
        # question then has the same mask however many questions the batch holds.
        summary = tf.reshape(
            self._summary(features, cls_index), tf.stack([-1, num_choices, width])
        )  # [B, C, H]
        summary = ops.apply_dropout(summary, self.summary_first_dropout, training)
        if self.dense:
            summary = self.dense(summary)
        summary = self.summary_activation(summary)
        summary = ops.apply_dropout(summary, self.summary_last_dropout, training)
        return self.out_proj(summary)[..., 0]  # [B, C]

    def _summary(self, features: tf.Tensor, cls_index: tf.Tensor | None) -> tf.Tensor:
        """Return the summary vectors: `features` without the length axis."""
        if cls_index is not None and self.summary_type != "cls_index":
            raise InputError(
                f"cls_index must be None with summary_type={self.summary_type!r}, was given; build "
                "the head with summary_type='cls_index' to use it"
            )
        # `features` may have the axis of choices or not, so axes are counted from the end.
        if self.summary_type == "first":
            return features[..., 0, :]
        if self.summary_type == "mean":
            return tf.reduce_mean(features, axis=-2)
        if cls_index is None:  # "last", or "cls_index" without an index
            return features[..., -1, :]
        return tf.gather(features, cls_index, axis=-2, batch_dims=len(features.shape) - 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "summary_type": self.summary_type,
            "summary_use_proj": self.summary_use_proj,
            "summary_activation": tf_keras.activations.serialize(self.summary_activation),
            "summary_first_dropout": self.summary_first_dropout,
            "summary_last_dropout": self.summary_last_dropout,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
