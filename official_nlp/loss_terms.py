"""Loss terms as sums with weights, and how they combine over replicas.

A term is a pair of float32 scalars: the sum of a loss over tokens or examples, and the sum of their
weights. Sums and weights are added over micro-batches and replicas *before* one is divided by the
other. A mean of means would depend on how a batch happens to be divided; a ratio of sums does not.
The training loop and the `fit` of the Keras models share these functions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

Term = tuple[tf.Tensor, tf.Tensor]


def replica_count() -> int:
    """Return the number of replicas of the current strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors: Any) -> Any:
    """Add tensors over all replicas; call it in replica context.

    Args:
      tensors: a nested structure of tensors of the same shapes in every replica.

    Returns:
      The structure of sums. With one replica these are the tensors themselves.
    """
    if replica_count() == 1:
        return tensors
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def with_global_weights(terms: Mapping[str, Term]) -> dict[str, Term]:
    """Replace the weight of each term by its sum over replicas.

    Gradients of the resulting ratios, added over replicas, are the gradients of the global ratio.
    """
    # Weights are constants of the batch, so no gradient has to pass through their reduction.
    weights = sum_over_replicas({name: weight for name, (_, weight) in terms.items()})
    return {name: (loss_sum, weights[name]) for name, (loss_sum, _) in terms.items()}


def weighted_total(terms: Mapping[str, Term], loss_weights: Mapping[str, float]) -> tf.Tensor:
    """Return the scalar sum over terms of `loss_weight * sum / weight`.

    Args:
      terms: (sum, weight) by name. A term of weight 0 contributes 0.
      loss_weights: factors by name; a term without one has the factor 1.
    """
    total = tf.zeros([], tf.float32)
    for name, (loss_sum, weight) in terms.items():
        # A batch may have no target at all, such as one whose labels are all ignored.
        total += loss_weights.get(name, 1.0) * tf.math.divide_no_nan(loss_sum, weight)
    return total


def replica_loss(
    terms: Mapping[str, Term],
    loss_weights: Mapping[str, float],
    added_losses: Iterable[tf.Tensor] = (),
) -> tf.Tensor:
    """Return the scalar whose gradient one replica computes; call it in replica context.

    Keras adds gradients over replicas. So each replica divides its sums by the weights of all
    replicas, and a loss that is the same in every replica by their number: the added gradients are
    then those of one device with the whole batch.

    Args:
      terms: (sum, weight) by name, of this replica's examples.
      loss_weights: factors by name; a term without one has the factor 1.
      added_losses: scalars without a weight, such as the `losses` of a Keras model
        (regularizers).
    """
    total = weighted_total(with_global_weights(terms), loss_weights)
    return tf.add_n([total, *(loss / replica_count() for loss in added_losses)])
