"""Classification of texts, and regression."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import initializers, tensor_names
from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.models.electra_for import ElectraFor, check_labels, compare_classes
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor

_REGRESSION = "regression"
_SINGLE_LABEL = "single_label_classification"
_MULTI_LABEL = "multi_label_classification"


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForSequenceClassification(ElectraFor):
    """Predict classes or numbers for a text from its first token: sentiment, entailment, ...

    Call: see `ElectraFor`. `logits` are `[batch, num_labels]`. Labels and loss depend on
    `config.problem_type`:
      `single_label_classification`: integers `[batch]`; cross-entropy; -100 is ignored.
      `multi_label_classification`: `[batch, num_labels]`, 0 to 1; binary cross-entropy, the mean
        over all outputs.
      `regression`: `[batch]` for one output, or `[batch, num_labels]`; mean squared difference.
    If it is None, the labels decide in each call: one output is a regression; with several outputs,
    integers are single labels and others are multiple labels.

    Args:
      config: configuration; the head uses `num_labels` or `id2label`, `problem_type` and
        `classifier_dropout`.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Raises:
      InputError: the labels do not fit the type of problem.

    Example:
      >>> names = {0: "negative", 1: "neutral", 2: "positive"}
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2, id2label=names)
      >>> model = ElectraForSequenceClassification(config)
      >>> ids = tf.constant([[2, 5, 6, 3], [2, 7, 8, 3]])
      >>> outputs = model(input_ids=ids, labels=tf.constant([0, 2]))
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([2, 3]), TensorShape([]))
      >>> predicted = [model.config.id2label[i] for i in tf.argmax(outputs["logits"], -1).numpy()]
      >>> set(predicted) <= {"negative", "neutral", "positive"}
      True

    Reference: Hugging Face's `ElectraForSequenceClassification`.
    """

    hugging_face_class = "ElectraForSequenceClassification"

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        self.classifier = ClassificationHead(
            inner_dim=config.hidden_size,
            num_classes=config.num_labels,
            activation="gelu",  # Hugging Face's head has it whatever `hidden_act` is.
            dropout_rate=config.classifier_rate,
            first_dropout_rate=config.classifier_rate,
            initializer=initializers.kernel_initializer(config),
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.classifier.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        return [
            *tensor_names.encoder(self.encoder),
            *tensor_names.dense("classifier.dense", self.classifier.dense),
            *tensor_names.dense("classifier.out_proj", self.classifier.out_proj),
        ]

    def _head(self, sequence, inputs, training):
        return {"logits": self.classifier(sequence, training=training)}

    # === Loss ===

    def _comparisons(self, outputs, labels, inputs):
        labels, logits = tf.convert_to_tensor(labels["labels"]), outputs["logits"]
        if self._problem_type(labels.dtype) == _SINGLE_LABEL:
            return {"logits": compare_classes(_classes(labels), logits)}
        labels = tf.cast(labels, tf.float32)
        if logits.shape[-1] == 1:
            labels = tf.reshape(labels, [-1, 1])
        check_labels(labels, logits.shape)
        # Every example has the weight 1: no number means an ignored label here.
        return {"logits": (labels, logits, tf.ones_like(logits[:, 0]))}

    def _element_losses(self, target, prediction):
        problem_type = self._problem_type(target.dtype)
        if problem_type == _SINGLE_LABEL:
            return super()._element_losses(target, prediction)
        if problem_type == _MULTI_LABEL:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(target, prediction)
        else:
            losses = tf.math.squared_difference(prediction, target)
        return tf.reduce_mean(losses, axis=-1)

    def _problem_type(self, labels_dtype: tf.DType) -> str:
        if self.config.problem_type is not None:
            return self.config.problem_type
        if self.config.num_labels == 1:
            return _REGRESSION
        return _SINGLE_LABEL if labels_dtype.is_integer else _MULTI_LABEL


def _classes(labels: tf.Tensor) -> tf.Tensor:
    """Return integer labels as `[batch]`; they may be `[batch, 1]`."""
    if not labels.dtype.is_integer:
        raise InputError(
            f"labels of problem_type={_SINGLE_LABEL!r} must be integers, numbers of "
            f"classes, were {labels.dtype.name}; give integers, or a configuration with "
            f"problem_type={_MULTI_LABEL!r} or {_REGRESSION!r}"
        )
    return labels[:, 0] if labels.shape.rank == 2 and labels.shape[1] == 1 else labels
