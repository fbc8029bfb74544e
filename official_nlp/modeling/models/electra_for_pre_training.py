"""The discriminator as a model of its own."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.modeling import initializers, ops, tensor_names
from official_nlp.modeling.models.electra_for import (
    ElectraFor,
    check_labels,
    token_label_weights,
)
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForPreTraining(ElectraFor):
    """The discriminator: predicts for each token whether it was replaced.

    Call: see `ElectraFor`. `labels` are integer `[batch, length]`, 1 where a token was replaced;
    `logits` are `[batch, length]`, above 0 at tokens predicted as replaced. The loss is the mean
    binary cross-entropy over all tokens that are not padding.

    Metrics of `fit` receive `[batch, length, 1]`, so that
    `tf_keras.metrics.BinaryAccuracy(threshold=0.0)` counts every token.

    Args:
      config: configuration; the head uses `hidden_act` as well.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Example:
      >>> model = ElectraForPreTraining(ElectraConfig(vocab_size=100, num_hidden_layers=2))
      >>> ids = tf.constant([[2, 5, 6, 3]])
      >>> model(input_ids=ids, labels=tf.constant([[0, 1, 0, 0]]))["logits"].shape
      TensorShape([1, 4])

    Reference: paper section 2; Hugging Face's `ElectraForPreTraining`.
    """

    hugging_face_class = "ElectraForPreTraining"

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        initializer = initializers.kernel_initializer(config)
        self.activation = ops.activation(config.hidden_act)
        self.dense = ops.dense(config.hidden_size, initializer, self.dtype_policy, "dense")
        self.dense_prediction = ops.dense(1, initializer, tf.float32, "dense_prediction")
        for dense in (self.dense, self.dense_prediction):
            dense.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        head = "discriminator_predictions"
        return [
            *tensor_names.encoder(self.encoder),
            *tensor_names.dense(f"{head}.dense", self.dense),
            *tensor_names.dense(f"{head}.dense_prediction", self.dense_prediction),
        ]

    def _head(self, sequence, inputs, training):
        hidden = self.activation(self.dense(sequence))
        return {"logits": self.dense_prediction(hidden)[..., 0]}

    def _comparisons(self, outputs, labels, inputs):
        labels, logits = tf.convert_to_tensor(labels["labels"]), outputs["logits"]
        check_labels(labels, logits.shape)
        weights = token_label_weights(labels, inputs)
        # The last axis, of size 1, keeps the metrics of Keras from taking the mean over a sequence
        # before they apply the weights [B, L].
        return {"logits": (labels[..., tf.newaxis], logits[..., tf.newaxis], weights)}

    def _element_losses(self, target, prediction):
        target = tf.cast(target, tf.float32)
        return tf.nn.sigmoid_cross_entropy_with_logits(target, prediction)[..., 0]
