"""Folders of Hugging Face's layout that come with what its models computed."""

import pathlib

import numpy as np

from official_nlp.interchange import huggingface
from official_nlp.modeling import networks


def read(folder: pathlib.Path):
    """Returns the configuration, the weights and the expected arrays of a model's folder."""
    found = huggingface.read_folder(folder)
    with np.load(folder / "expected.npz") as arrays:
        return networks.ElectraConfig.from_dict(found.config), found.arrays, dict(arrays)


def case(arrays: dict, name: str, part: str) -> dict:
    """Returns the arrays of one case: `part` is in, out, grad, ..."""
    prefix = f"{name}__{part}__"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def fill(tensors: list, weights: dict):
    """Assigns named tensors of a model of ours."""
    for tensor in tensors:
        tensor.assign(weights[tensor.name])
