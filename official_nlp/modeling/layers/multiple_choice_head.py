"""A head that scores the choices of a question."""

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import ops

_SUMMARIES = ("first", "last", "mean", "cls_index")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class MultipleChoiceHead(tf_keras.layers.Layer):
    """Scores each choice by a summary of its row: one vector, a dense layer, one number.

    Call: `features` `[batch, choices, length, width]`, or `[batch * choices, length, width]` with
    the integer `num_choices`, to float32 logits `[batch, choices]`. `cls_index`, integer
    `[batch, choices]` or `[batch * choices]` as the features are, says which token to take where
    `summary_type` is `cls_index`; without it the last. In `last` and `mean` padding counts, as it
    does in Hugging Face.

    Args:
      summary_type: `first` or `last` token, `mean` of all, or the one at `cls_index`.
      summary_use_proj: whether there is the dense layer, as wide as the input.
      summary_activation: after it: a name as Hugging Face means it, or a callable; None is linear.
      summary_first_dropout: share dropped before the dense layer, in training.
      summary_last_dropout: share dropped after the activation, in training.
      initializer: of both kernels.

    Raises:
      InputError: another `summary_type`; three axes without `num_choices`; or `cls_index` where
        `summary_type` has no use for it.

    Example:
      >>> head = MultipleChoiceHead()
      >>> head(tf.ones([2, 4, 8, 32])).shape  # two questions of four choices
      TensorShape([2, 4])

    Reference: Hugging Face's ElectraForMultipleChoice, whose configuration has these names.
    """

    def __init__(
        self,
        summary_type="first",
        summary_use_proj=True,
        summary_activation="gelu",
        summary_first_dropout=0.0,
        summary_last_dropout=0.1,
        initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if summary_type not in _SUMMARIES:
            raise InputError(
                f"summary_type must be one of {', '.join(_SUMMARIES)}, was {summary_type!r}"
            )
        self.summary_type = summary_type
        self.summary_use_proj = summary_use_proj
        self.summary_activation = ops.activation(summary_activation)
        self.summary_first_dropout = summary_first_dropout
        self.summary_last_dropout = summary_last_dropout
        self.initializer = tf_keras.initializers.get(initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        self.dense = None
        if self.summary_use_proj:
            self.dense = ops.dense(width, self.initializer, self._dtype_policy, "summary")
            self.dense.build([None, width])
        self.out_proj = ops.dense(1, self.initializer, tf.float32, "logits")
        self.out_proj.build([None, width])
        super().build(input_shape)

    def call(self, features, num_choices=None, cls_index=None, training=None):
        if len(features.shape) == 3 and num_choices is None:
            raise InputError(
                f"features must be [batch, choices, length, width], were {features.shape}; give "
                "num_choices if the first axis counts the choices of all questions"
            )
        *rows, _, width = ops.shape_list(features)
        num_choices = rows[1] if num_choices is None else num_choices
        # Questions stay the first axis: dropout numbers the rows of a batch along it.
        summary = tf.reshape(
            self._summary(features, cls_index), tf.stack([-1, num_choices, width])
        )  # [B, C, H]
        summary = ops.apply_dropout(summary, self.summary_first_dropout, training)
        if self.dense:
            summary = self.dense(summary)
        summary = self.summary_activation(summary)
        summary = ops.apply_dropout(summary, self.summary_last_dropout, training)
        return self.out_proj(summary)[..., 0]  # [B, C]

    def _summary(self, features, cls_index):
        if cls_index is not None and self.summary_type != "cls_index":
            raise InputError(
                f"cls_index must be None with summary_type={self.summary_type!r}, was given; build "
                "the head with summary_type='cls_index' to use it"
            )
        if self.summary_type == "first":
            return features[..., 0, :]
        if self.summary_type == "mean":
            return tf.reduce_mean(features, axis=-2)
        if cls_index is None:
            return features[..., -1, :]
        return tf.gather(features, cls_index, axis=-2, batch_dims=len(features.shape) - 2)

    def get_config(self):
        return {
            **super().get_config(),
            "summary_type": self.summary_type,
            "summary_use_proj": self.summary_use_proj,
            "summary_activation": tf_keras.activations.serialize(self.summary_activation),
            "summary_first_dropout": self.summary_first_dropout,
            "summary_last_dropout": self.summary_last_dropout,
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }
