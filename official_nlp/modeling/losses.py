"""The loss of ELECTRA, as sums with weights.

Each term is a pair (sum over tokens, number of tokens), both float32 scalars. Sums and numbers are
added over micro-batches and replicas before one divides the other, so that splitting a batch does
not change the result. B batch, L length, P predictions, V vocabulary.
"""

import tensorflow as tf


def masked_lm_loss(lm_outputs, masked_lm_ids, masked_lm_weights):
    """Cross-entropy of the generator at the predicted positions (paper section 2, L_MLM).

    Args:
      lm_outputs: `[B, P, V]` logits (log-probabilities do as well).
      masked_lm_ids: integer `[B, P]`.
      masked_lm_weights: `[B, P]`, 0 at unused slots.

    Returns:
      (sum, weight) in nats and positions.
    """
    weights = tf.cast(masked_lm_weights, tf.float32)
    ids = tf.convert_to_tensor(masked_lm_ids)
    # An unused slot may hold anything: an id outside the vocabulary, scores that are not finite.
    ids = tf.where(weights > 0, ids, tf.zeros_like(ids))
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=ids, logits=tf.cast(lm_outputs, tf.float32)
    )
    losses = tf.where(weights > 0, losses, 0.0)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def replaced_token_loss(disc_logits, disc_label, input_mask):
    """Binary cross-entropy of the discriminator at all real tokens (paper section 2, L_Disc).

    Args:
      disc_logits: `[B, L]`.
      disc_label: integer `[B, L]`, 1 where the token was replaced.
      input_mask: `[B, L]`, 0 at padding.

    Returns:
      (sum, weight) in nats and tokens.
    """
    weights = tf.cast(input_mask, tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(disc_label, tf.float32), logits=tf.cast(disc_logits, tf.float32)
    )
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def next_sentence_loss(sentence_outputs, next_sentence_labels):
    """Cross-entropy of the sentence head. Returns (sum, weight) in nats and rows."""
    labels = tf.reshape(next_sentence_labels, [-1])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=tf.cast(sentence_outputs, tf.float32)
    )
    return tf.reduce_sum(losses), tf.cast(tf.size(labels), tf.float32)


def electra_loss(inputs, outputs) -> dict:
    """The terms of the joint loss that `outputs` allow.

    Args:
      inputs: the batch, with tfnlp's names. Without `masked_lm_weights` every slot whose position
        is not 0 counts; without `input_mask` every token, or in a packed batch every one of a
        document.
      outputs: what `ElectraPretrainer` returned, or a part of it: `lm_outputs` gives the term
        `mlm`; `disc_logits` and `disc_label` give `rtd`; `sentence_outputs` with
        `next_sentence_labels` among the inputs gives `next_sentence`.

    Returns:
      dict of name to (sum, weight).
    """
    terms = {}
    if "lm_outputs" in outputs:
        weights = prediction_weights(inputs)
        terms["mlm"] = masked_lm_loss(outputs["lm_outputs"], inputs["masked_lm_ids"], weights)
    if "disc_logits" in outputs:
        labels = outputs["disc_label"]
        mask = token_weights({"input_word_ids": labels, **inputs})
        terms["rtd"] = replaced_token_loss(outputs["disc_logits"], labels, mask)
    sentence_outputs = outputs.get("sentence_outputs")
    if "next_sentence_labels" in inputs and sentence_outputs is not None:
        if sentence_outputs.shape[-1]:
            labels = inputs["next_sentence_labels"]
            terms["next_sentence"] = next_sentence_loss(sentence_outputs, labels)
    return terms


def prediction_weights(inputs) -> tf.Tensor:
    """Returns float32 `[B, P]`: 1 at the slots that predict, 0 at those that are padding."""
    if "masked_lm_weights" in inputs:
        return tf.cast(inputs["masked_lm_weights"], tf.float32)
    return tf.cast(tf.convert_to_tensor(inputs["masked_lm_positions"]) != 0, tf.float32)


def token_weights(inputs) -> tf.Tensor:
    """Returns float32 `[B, L]`: 1 at tokens, 0 at padding."""
    if inputs.get("input_mask") is not None:
        return tf.cast(inputs["input_mask"], tf.float32)
    if inputs.get("document_ids") is not None:
        return tf.cast(tf.convert_to_tensor(inputs["document_ids"]) != 0, tf.float32)
    return tf.ones_like(tf.convert_to_tensor(inputs["input_word_ids"]), tf.float32)


def weighted_total(terms: dict, coefficients: dict) -> tf.Tensor:
    """Returns the scalar sum over terms of coefficient times sum over weight.

    Args:
      terms: dict of name to (sum, weight); a term of weight 0 counts 0.
      coefficients: dict of name to number; names that are missing count once.
    """
    total = tf.zeros([], tf.float32)
    for name, (loss_sum, weight) in terms.items():
        total += coefficients.get(name, 1.0) * tf.math.divide_no_nan(loss_sum, weight)
    return total
