"""A model that finds answers in a text, or finds that there is none, as google-research does."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.modeling import tensor_names
from official_nlp.modeling.layers.joint_span_head import JointSpanHead
from official_nlp.modeling.models.electra_for import ElectraFor, check_labels, require_together
from official_nlp.modeling.models.electra_for_question_answering import compare_positions
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor

_BEAM = ranges.Integer(1, 1000)


@tf_keras.utils.register_keras_serializable(package="official_nlp")
class ElectraForJointQuestionAnswering(ElectraFor):
    """Find the answer to a question in a text, its end given its start, or that there is none.

    Call: see `ElectraFor`; `token_type_ids` are required and are 1 for the tokens of the text. An
    answer starts and ends at one of these, or at the first token, [CLS], which means that there is
    none. Labels are `start_positions` and `end_positions`, integer `[batch]`, and `is_impossible`,
    `[batch]`, 1 or True if the question has no answer; both positions are then 0. A position beyond
    the length (a truncated answer) is ignored. Outputs, all float32 except the index:
      `start_logits`: `[batch, length]`, -1000 where no answer starts.
      `end_logits`: with labels `[batch, length]`, given the true start; without labels
        `[batch, beam, length]`, for each of the best starts. The input `start_index`, integer
        `[batch]`, asks for the ends of another start.
      `start_top_log_probs`, `start_top_index`: `[batch, beam]`, without labels and `start_index`:
        log-probabilities and positions of the best starts.
      `answerable_logits`: `[batch]`, positive if there is an answer. The original has the opposite
        sign.

    The loss is (start + end) / 2 + answerability / 2, each a cross-entropy, the mean over examples.
    `predict` returns the outputs without labels, `fit` and `evaluate` use the true start.

    Hugging Face has no such model. `save_pretrained` names this class in `architectures` of
    config.json, and the tensors of the head are named `span_head.start`, `span_head.end_hidden`,
    `span_head.end`, `span_head.answerable_hidden` and `span_head.answerable`.

    Args:
      config: configuration.
      recompute: recompute activations to save memory, see `ElectraEncoder`.
      beam_size: number of starts for which ends are scored without labels.

    Raises:
      InputError: some labels are given without the others, `token_type_ids` are missing, or
        `beam_size` is not positive.

    Example:
      >>> config = ElectraConfig(vocab_size=100, num_hidden_layers=2)
      >>> model = ElectraForJointQuestionAnswering(config, beam_size=3)
      >>> text = {
      ...   "input_ids": tf.constant([[2, 5, 6, 3, 7, 8, 3]]),
      ...   "token_type_ids": tf.constant([[0, 0, 0, 0, 1, 1, 1]]),
      ... }
      >>> outputs = model(text)
      >>> outputs["start_top_index"].shape, outputs["end_logits"].shape
      (TensorShape([1, 3]), TensorShape([1, 3, 7]))
      >>> labels = {"start_positions": [4], "end_positions": [5], "is_impossible": [0]}
      >>> outputs = model({**text, **labels})
      >>> outputs["end_logits"].shape, outputs["loss"].shape
      (TensorShape([1, 7]), TensorShape([]))

    Reference: google-research/electra, `finetune/qa`.
    """

    hugging_face_class = "ElectraForJointQuestionAnswering"
    _targets = {
        "start_logits": "start_positions",
        "end_logits": "end_positions",
        "answerable_logits": "is_impossible",
    }
    _loss_weights = {"start_logits": 0.5, "end_logits": 0.5, "answerable_logits": 0.5}
    _head_inputs = ("start_index",)
    _head_options = ("beam_size",)

    def __init__(
        self, config: ElectraConfig, recompute: bool = False, beam_size: int = 20, **kwargs: Any
    ):
        super().__init__(config, recompute, **kwargs)
        _BEAM.require("beam_size", beam_size)
        self.beam_size = beam_size
        self.span_head = JointSpanHead(
            beam_size=beam_size, dtype=self.dtype_policy, name="span_head"
        )
        self.span_head.build([None, None, config.hidden_size])

    def named_tensors(self) -> list[NamedTensor]:
        tensors = tensor_names.encoder(self.encoder)
        for part in ("start", "end_hidden", "end", "answerable_hidden", "answerable"):
            tensors += tensor_names.dense(f"span_head.{part}", getattr(self.span_head, part))
        return tensors

    def _head(self, sequence, inputs, training):
        start = inputs.get("start_index")
        if start is not None:
            # Truncated answers have positions beyond the length, and their loss is ignored.
            start = _one_axis(tf.cast(start, tf.int32))
            start = tf.clip_by_value(start, 0, tf.shape(sequence)[1] - 1)
        return self.span_head(sequence, _span_mask(inputs), start_index=start)

    # === Loss ===

    def _label_inputs(self, labels):
        if "start_positions" not in labels:
            return {}
        return {"start_index": labels["start_positions"]}

    def _comparisons(self, outputs, labels, inputs):
        require_together(self._targets.values(), labels)
        logits = outputs["answerable_logits"]
        answerable = 1.0 - _one_axis(tf.cast(labels["is_impossible"], tf.float32))
        check_labels(answerable, logits.shape)
        return {
            **{
                name: compare_positions(labels[self._targets[name]], outputs[name])
                for name in ("start_logits", "end_logits")
            },
            "answerable_logits": (answerable, logits, tf.ones_like(logits)),
        }

    def _element_losses(self, target, prediction):
        if target.dtype.is_floating:
            return tf.nn.sigmoid_cross_entropy_with_logits(target, prediction)
        return super()._element_losses(target, prediction)


def _span_mask(inputs: Mapping[str, Any]) -> tf.Tensor:
    """Return bool `[batch, length]`: True at the tokens of the text and at [CLS]."""
    types = inputs.get("token_type_ids", inputs.get("input_type_ids"))
    if types is None:
        raise InputError(
            "token_type_ids are missing: they must be 1 for the tokens of the text, in which the "
            "answer is searched, and 0 for those of the question"
        )
    allowed = tf.convert_to_tensor(types) > 0
    mask = inputs.get("attention_mask", inputs.get("input_mask"))
    if mask is not None:
        mask = tf.convert_to_tensor(mask)
        if mask.shape.rank != 2:
            raise InputError(
                "attention_mask must be [batch, length]: a mask of pairs does not say which tokens "
                f"may be answers, had shape {mask.shape.as_list()}"
            )
        allowed &= tf.cast(mask, tf.bool)
    return tf.concat([tf.ones_like(allowed[:, :1]), allowed[:, 1:]], axis=1)


def _one_axis(values: tf.Tensor) -> tf.Tensor:
    """Return values `[batch]`; they may be `[batch, 1]`."""
    return values[:, 0] if values.shape.rank == 2 and values.shape[1] == 1 else values
