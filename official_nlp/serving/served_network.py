"""A network as a function of token ids that can be saved without Keras."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

# Inputs of a network for texts, int32 `[batch, length]`.
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
# The signature of token ids; `inference.exported` computes by it.
_TOKEN_IDS = "token_ids"


class ServedNetwork(tf.Module):
    """A network as one traced function and its variables.

    A SavedModel of this module has no trace of the Keras object, so that neither Keras nor this
    package is needed to load it. All signatures of a model call the one function: each network is
    in the graph once.

    Attributes:
      function: the concrete function. Its arguments are keywords with the names of the inputs, its
        result a dict of tensors.

    Args:
      call: function of a dict of the inputs that returns a dict of tensors.
      weights: the variables that `call` uses.
      inputs: names of the inputs.
      rank: number of axes of an input, which may have any sizes.
    """

    def __init__(
        self,
        call: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
        weights: Sequence[tf.Variable],
        inputs: Sequence[str] = INPUTS,
        rank: int = 2,
    ):
        super().__init__()
        self._weights = list(weights)
        self.function = traced(
            lambda **values: dict(call(values)),
            {name: tf.TensorSpec([None] * rank, tf.int32) for name in inputs},
        )

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.function(**inputs)


def traced(
    function: Callable[..., dict[str, tf.Tensor]], inputs: Mapping[str, tf.TensorSpec]
) -> Any:
    """Return the concrete function of keyword arguments with these names and shapes."""
    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()}
    # Arguments that are keywords appear by name in the signature of a SavedModel.
    return tf.function(lambda **values: function(**values)).get_concrete_function(**specs)


def token_signature(part: str) -> str:
    """Return the name of the signature of token ids of a part of a model."""
    return _TOKEN_IDS if part in ("", "discriminator") else f"{part}_{_TOKEN_IDS}"


def described(function: Any) -> dict[str, dict[str, str]]:
    """Return the names, dtypes and shapes of the inputs and outputs of a concrete function."""
    sides = {
        "inputs": function.structured_input_signature[1],
        "outputs": function.structured_outputs,
    }
    return {
        side: {name: _shape(spec) for name, spec in sorted(specs.items())}
        for side, specs in sides.items()
    }


def _shape(spec: Any) -> str:
    # The first axis is the batch, and others of no fixed size depend on the texts.
    sizes = ["?" if size is None else str(size) for size in spec.shape]
    return f"{spec.dtype.name} [{', '.join(['batch', *sizes[1:]])}]"
