"""A model that chooses one of several texts."""

import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.errors import InputError
from official_nlp.modeling import initializers, ops, tensor_names
from official_nlp.modeling.layers.multiple_choice_head import MultipleChoiceHead
from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.networks.electra_config import ElectraConfig

# Inputs that have no row for each choice.
_WITHOUT_ROWS = ("head_mask", "past_key_values")


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForMultipleChoice(ElectraFor):
    """Chooses one of several texts, each a row of its own, such as a question with an answer.

    Call: see `ElectraFor`; ids, mask, types and whatever else has rows are
    `[batch, choices, length]` (`inputs_embeds` `[batch, choices, length, embedding_size]`).
    `logits` are `[batch, choices]`, `labels` integer `[batch]`, -100 for questions that do not
    count; the loss is the cross-entropy over choices. The encoder sees `batch * choices` rows, and
    so do `hidden_states` and `attentions`. With `summary_type="cls_index"` the last token counts,
    as it does in Hugging Face, which says no other.

    Args:
      config: an `ElectraConfig`; `summary_type`, `summary_use_proj`, `summary_activation`,
        `summary_first_dropout` and `summary_last_dropout` are of this model.
      recompute: compute activations twice to hold fewer, see `ElectraEncoder`.

    Raises:
      InputError: an input has no axis of choices; or the configuration has
        `summary_proj_to_labels`.

    Example:
      >>> model = ElectraForMultipleChoice(ElectraConfig(vocab_size=100, num_hidden_layers=2))
      >>> two_answers = tf.constant([[[2, 5, 3, 6, 3], [2, 5, 3, 7, 3]]])
      >>> outputs = model(input_ids=two_answers, labels=tf.constant([1]))
      >>> outputs["logits"].shape, outputs["loss"].shape
      (TensorShape([1, 2]), TensorShape([]))

    Reference: Hugging Face's `ElectraForMultipleChoice`.
    """

    hugging_face_class = "ElectraForMultipleChoice"

    def __init__(self, config: ElectraConfig, recompute=False, **kwargs):
        super().__init__(config, recompute, **kwargs)
        if config.extra.get("summary_proj_to_labels"):
            raise InputError(
                "summary_proj_to_labels must be false or left out, was "
                f"{config.extra['summary_proj_to_labels']!r}: the classifier takes a summary of "
                "hidden_size numbers"
            )
        self.choice_head = MultipleChoiceHead(
            summary_type=config.summary_type,
            summary_use_proj=config.summary_use_proj,
            summary_activation=config.summary_activation,
            summary_first_dropout=config.summary_first_dropout,
            summary_last_dropout=config.summary_last_dropout,
            initializer=initializers.kernel_initializer(config),
            dtype=self._dtype_policy,
            name="choice_head",
        )
        self.choice_head.build([None, None, None, config.hidden_size])

    def named_tensors(self):
        head, found = self.choice_head, tensor_names.encoder(self.encoder)
        if head.dense is not None:
            found += tensor_names.dense("sequence_summary.summary", head.dense)
        return found + tensor_names.dense("classifier", head.out_proj)

    # === Wiring ===
    def call(self, inputs, training=None, **options):
        rows = {k: x for k, x in inputs.items() if k not in _WITHOUT_ROWS}
        others = {k: x for k, x in inputs.items() if k in _WITHOUT_ROWS}
        rows = {name: _with_choices(name, x) for name, x in rows.items()}
        choices = ops.shape_list(next(iter(rows.values())))[1]
        rows = {name: _merged(x) for name, x in rows.items()}  # [B * C, L]
        # A choice is a row to all dropout inside, the head's too: replicas and micro-batches of
        # whole questions then drop what one batch of all does.
        with randomness.scope(training=bool(training), rows=choices):
            outputs = super().call({**rows, **others}, training=training, **options)
        return {**outputs, "logits": tf.reshape(outputs["logits"], tf.stack([-1, choices]))}

    def _head(self, sequence, inputs, training):
        return {
            "logits": self.choice_head(sequence, num_choices=1, training=training)
        }  # [B * C, 1]


def _with_choices(name, value) -> tf.Tensor:
    """Raises InputError unless there is an axis of choices."""
    value = tf.convert_to_tensor(value)
    width = ", width" if name in ("inputs_embeds", "encoder_hidden_states") else ""
    if value.shape.rank < (4 if width else 3):
        raise InputError(
            f"{name} must be [batch, choices, length{width}], was {value.shape.as_list()}; an only "
            "choice needs its axis, too"
        )
    return value


def _merged(value) -> tf.Tensor:
    """Returns `[batch * choices, ...]` of `[batch, choices, ...]`."""
    _, _, *others = ops.shape_list(value)
    return tf.reshape(value, tf.stack([-1, *others]))
