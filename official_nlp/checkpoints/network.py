"""What every format of checkpoint is translated into, and written from."""

import dataclasses

import numpy as np


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
