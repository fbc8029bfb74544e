"""The loss of ELECTRA, as sums with weights.

Each term is a pair (sum over tokens, number of tokens), both float32 scalars; `loss_terms` explains
why they are not divided here. B batch, L length, P predictions, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.loss_terms import Term


def masked_lm_loss(
    lm_outputs: tf.Tensor, masked_lm_ids: tf.Tensor, masked_lm_weights: tf.Tensor
) -> Term:
    """Return the generator's cross-entropy at the predicted positions (paper section 2, L_MLM).

    Args:
      lm_outputs: `[B, P, V]` logits or log-probabilities; softmax maps both to the same
        probabilities.
      masked_lm_ids: original tokens, integer `[B, P]`.
      masked_lm_weights: `[B, P]`, 0 at unused slots.

    Returns:
      (sum, weight) in nats and positions.
    """
    weights = tf.cast(masked_lm_weights, tf.float32)
    losses = masked_lm_losses(lm_outputs, masked_lm_ids, weights)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def masked_lm_losses(
    lm_outputs: tf.Tensor, masked_lm_ids: tf.Tensor, masked_lm_weights: tf.Tensor
) -> tf.Tensor:
    """Return the cross-entropy at each predicted position, for loss and metrics.

    The arguments are those of `masked_lm_loss`.

    Returns:
      Float32 `[B, P]` in nats, 0 at unused slots.
    """
    used = masked_lm_weights > 0
    ids = tf.convert_to_tensor(masked_lm_ids)
    # An unused slot may hold an id outside the vocabulary, or scores that are not finite. Replacing
    # both the id and the loss, rather than multiplying by 0, keeps NaN out of sum and gradient.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(used, ids, tf.zeros_like(ids)), logits=tf.cast(lm_outputs, tf.float32)
    )
    return tf.where(used, losses, 0.0)


def replaced_token_loss(
    disc_logits: tf.Tensor, disc_label: tf.Tensor, input_mask: tf.Tensor
) -> Term:
    """Return the discriminator's binary cross-entropy at all real tokens (section 2, L_Disc).

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


def next_sentence_loss(sentence_outputs: tf.Tensor, next_sentence_labels: tf.Tensor) -> Term:
    """Return the cross-entropy of the sentence head.

    Args:
      sentence_outputs: `[B, classes]` logits.
      next_sentence_labels: integer `[B]` or `[B, 1]`.

    Returns:
      (sum, weight) in nats and examples.
    """
    labels = tf.reshape(next_sentence_labels, [-1])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=tf.cast(sentence_outputs, tf.float32)
    )
    # `electra_weights` uses the same definition of the weight.
    return tf.reduce_sum(losses), tf.reduce_sum(sentence_weights({"next_sentence_labels": labels}))


def prediction_weights(inputs: Mapping[str, Any]) -> tf.Tensor:
    """Return float32 `[B, P]`: the weight of each predicted position, 0 at unused slots."""
    if "masked_lm_weights" in inputs:
        return tf.cast(inputs["masked_lm_weights"], tf.float32)
    # Unused slots point to position 0. It holds [CLS], which is never masked.
    return tf.cast(tf.convert_to_tensor(inputs["masked_lm_positions"]) != 0, tf.float32)


def token_weights(inputs: Mapping[str, Any]) -> tf.Tensor:
    """Return float32 `[B, L]`: 1 at tokens, 0 at padding."""
    if inputs.get("input_mask") is not None:
        return tf.cast(inputs["input_mask"], tf.float32)
    if inputs.get("document_ids") is not None:  # a packed batch, in which 0 is padding
        return tf.cast(tf.convert_to_tensor(inputs["document_ids"]) != 0, tf.float32)
    return tf.ones_like(tf.convert_to_tensor(inputs["input_word_ids"]), tf.float32)


def sentence_weights(inputs: Mapping[str, Any]) -> tf.Tensor:
    """Return float32 `[B]`: 1 for each example with a sentence label."""
    return tf.ones_like(tf.reshape(inputs["next_sentence_labels"], [-1]), tf.float32)


_WEIGHTS = {
    "mlm": prediction_weights,
    "rtd": token_weights,
    "next_sentence": sentence_weights,
}


def electra_weights(inputs: Mapping[str, Any], names: Iterable[str]) -> dict[str, tf.Tensor]:
    """Return the weights of terms of the joint loss, from the batch alone.

    They are those that `electra_loss` pairs with its sums. The training loop needs them before the
    forward pass, because it adds them over micro-batches and replicas first.

    Args:
      inputs: the batch, with tfnlp's names. Without `masked_lm_weights` every slot whose position
        is not 0 counts. Without `input_mask` every token counts; in a packed batch, every token of
        a document.
      names: names of terms: `mlm`, `rtd`, `next_sentence`.

    Returns:
      Float32 scalars by name.

    Raises:
      InputError: a name is none of these.
    """
    names = list(names)
    for name in names:
        if name not in _WEIGHTS:
            raise InputError(f"a loss term must be one of {', '.join(_WEIGHTS)}, was {name!r}")
    return {name: tf.reduce_sum(_WEIGHTS[name](inputs)) for name in names}


def electra_loss(inputs: Mapping[str, Any], outputs: Mapping[str, tf.Tensor]) -> dict[str, Term]:
    """Return the terms of the joint loss for which `outputs` has what they need.

    Args:
      inputs: the batch, as in `electra_weights`.
      outputs: outputs of `ElectraPretrainer`, or some of them. `lm_outputs` results in the term
        `mlm`, and so does `lm_losses`, if the `masked_lm_losses` are known; `disc_logits` and
        `disc_label` in `rtd`; `sentence_outputs`, with `next_sentence_labels` in the batch, in
        `next_sentence`.

    Returns:
      (sum, weight) by name of the term.
    """
    sums = {}
    if "disc_label" in outputs:
        # Without a mask, `token_weights` needs the shape of the tokens, and the batch may lack
        # them. The labels have the same shape; tokens in the batch take precedence.
        inputs = {"input_word_ids": outputs["disc_label"], **inputs}
    if "lm_losses" in outputs:
        sums["mlm"] = tf.reduce_sum(outputs["lm_losses"] * prediction_weights(inputs))
    elif "lm_outputs" in outputs:
        weights = prediction_weights(inputs)
        sums["mlm"], _ = masked_lm_loss(outputs["lm_outputs"], inputs["masked_lm_ids"], weights)
    if "disc_logits" in outputs:
        weights = token_weights(inputs)
        sums["rtd"], _ = replaced_token_loss(outputs["disc_logits"], outputs["disc_label"], weights)
    sentence_outputs = outputs.get("sentence_outputs")
    if "next_sentence_labels" in inputs and sentence_outputs is not None:
        if sentence_outputs.shape[-1]:  # 0 classes: the model has no sentence head.
            labels = inputs["next_sentence_labels"]
            sums["next_sentence"], _ = next_sentence_loss(sentence_outputs, labels)
    # The training loop divides by `electra_weights`; used here too, it keeps both equal.
    weights = electra_weights(inputs, sums)
    return {name: (loss_sum, weights[name]) for name, loss_sum in sums.items()}
