"""Checks of the inputs of a call, in words that name the input.

Values are checked where they are known: in eager calls. In a graph they cannot be, where a table
returns NaN for an id outside it; see `OnDeviceEmbedding`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.errors import InputError

# Hugging Face's names of the inputs, and tfnlp's.
ALIASES = {
    "input_ids": "input_word_ids",
    "attention_mask": "input_mask",
    "token_type_ids": "input_type_ids",
}
# Flags that transformers also takes in the dict of the inputs.
_FLAGS = ("output_hidden_states", "output_attentions", "use_cache", "return_dict")


def renamed(inputs: Mapping[str, Any], known: tuple[str, ...], taker: str) -> dict[str, Any]:
    """Return the inputs under tfnlp's names, without those that are None.

    Args:
      inputs: the inputs, under either spelling.
      known: names of all inputs, in tfnlp's spelling.
      taker: what takes the inputs, for messages.

    Raises:
      InputError: an input is unknown, or given under both names.
    """
    named: dict[str, Any] = {}
    for name, value in inputs.items():
        target = ALIASES.get(name, name)
        if target not in known:
            raise InputError(f"unknown input {name!r}; the {taker} takes {', '.join(known)}")
        if target in named:
            other = next(alias for alias, known in ALIASES.items() if known == target)
            raise InputError(f"give {target!r} or {other!r}, not both: they are one input")
        named[target] = value
    return {name: value for name, value in named.items() if value is not None}


def split_flags(inputs: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Take flags such as `use_cache` out of a dict of inputs.

    Args:
      inputs: inputs of a call in any form.
      options: keyword arguments of the call.

    Returns:
      The other inputs, and the keyword arguments with the flags.

    Raises:
      InputError: a flag is given twice or is not a bool, or `return_dict` is not true.
    """
    if not isinstance(inputs, Mapping) or not any(name in inputs for name in _FLAGS):
        return inputs, dict(options)
    flags = {name: inputs[name] for name in _FLAGS if inputs.get(name) is not None}
    for name, value in flags.items():
        if options.get(name) is not None:
            raise InputError(f"give {name} once, in the inputs or by keyword")
        if not isinstance(value, bool):
            raise InputError(f"{name} must be True or False, was {value!r}")
    if not flags.pop("return_dict", True):
        raise InputError("return_dict must be True or left out: models return a dict, was False")
    return {k: x for k, x in inputs.items() if k not in _FLAGS}, {**options, **flags}


def check_integers(name: str, tensor: tf.Tensor) -> None:
    """Raise InputError unless the input is integer `[batch, ...]` of two axes."""
    if not (tensor.dtype.is_integer and tensor.shape.rank in (2, None)):
        raise InputError(
            f"{name} must be integers of two axes, one row a sequence, was {tensor.dtype.name} "
            f"{tensor.shape}"
        )


def check_shape(name: str, tensor: tf.Tensor, like: str, shape: tf.TensorShape) -> None:
    """Raise InputError unless the shape of an input can be that of another one, named `like`."""
    if not tensor.shape.is_compatible_with(shape):
        raise InputError(f"{name} must have the shape of {like}, {shape}, was {tensor.shape}")


def known_values(tensor: tf.Tensor) -> np.ndarray | None:
    """Return the values of a tensor, None in a graph; no operation is added to it."""
    return tf.get_static_value(tensor)


def check_range(name: str, values: np.ndarray | None, end: int | None, of: str) -> None:
    """Raise InputError if values are known, and one of them is not in [0, end).

    Args:
      name: name of the input.
      values: its `known_values`.
      end: number of allowed values; None if unknown.
      of: what they number, for messages.
    """
    if values is None or end is None:
        return
    wrong = values[(values < 0) | (values >= end)]
    if wrong.size:
        raise InputError(f"{name} must be from 0 to {end - 1}, the last {of}, was {wrong[0]}")


def check_mask(name: str, values: np.ndarray | None) -> None:
    """Raise InputError if values are known, and one of them is neither 0 nor 1."""
    if values is None:
        return
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise InputError(
            f"{name} must be 1 at tokens and 0 at padding, was {wrong[0]}; number the documents of "
            "packed sequences in document_ids"
        )
