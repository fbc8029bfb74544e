"""Which variable has which name and layout in a file of Hugging Face's."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class NamedTensor(NamedTuple):
    """A variable of ours and a tensor of a file.

    Attributes:
      name: in the file.
      variable: in the model, which for a map is `[in, out]`, either axis perhaps split into heads.
      shape: in the file, where a map is `[out, in]` and heads are merged.
      transposed: whether the two are transposed.
      base: None; or another network's variable, to which this one is a difference: the file has
        their sum.
    """

    name: str
    variable: tf.Variable
    shape: tuple[int, ...]
    transposed: bool = False
    base: tf.Variable | None = None

    def to_array(self) -> np.ndarray:
        """Returns the variable as the file has it."""
        value = self.variable.numpy()
        if self.base is not None:
            value = value + self.base.numpy()
        if not self.transposed:
            return value.reshape(self.shape)
        return np.ascontiguousarray(value.reshape(self.shape[::-1]).T)

    def assign(self, value: np.ndarray):
        """Assigns what the file has."""
        value = (value.T if self.transposed else value).reshape(self.variable.shape)
        if self.base is not None:
            value = value - self.base.numpy()
        self.variable.assign(value)


def untransposed(name, variable, base=None) -> NamedTensor:
    """A table or a vector."""
    return NamedTensor(name, variable, tuple(variable.shape), base=base)


def dense(name, layer) -> list[NamedTensor]:
    """A Dense layer."""
    return linear(name, layer.kernel, layer.bias)


def linear(name, kernel, bias, input_axes=1) -> list[NamedTensor]:
    """A map: `kernel` has this many axes of inputs before those of outputs; `bias` may be None."""
    inputs, outputs = math.prod(kernel.shape[:input_axes]), math.prod(kernel.shape[input_axes:])
    found = [NamedTensor(f"{name}.weight", kernel, (outputs, inputs), transposed=True)]
    if bias is not None:
        found.append(NamedTensor(f"{name}.bias", bias, (outputs,)))
    return found


def layer_norm(name, layer) -> list[NamedTensor]:
    """A LayerNormalization."""
    return [untransposed(f"{name}.weight", layer.gamma), untransposed(f"{name}.bias", layer.beta)]


def attention(name, layer, norm) -> list[NamedTensor]:
    """A MultiHeadAttention, and the LayerNorm after it."""
    found = []
    for part in ("query", "key", "value"):
        kernel, bias = getattr(layer, f"{part}_kernel"), getattr(layer, f"{part}_bias")
        found += linear(f"{name}.self.{part}", kernel, bias)
    if layer.relative_key is not None:
        found.append(
            untransposed(f"{name}.self.distance_embedding.weight", layer.relative_key.embeddings)
        )
    found += linear(f"{name}.output.dense", layer.output_kernel, layer.output_bias, input_axes=2)
    return found + layer_norm(f"{name}.output.LayerNorm", norm)


def block(name, layer) -> list[NamedTensor]:
    """A TransformerEncoderBlock."""
    found = attention(f"{name}.attention", layer.attention, layer.attention_norm)
    if layer.cross_attention is not None:
        found += attention(f"{name}.crossattention", layer.cross_attention, layer.cross_norm)
    found += dense(f"{name}.intermediate.dense", layer.intermediate)
    found += dense(f"{name}.output.dense", layer.output_dense)
    return found + layer_norm(f"{name}.output.LayerNorm", layer.output_norm)


def embeddings(name, layer) -> list[NamedTensor]:
    """ElectraEmbeddings; or DisentangledEmbeddings, of which the file has the sums."""
    plain, bases = getattr(layer, "own", layer), [None] * 3
    if plain is not layer:
        bases = layer.base.tables
    tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    found = [
        untransposed(f"{name}.{table}.weight", variable, base)
        for table, variable, base in zip(tables, plain.tables, bases)
    ]
    return found + layer_norm(f"{name}.LayerNorm", plain.layer_norm)


def encoder(network, prefix="electra.") -> list[NamedTensor]:
    """An ElectraEncoder."""
    found = embeddings(f"{prefix}embeddings", network.embeddings)
    if network.embeddings_project is not None:
        found += dense(f"{prefix}embeddings_project", network.embeddings_project.dense)
    for i, layer in enumerate(network.transformer_layers):
        found += block(f"{prefix}encoder.layer.{i}", layer)
    return found
