"""Names and shapes of the variables of google-research, against Hugging Face's tensors."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from official_nlp.errors import InputError

Shapes = Mapping[str, Sequence[int]]

# Tables that are variables of their own in google-research and modules in torch.
_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


class NamedVariable(NamedTuple):
    """One tensor under both names.

    Attributes:
      variable: name in google-research.
      name: name in Hugging Face's layout, where weight matrices are transposed.
      shape: shape of the variable.
    """

    variable: str
    name: str
    shape: tuple[int, ...]

    def transposed(self, value: np.ndarray) -> np.ndarray:
        """Return the value in the other layout; only weight matrices change."""
        return np.ascontiguousarray(value.T) if self.variable.endswith("/kernel") else value


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a network that the shapes of its variables show, under Hugging Face names."""

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Sizes":
        """Return the sizes in the content of a config.json."""
        return cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})

    @classmethod
    def from_variables(cls, shapes: Shapes, scope: str, tables: str) -> "Sizes":
        """Return the sizes of a network of a checkpoint.

        Args:
          shapes: shapes of the variables by name.
          scope: scope of the network's layers.
          tables: scope of its embedding tables.

        Raises:
          InputError: a variable is missing or has the wrong rank.
        """
        layers = _number_of_layers(shapes, scope)
        words, positions, types = (_matrix(shapes, f"{tables}/{name}") for name in _TABLES)
        layer = f"{scope}/encoder/layer_0"
        return cls(
            vocab_size=words[0],
            embedding_size=words[1],
            hidden_size=_matrix(shapes, f"{layer}/attention/self/query/kernel")[0],
            num_hidden_layers=layers,
            intermediate_size=_matrix(shapes, f"{layer}/intermediate/dense/kernel")[1],
            max_position_embeddings=positions[0],
            type_vocab_size=types[0],
        )


def tables(scope: str, sizes: Sizes) -> list[NamedVariable]:
    """Return the embedding tables and their LayerNorm, which both networks may share."""
    rows = (sizes.vocab_size, sizes.max_position_embeddings, sizes.type_vocab_size)
    name = "electra.embeddings"
    found = [
        NamedVariable(f"{scope}/{table}", f"{name}.{table}.weight", (count, sizes.embedding_size))
        for table, count in zip(_TABLES, rows)
    ]
    return found + _norm(f"{scope}/LayerNorm", f"{name}.LayerNorm", sizes.embedding_size)


def blocks(scope: str, sizes: Sizes) -> list[NamedVariable]:
    """Return the layers, and the embedding projection if the widths differ."""
    width, inner = sizes.hidden_size, sizes.intermediate_size
    found = []
    # google-research creates the projection only where it changes the width.
    if sizes.embedding_size != width:
        project = "embeddings_project"
        found += _dense(f"{scope}/{project}", f"electra.{project}", sizes.embedding_size, width)
    for number in range(sizes.num_hidden_layers):
        variable = f"{scope}/encoder/layer_{number}/"
        name = f"electra.encoder.layer.{number}."
        for part, inputs, outputs in (
            ("attention/self/query", width, width),
            ("attention/self/key", width, width),
            ("attention/self/value", width, width),
            ("attention/output/dense", width, width),
            ("attention/output/LayerNorm", None, width),
            ("intermediate/dense", width, inner),
            ("output/dense", inner, width),
            ("output/LayerNorm", None, width),
        ):
            names = (variable + part, name + part.replace("/", "."))
            found += _dense(*names, inputs, outputs) if inputs else _norm(*names, outputs)
    return found


def generator_head(sizes: Sizes) -> list[NamedVariable]:
    """Return the masked language model's head; its output matrix is the word table."""
    scope = "generator_predictions"
    return [
        *_dense(f"{scope}/dense", f"{scope}.dense", sizes.hidden_size, sizes.embedding_size),
        *_norm(f"{scope}/LayerNorm", f"{scope}.LayerNorm", sizes.embedding_size),
        NamedVariable(f"{scope}/output_bias", "generator_lm_head.bias", (sizes.vocab_size,)),
    ]


def discriminator_head(sizes: Sizes) -> list[NamedVariable]:
    """Return the head that detects replaced tokens."""
    scope, width = "discriminator_predictions", sizes.hidden_size
    return [
        *_dense(f"{scope}/dense", f"{scope}.dense", width, width),
        # The two layers have no names in google-research: TensorFlow 1 numbers them.
        *_dense(f"{scope}/dense_1", f"{scope}.dense_prediction", width, 1),
    ]


def _dense(variable: str, name: str, inputs: int, outputs: int) -> list[NamedVariable]:
    return [
        NamedVariable(f"{variable}/kernel", f"{name}.weight", (inputs, outputs)),
        NamedVariable(f"{variable}/bias", f"{name}.bias", (outputs,)),
    ]


def _norm(variable: str, name: str, width: int) -> list[NamedVariable]:
    return [
        NamedVariable(f"{variable}/gamma", f"{name}.weight", (width,)),
        NamedVariable(f"{variable}/beta", f"{name}.bias", (width,)),
    ]


def _matrix(shapes: Shapes, variable: str) -> Sequence[int]:
    shape = shapes.get(variable)
    if shape is None:
        raise InputError(
            f"the checkpoint must have the variable {variable}, but lacks it; convert another "
            "checkpoint of the run"
        )
    if len(shape) != 2:
        raise InputError(f"the variable {variable} must be a matrix, had the shape {shape}")
    return shape


def _number_of_layers(shapes: Shapes, scope: str) -> int:
    layer = re.compile(rf"{re.escape(scope)}/encoder/layer_(\d{{1,9}})/")
    numbers = {int(found[1]) for found in map(layer.match, shapes) if found}
    # A gap means that variables are missing, not that the network is smaller.
    absent = sorted(set(range(len(numbers))) - numbers)
    if absent:
        raise InputError(
            f"the checkpoint must have all layers of {scope}/encoder, but has {len(numbers)} of "
            f"them and no layer_{absent[0]}; copy it again from its origin"
        )
    return len(numbers)
