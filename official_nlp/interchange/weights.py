"""What every format of checkpoint is translated into, and written from."""

import dataclasses
from collections.abc import Mapping

import numpy as np

WORD_TABLE = "electra.embeddings.word_embeddings.weight"
OUTPUT_TABLE = "generator_lm_head.weight"

# Tables are padded to multiples of up to this, for the sake of hardware.
_PADDING = 128


@dataclasses.dataclass(frozen=True)
class Network:
    """One network: its configuration and its tensors.

    Attributes:
      config: the content of a Hugging Face `config.json`.
      state: tensors under Hugging Face's names, those of the encoder with the prefix `electra.`,
        in its layout: matrices are [outputs, inputs]. A tied output layer is not among them.
      dtype: as the numbers were stored: "float32", "float16" or "bfloat16".
    """

    config: dict
    state: dict[str, np.ndarray]
    dtype: str = "float32"

    @property
    def parameters(self) -> int:
        return sum(tensor.size for tensor in self.state.values())


def repeats_word_table(state: Mapping[str, np.ndarray]) -> bool:
    """Whether the output's table is stored though it is tied: it is the word table once more."""
    return OUTPUT_TABLE in state and np.array_equal(state[OUTPUT_TABLE], state.get(WORD_TABLE))


def most_rows(tokens: int) -> int:
    """Returns how many rows a word table for so many tokens may have, padding included."""
    return -(-tokens // _PADDING) * _PADDING
