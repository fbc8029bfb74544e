"""tf_model.h5, which the TensorFlow classes of Hugging Face's library wrote."""

import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from official_nlp.errors import InputError

_LEAVES = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yields name in torch, float32 array in torch's layout and stored dtype of every tensor.

    Raises:
      InputError: the file is truncated, or not of this format, or keeps its data in other files.
    """
    try:
        with h5py.File(file, "r") as content:
            # Links to other files and within this one are not followed by it.
            paths = []
            content.visititems(lambda path, item: paths.append(path) if _is_tensor(item) else None)
            for path in paths:
                yield _tensor(content[path], path, file)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{file} must be an HDF5 file, but cannot be read: {error}; copy or download it again"
        ) from error


def _is_tensor(item) -> bool:
    return isinstance(item, h5py.Dataset)


def _tensor(dataset, path, file):
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{file} must hold its tensors itself, but {path} lies in another file, and nothing "
            "outside is read; save the model anew"
        )
    if dataset.dtype.kind not in "fiu":
        raise InputError(f"{file} must hold numbers, but {path} is of {dataset.dtype}")
    array = dataset[()].astype(np.float32, copy=False)
    # electra/tf_electra_for_masked_lm/electra/encoder/layer_._0/output/dense/kernel:0, say: the
    # layer that it was saved with and the model's scope are no part of the name.
    *scopes, leaf = path.replace("layer_._", "layer/").removesuffix(":0").split("/")[2:]
    name = ".".join([*scopes, _LEAVES.get(leaf, leaf)])
    return name, array.T if leaf == "kernel" else array, dataset.dtype.name
