"""The inputs of the pre-trainer: their names, shapes, types and ranges."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.modeling import input_checks, losses

_TOKENS = ("input_word_ids", "input_mask", "input_type_ids", "document_ids")
_SLOTS = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
# The datasets number their examples by `stream_position`, with which the training loop opens the
# random stream; no network reads it.
NAMES = (*_TOKENS, *_SLOTS, "next_sentence_labels", "stream_position")


def read(inputs: Any, required: Sequence[str], vocab_size: int, slots: int) -> dict[str, tf.Tensor]:
    """Return the inputs as tensors under tfnlp's names.

    Args:
      inputs: a dict of inputs, under either spelling.
      required: names of those that must be there.
      vocab_size: number of tokens.
      slots: largest number of predicted positions.

    Raises:
      InputError: an input is missing, unknown or given twice; or has another type, shape or, where
        values are known, range.
    """
    if not isinstance(inputs, Mapping):
        raise InputError(
            f"inputs must be a dict of {', '.join(NAMES)}, was a {type(inputs).__name__}"
        )
    found = {
        name: tf.convert_to_tensor(value)
        for name, value in input_checks.renamed(inputs, NAMES, "pre-trainer").items()
    }
    missing = [name for name in required if name not in found]
    if missing:
        raise InputError(
            f"the inputs lack {', '.join(missing)}; they hold "
            f"{', '.join(sorted(found)) or 'nothing'}"
        )
    _check_tokens(found, vocab_size)
    _check_slots(found, vocab_size, slots)
    return found


def are_valid(inputs: Mapping[str, tf.Tensor], vocab_size: int) -> tf.Tensor:
    """Return whether all values are in their ranges, a bool scalar, for executors without checks.

    Args:
      inputs: result of `read`.
      vocab_size: number of tokens.
    """
    ids = inputs["input_word_ids"]
    weights = losses.prediction_weights(inputs)
    used = weights > 0
    conditions = [
        (ids >= 0) & (ids < vocab_size),
        _in_range(inputs["masked_lm_positions"], tf.shape(ids)[1]) | ~used,
        _in_range(inputs["masked_lm_ids"], vocab_size) | ~used,
        weights >= 0,  # false for NaN
    ]
    if "input_mask" in inputs:
        mask = tf.cast(inputs["input_mask"], tf.float32)
        conditions.append((mask == 0) | (mask == 1))
    return tf.reduce_all([tf.reduce_all(condition) for condition in conditions])


def _in_range(values: tf.Tensor, end: Any) -> tf.Tensor:
    return (values >= 0) & (values < tf.cast(end, values.dtype))


def _check_tokens(found: Mapping[str, tf.Tensor], vocab_size: int) -> None:
    ids = found.get("input_word_ids")
    if ids is None:
        return
    input_checks.check_integers("input_word_ids", ids)
    values = input_checks.known_values(ids)
    input_checks.check_range("input_word_ids", values, vocab_size, "token of the vocabulary")
    for name in ("input_type_ids", "document_ids"):
        if name in found:
            input_checks.check_integers(name, found[name])
            input_checks.check_shape(name, found[name], "input_word_ids", ids.shape)
    if "input_mask" in found:
        mask = found["input_mask"]
        if mask.shape.rank != 3:  # Networks of our own also take a mask of pairs of tokens.
            input_checks.check_shape("input_mask", mask, "input_word_ids", ids.shape)
        input_checks.check_mask("input_mask", input_checks.known_values(mask))


def _check_slots(found: Mapping[str, tf.Tensor], vocab_size: int, slots: int) -> None:
    positions = found.get("masked_lm_positions")
    if positions is None:
        return
    input_checks.check_integers("masked_lm_positions", positions)
    columns = positions.shape[1] if positions.shape.rank else None
    if columns is not None and not 1 <= columns <= slots:
        raise InputError(
            "masked_lm_positions must have at least 1 and at most num_token_predictions="
            f"{slots} columns, had {columns}"
        )
    ids = found.get("input_word_ids")
    length = ids.shape[1] if ids is not None and ids.shape.rank else None
    if ids is not None and not positions.shape[:1].is_compatible_with(ids.shape[:1]):
        raise InputError(
            f"masked_lm_positions must have a row for each of the {ids.shape[0]} sequences, was "
            f"{positions.shape}"
        )
    used = None
    if "masked_lm_weights" in found:
        weights = found["masked_lm_weights"]
        input_checks.check_shape(
            "masked_lm_weights", weights, "masked_lm_positions", positions.shape
        )
        values = input_checks.known_values(weights)
        if values is not None and not (values >= 0).all():
            wrong = values[~(values >= 0)][0]
            raise InputError(f"masked_lm_weights must be at least 0, was {wrong}")
        used = None if values is None else values > 0
    else:
        # Not by `:=`, which AutoGraph cannot transform: it would warn in every `fit`.
        values = input_checks.known_values(positions)
        used = None if values is None else values != 0
    ends = {"masked_lm_positions": (length, "position of the sequences")}
    ends["masked_lm_ids"] = (vocab_size, "token of the vocabulary")
    for name, (end, of) in ends.items():
        if name not in found:
            continue
        input_checks.check_integers(name, found[name])
        input_checks.check_shape(name, found[name], "masked_lm_positions", positions.shape)
        values = input_checks.known_values(found[name])
        if used is not None and values is not None:
            # An unused slot may hold anything, such as -100.
            input_checks.check_range(name, values[used], end, of)
