"""tf_model.h5 and its parts, which the TensorFlow classes of Hugging Face's library wrote."""

import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from official_nlp.checkpoints.tensorflow_names import in_torch
from official_nlp.errors import InputError


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
    name, is_map = in_torch(_without_scopes(path, dataset.file))
    return name, array.T if is_map else array, dataset.dtype.name


def _without_scopes(path, content) -> str:
    """A whole file has electra/tf_electra_for_masked_lm/electra/encoder/..., say, where the layer
    and the model are no part of the name; a part of several has only the rest, in its list."""
    listed = content.attrs.get("layer_names", ())
    if path in (name.decode() if isinstance(name, bytes) else name for name in listed):
        return path
    return path.split("/", 2)[-1]
