"""The neutral form of a network: every format is read into it and written from it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

EMBEDDINGS = "electra.embeddings."
ENCODER = "electra.encoder."
WORD_TABLE = f"{EMBEDDINGS}word_embeddings.weight"
OUTPUT_TABLE = "generator_lm_head.weight"


@dataclasses.dataclass(frozen=True)
class Weights:
    """Configuration and arrays of one network, under the names of Hugging Face.

    Attributes:
      config: content of a Hugging Face `config.json`.
      arrays: arrays by Hugging Face name; those of the encoder start with `electra.`. Weight
        matrices are `[outputs, inputs]`, as in torch. A tied output layer is not stored.
      dtype: dtype of the file, "float32", "float16" or "bfloat16"; the arrays are float32.
    """

    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    dtype: str = "float32"

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(array.size for array in self.arrays.values())


def repeats_word_table(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether the arrays store a tied output table, that is the word table a second time."""
    output, words = arrays.get(OUTPUT_TABLE), arrays.get(WORD_TABLE)
    return output is not None and words is not None and np.array_equal(output, words)
