"""Which variable of google-research's code is which tensor of Hugging Face's, and of what shape."""

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from official_nlp.errors import InputError

Shapes = Mapping[str, list[int]]

# Where Hugging Face has a word of its own for a variable of the tables.
_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


class NamedVariable(NamedTuple):
    """One tensor under both names.

    Attributes:
      variable: google's name.
      name: Hugging Face's, of which matrices lie the other way round.
      shape: of the variable.
    """

    variable: str
    name: str
    shape: tuple[int, ...]

    def turned(self, value: np.ndarray) -> np.ndarray:
        """Returns google's value in Hugging Face's layout, or the other way round."""
        return np.ascontiguousarray(value.T) if self.variable.endswith("/kernel") else value


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the shapes of a network's variables tell, under Hugging Face's names."""

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int

    @classmethod
    def of_config(cls, config: dict) -> "Sizes":
        return cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})

    @classmethod
    def of_variables(cls, shapes: Shapes, scope: str, tables: str) -> "Sizes":
        """Reads the sizes of the network `scope`, whose tables are in the scope `tables`."""
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
    """The tables and their LayerNorm: what generator and discriminator may share."""
    rows = (sizes.vocab_size, sizes.max_position_embeddings, sizes.type_vocab_size)
    name = "electra.embeddings"
    found = [
        NamedVariable(f"{scope}/{table}", f"{name}.{table}.weight", (count, sizes.embedding_size))
        for table, count in zip(_TABLES, rows)
    ]
    return found + _norm(f"{scope}/LayerNorm", f"{name}.LayerNorm", sizes.embedding_size)


def blocks(scope: str, sizes: Sizes) -> list[NamedVariable]:
    """The projection, where the widths differ, and the layers."""
    wide, inner = sizes.hidden_size, sizes.intermediate_size
    found = []
    if sizes.embedding_size != wide:
        project = "embeddings_project"
        found += _dense(f"{scope}/{project}", f"electra.{project}", sizes.embedding_size, wide)
    for number in range(sizes.num_hidden_layers):
        variable = f"{scope}/encoder/layer_{number}/"
        name = f"electra.encoder.layer.{number}."
        for part, inputs, outputs in (
            ("attention/self/query", wide, wide),
            ("attention/self/key", wide, wide),
            ("attention/self/value", wide, wide),
            ("attention/output/dense", wide, wide),
            ("attention/output/LayerNorm", None, wide),
            ("intermediate/dense", wide, inner),
            ("output/dense", inner, wide),
            ("output/LayerNorm", None, wide),
        ):
            names = (variable + part, name + part.replace("/", "."))
            found += _dense(*names, inputs, outputs) if inputs else _norm(*names, outputs)
    return found


def generator_head(sizes: Sizes) -> list[NamedVariable]:
    """The masked language model's head; its matrix over the vocabulary is the word table."""
    scope = "generator_predictions"
    return [
        *_dense(f"{scope}/dense", f"{scope}.dense", sizes.hidden_size, sizes.embedding_size),
        *_norm(f"{scope}/LayerNorm", f"{scope}.LayerNorm", sizes.embedding_size),
        NamedVariable(f"{scope}/output_bias", "generator_lm_head.bias", (sizes.vocab_size,)),
    ]


def discriminator_head(sizes: Sizes) -> list[NamedVariable]:
    """The head that tells replaced tokens."""
    scope, wide = "discriminator_predictions", sizes.hidden_size
    return [
        *_dense(f"{scope}/dense", f"{scope}.dense", wide, wide),
        *_dense(f"{scope}/dense_1", f"{scope}.dense_prediction", wide, 1),
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


def _matrix(shapes: Shapes, variable: str) -> list[int]:
    shape = shapes.get(variable)
    if shape is None:
        raise InputError(f"the checkpoint must have the variable {variable}, and has not")
    if len(shape) != 2:
        raise InputError(f"the variable {variable} must be a matrix, had the shape {shape}")
    return shape


def _number_of_layers(shapes: Shapes, scope: str) -> int:
    layer = re.compile(rf"{re.escape(scope)}/encoder/layer_(\d+)/")
    numbers = {int(found[1]) for found in map(layer.match, shapes) if found}
    absent = sorted(set(range(len(numbers))) - numbers)
    if absent:
        raise InputError(
            f"the checkpoint must have all layers of {scope}/encoder, had {len(numbers)} and no "
            f"layer_{absent[0]}; convert it again from where it came"
        )
    return len(numbers)
