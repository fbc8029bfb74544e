"""A classifier, or regression, of rows."""

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import initializers, tensor_names
from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.models.electra_for import ElectraFor, check_labels, ignoring
from official_nlp.modeling.networks.electra_config import ElectraConfig

_REGRESSION = "regression"
_SINGLE_LABEL = "single_label_classification"
_MULTI_LABEL = "multi_label_classification"


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForSequenceClassification(ElectraFor):
    """Classifies a row, or gives it numbers, by its first token: sentiment, entailment, similarity.

    Call: see `ElectraFor`. `logits` are `[batch, num_labels]`. What `labels` are and what the loss
    is depends on `config.problem_type`:
      `single_label_classification`: integers `[batch]`; cross-entropy; -100 does not count.
      `multi_label_classification`: `[batch, num_labels]`, 0 to 1; binary cross-entropy, the mean
        of all outputs.
      `regression`: `[batch]` for one output, or `[batch, num_labels]`; mean squared difference.
    Where it is None each call sees it by the labels: a model of one output is a regression; of
    several outputs integers are single labels, others multiple.

    Args:
      config: an `ElectraConfig`; `num_labels` or `id2label`, `problem_type` and
        `classifier_dropout` are of this model.
      recompute: compute activations twice to hold fewer, see `ElectraEncoder`.

    Raises:
      InputError: labels that do not fit the problem.

    Example:
      >>> names = {0: "negative", 1: "neutral", 2: "positive"}
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2, id2label=names)
      >>> model = ElectraForSequenceClassification(config)
      >>> rows = tf.constant([[2, 5, 6, 3], [2, 7, 8, 3]])
      >>> outputs = model(input_ids=rows, labels=tf.constant([0, 2]))
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([2, 3]), TensorShape([]))
      >>> said = [model.config.id2label[i] for i in tf.argmax(outputs["logits"], -1).numpy()]
      >>> set(said) <= {"negative", "neutral", "positive"}
      True

    Reference: Hugging Face's `ElectraForSequenceClassification`.
    """

    hugging_face_class = "ElectraForSequenceClassification"

    def __init__(self, config: ElectraConfig, recompute=False, **kwargs):
        super().__init__(config, recompute, **kwargs)
        self.classifier = ClassificationHead(
            inner_dim=config.hidden_size,
            num_classes=config.num_labels,
            activation="gelu",  # whatever `hidden_act` is
            dropout_rate=config.classifier_rate,
            first_dropout_rate=config.classifier_rate,
            initializer=initializers.kernel_initializer(config),
            dtype=self._dtype_policy,
            name="classifier",
        )
        self.classifier.build([None, None, config.hidden_size])

    def named_tensors(self):
        return [
            *tensor_names.encoder(self.encoder),
            *tensor_names.dense("classifier.dense", self.classifier.dense),
            *tensor_names.dense("classifier.out_proj", self.classifier.out_proj),
        ]

    def _head(self, sequence, inputs, training):
        return {"logits": self.classifier(sequence, training=training)}

    # === Loss ===
    def _scored(self, outputs, labels, inputs):
        labels, logits = tf.convert_to_tensor(labels["labels"]), outputs["logits"]
        if self._problem_type(labels.dtype) == _SINGLE_LABEL:
            return {"logits": ignoring(_classes(labels), logits)}
        labels = tf.cast(labels, tf.float32)
        if logits.shape[-1] == 1:
            labels = tf.reshape(labels, [-1, 1])
        check_labels(labels, logits.shape)
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

    def _problem_type(self, labels_dtype) -> str:
        if self.config.problem_type is not None:
            return self.config.problem_type
        if self.config.num_labels == 1:
            return _REGRESSION
        return _SINGLE_LABEL if labels_dtype.is_integer else _MULTI_LABEL


def _classes(labels) -> tf.Tensor:
    """Returns integer `[batch]`; an axis of 1 may follow."""
    if not labels.dtype.is_integer:
        raise InputError(
            f"labels of problem_type={_SINGLE_LABEL!r} must be integers, the numbers of the "
            f"classes, were {labels.dtype.name}; give integers, or a configuration with "
            f"problem_type={_MULTI_LABEL!r} or {_REGRESSION!r}"
        )
    return labels[:, 0] if labels.shape.rank == 2 and labels.shape[1] == 1 else labels
