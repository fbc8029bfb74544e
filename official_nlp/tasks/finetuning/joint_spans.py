"""The best spans of `ElectraForJointQuestionAnswering`, which scores ends given starts."""

from collections.abc import Mapping

import tensorflow as tf

# Names of the results, in the order in which `answer_spans.best_windows` takes them.
SPAN_ROWS = ("span_first", "span_last", "span_score", "null_score")


def best_joint_spans(
    outputs: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor], longest: int
) -> dict[str, tf.Tensor]:
    """Return the best span of each sequence [CLS] question [SEP] context [SEP].

    Args:
      outputs: outputs of the model without labels, for at least three starts: two of them may be
        [CLS] and [SEP], which begin no answer.
      inputs: `input_mask` and `input_type_ids`, `[batch, length]`.
      longest: largest number of tokens of an answer.

    Returns:
      All `[batch]`: `span_first`, `span_last`, int32 positions; `span_score`, float32
      log-probability of the start and of the end given it; `null_score`, float32, positive if there
      is probably no answer.
    """
    starts = outputs["start_top_index"]  # [B, K]
    end_log_probs = tf.nn.log_softmax(outputs["end_logits"])  # [B, K, L]
    text = (inputs["input_mask"] > 0) & (inputs["input_type_ids"] > 0)  # [B, L]
    # The last token of the text is [SEP].
    context = text & tf.concat([text[:, 1:], tf.zeros_like(text[:, :1])], axis=1)
    length = tf.shape(end_log_probs)[2]
    distance = tf.range(length) - starts[..., tf.newaxis]  # [B, K, L]
    allowed = context[:, tf.newaxis] & (distance >= 0) & (distance < longest)
    allowed &= tf.gather(context, starts, batch_dims=1)[..., tf.newaxis]
    scores = outputs["start_top_log_probs"][..., tf.newaxis] + end_log_probs
    scores = tf.where(allowed, scores, scores.dtype.min)
    flat = tf.reshape(scores, [tf.shape(scores)[0], -1])  # [B, K * L]
    best = tf.argmax(flat, axis=1, output_type=tf.int32)
    first = tf.gather(starts, best // length, batch_dims=1)
    score = tf.gather(flat, best, batch_dims=1)
    return dict(zip(SPAN_ROWS, (first, best % length, score, -outputs["answerable_logits"])))
