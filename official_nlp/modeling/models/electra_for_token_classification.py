"""Classification of tokens."""

from typing import Any

import tf_keras

from official_nlp.modeling import initializers, tensor_names
from official_nlp.modeling.layers.token_classification_head import TokenClassificationHead
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForTokenClassification(ElectraFor):
    """Predict a class for every token: named entities, parts of speech.

    Call: see `ElectraFor`. `logits` are `[batch, length, num_labels]`; `labels` integer
    `[batch, length]`, -100 at tokens that are ignored, such as padding and all but the first piece
    of a word. The loss is the mean cross-entropy over the labels that are not ignored.

    Args:
      config: configuration; the head uses `num_labels` or `id2label`, and `classifier_dropout`.
      recompute: recompute activations to save memory, see `ElectraEncoder`.

    Example:
      >>> names = {0: "O", 1: "B-PER", 2: "I-PER"}
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2, id2label=names)
      >>> model = ElectraForTokenClassification(config)
      >>> labels = tf.constant([[-100, 1, 2, -100]])
      >>> outputs = model(input_ids=tf.constant([[2, 5, 6, 3]]), labels=labels)
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([1, 4, 3]), TensorShape([]))
      >>> model.config.label2id["I-PER"]
      2

    Reference: Hugging Face's `ElectraForTokenClassification`.
    """

    hugging_face_class = "ElectraForTokenClassification"

    def __init__(self, config: ElectraConfig, recompute: bool = False, **kwargs: Any):
        super().__init__(config, recompute, **kwargs)
        self.classifier = TokenClassificationHead(
            num_classes=config.num_labels,
            dropout_rate=config.classifier_rate,
            initializer=initializers.kernel_initializer(config),
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.classifier.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        classifier = tensor_names.dense("classifier", self.classifier.out_proj)
        return tensor_names.encoder(self.encoder) + classifier

    def _head(self, sequence, inputs, training):
        return {"logits": self.classifier(sequence, training=training)}
