"""Names and layouts of our variables in Hugging Face's files.

Hugging Face stores a weight matrix as `[outputs, inputs]`; Keras stores a kernel as
`[inputs, outputs]`, and attention kernels have heads as an axis of their own. Tables and vectors
have one layout in both.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class NamedTensor(NamedTuple):
    """A variable with its name and layout in Hugging Face's files.

    Attributes:
      name: name in the file.
      variable: variable of the model. A kernel is `[inputs, outputs]`; one of the axes may be split
        into heads.
      shape: shape in the file, where a kernel is `[outputs, inputs]` and heads are merged.
      transpose: whether the file stores the transpose.
      base: None, or a variable of another network to which this one adds a difference. The file
        stores their sum.
    """

    name: str
    variable: tf.Variable
    shape: tuple[int, ...]
    transpose: bool = False
    base: tf.Variable | None = None

    def to_hugging_face(self) -> np.ndarray:
        """Return the value of the variable in the layout of the file."""
        value = self.variable.numpy()
        if self.base is not None:
            value = value + self.base.numpy()
        if not self.transpose:
            return value.reshape(self.shape)
        # The reshape merges heads, to [inputs, outputs]; the transpose is that of the file.
        return np.ascontiguousarray(value.reshape(self.shape[::-1]).T)

    def mismatch(self, value: np.ndarray) -> str | None:
        """Return why the variable cannot have a value of the right shape; None if it can."""
        return None

    def assign_hugging_face(self, value: np.ndarray) -> None:
        """Assign a value in the layout of the file to the variable."""
        value = (value.T if self.transpose else value).reshape(self.variable.shape)
        if self.base is not None:
            # The file stores the sum, so the base must have its final value by now.
            value = value - self.base.numpy()
        self.variable.assign(value)


def same_layout(name: str, variable: tf.Variable, base: tf.Variable | None = None) -> NamedTensor:
    """Return a table or a vector, which has one layout in the model and in the file."""
    return NamedTensor(name, variable, tuple(variable.shape), base=base)


def linear(
    name: str, kernel: tf.Variable, bias: tf.Variable | None, input_axes: int = 1
) -> list[NamedTensor]:
    """Return the weight matrix of a linear map, and its bias if it has one.

    Args:
      name: name of the map, without `.weight` and `.bias`.
      kernel: `[inputs..., outputs...]`.
      bias: `[outputs...]` or None.
      input_axes: number of axes of `kernel` that are inputs.
    """
    inputs, outputs = math.prod(kernel.shape[:input_axes]), math.prod(kernel.shape[input_axes:])
    tensors = [NamedTensor(f"{name}.weight", kernel, (outputs, inputs), transpose=True)]
    if bias is not None:
        tensors.append(NamedTensor(f"{name}.bias", bias, (outputs,)))
    return tensors


def dense(name: str, layer: Any) -> list[NamedTensor]:
    """Return the tensors of a Keras `Dense` layer."""
    return linear(name, layer.kernel, layer.bias)


def layer_norm(name: str, layer: Any) -> list[NamedTensor]:
    """Return the tensors of a Keras `LayerNormalization`."""
    return [same_layout(f"{name}.weight", layer.gamma), same_layout(f"{name}.bias", layer.beta)]


def attention(name: str, layer: Any, norm: Any) -> list[NamedTensor]:
    """Return the tensors of a `MultiHeadAttention` and of the LayerNorm behind it."""
    tensors = []
    for part in ("query", "key", "value"):
        kernel, bias = getattr(layer, f"{part}_kernel"), getattr(layer, f"{part}_bias")
        tensors += linear(f"{name}.self.{part}", kernel, bias)
    if layer.relative_key is not None:
        table = layer.relative_key.embeddings
        tensors.append(same_layout(f"{name}.self.distance_embedding.weight", table))
    # The inputs of the output kernel are [heads, head width].
    tensors += linear(f"{name}.output.dense", layer.output_kernel, layer.output_bias, input_axes=2)
    return tensors + layer_norm(f"{name}.output.LayerNorm", norm)


def block(name: str, layer: Any) -> list[NamedTensor]:
    """Return the tensors of a `TransformerEncoderBlock`."""
    tensors = attention(f"{name}.attention", layer.attention, layer.attention_norm)
    if layer.cross_attention is not None:
        tensors += attention(f"{name}.crossattention", layer.cross_attention, layer.cross_norm)
    tensors += dense(f"{name}.intermediate.dense", layer.intermediate)
    tensors += dense(f"{name}.output.dense", layer.output_dense)
    return tensors + layer_norm(f"{name}.output.LayerNorm", layer.output_norm)


def embeddings(name: str, layer: Any) -> list[NamedTensor]:
    """Return the tensors of `ElectraEmbeddings` or `DisentangledEmbeddings`.

    Disentangled tables are differences from those of another network. The file stores the sums, so
    that it describes the network without the other one.
    """
    own, bases = layer, [None] * 3
    if hasattr(layer, "own"):
        own, bases = layer.own, layer.base.tables
    tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    tensors = [
        same_layout(f"{name}.{table}.weight", variable, base)
        for table, variable, base in zip(tables, own.tables, bases)
    ]
    return tensors + layer_norm(f"{name}.LayerNorm", own.layer_norm)


def encoder(network: Any, prefix: str = "electra.") -> list[NamedTensor]:
    """Return the tensors of an `ElectraEncoder`.

    Args:
      network: the encoder.
      prefix: prefix of all names.
    """
    tensors = embeddings(f"{prefix}embeddings", network.embeddings)
    if network.embeddings_project is not None:
        tensors += dense(f"{prefix}embeddings_project", network.embeddings_project.dense)
    for i, layer in enumerate(network.transformer_layers):
        tensors += block(f"{prefix}encoder.layer.{i}", layer)
    return tensors
