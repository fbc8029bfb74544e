"""Classification of texts, and regression."""

from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, linear_head_tensors, tensor_names
from official_nlp.modeling.layers.classification_head import ClassificationHead
from official_nlp.modeling.models.electra_for import ElectraFor, check_labels, compare_classes
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor

_REGRESSION = "regression"
_SINGLE_LABEL = "single_label_classification"
_MULTI_LABEL = "multi_label_classification"
_HEADS = ranges.Choice(("dense", "linear"))


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

    The head has two layers, as in Hugging Face: dropout, a dense layer with gelu, dropout, logits.
    With `head="linear"` it has one, as in google-research/electra: dropout and logits, initialized
    as there (Glorot uniform). `save_pretrained` writes the linear head in the form of two layers
    that compute the same logits (`linear_head_tensors`), so that Hugging Face's class loads it;
    here it is loaded with either head.

    Args:
      config: configuration; the head uses `num_labels` or `id2label`, `problem_type` and
        `classifier_dropout`.
      recompute: recompute activations to save memory, see `ElectraEncoder`.
      head: `dense` or `linear`.

    Raises:
      InputError: the labels do not fit the type of problem, `head` has another value, or a linear
        head has more than `hidden_size / 2` labels, which no file could hold.

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

    Reference: Hugging Face's `ElectraForSequenceClassification`; google-research/electra,
    `finetune/classification`.
    """

    hugging_face_class = "ElectraForSequenceClassification"
    _head_options = ("head",)

    def __init__(
        self, config: ElectraConfig, recompute: bool = False, head: str = "dense", **kwargs: Any
    ):
        super().__init__(config, recompute, **kwargs)
        _HEADS.require("head", head)
        self.head = head
        if head == "linear":
            linear_head_tensors.require_room(config.num_labels, config.hidden_size)
        self.classifier = self._linear_head() if head == "linear" else self._dense_head()
        self.classifier.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        if self.head == "linear":
            head = linear_head_tensors.named_tensors("classifier", self.classifier.out_proj)
            return tensor_names.encoder(self.encoder) + head
        return [
            *tensor_names.encoder(self.encoder),
            *tensor_names.dense("classifier.dense", self.classifier.dense),
            *tensor_names.dense("classifier.out_proj", self.classifier.out_proj),
        ]

    def _dense_head(self) -> ClassificationHead:
        return ClassificationHead(
            inner_dim=self.config.hidden_size,
            num_classes=self.config.num_labels,
            activation="gelu",  # Hugging Face's head has it whatever `hidden_act` is.
            dropout_rate=self.config.classifier_rate,
            first_dropout_rate=self.config.classifier_rate,
            initializer=initializers.kernel_initializer(self.config),
            dtype=self.dtype_policy,
            name="classifier",
        )

    def _linear_head(self) -> ClassificationHead:
        return ClassificationHead(
            inner_dim=None,
            num_classes=self.config.num_labels,
            dropout_rate=self.config.classifier_rate,
            dtype=self.dtype_policy,
            name="classifier",
        )

    def _head(self, sequence, inputs, training):
        # A head without a dense layer takes pooled sequences.
        features = sequence[:, 0] if self.head == "linear" else sequence
        return {"logits": self.classifier(features, training=training)}

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
