"""Read Hugging Face folders of the golden data, and fill models with their weights."""

import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from official_nlp.interchange import huggingface
from official_nlp.modeling import networks
from official_nlp.modeling.tensor_names import NamedTensor


def read(folder: pathlib.Path):
    """Return the configuration, the weights and the expected arrays of a folder."""
    found = huggingface.read_folder(folder)
    with np.load(folder / "expected.npz") as arrays:
        return networks.ElectraConfig.from_dict(found.config), found.arrays, dict(arrays)


def case(arrays: Mapping, name: str, part: str) -> dict:
    """Return the arrays of one part (in, out, grad, ...) of a case by name."""
    prefix = f"{name}__{part}__"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def fill(tensors: Iterable[NamedTensor], weights: Mapping[str, np.ndarray]) -> None:
    """Assign weights to the variables with the same names."""
    for tensor in tensors:
        tensor.assign_hugging_face(weights[tensor.name])
