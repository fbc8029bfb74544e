"""tf_model.h5 and its parts, which the TensorFlow classes of Hugging Face's library wrote."""

import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_names import in_torch

# No compression that HDF5 knows makes more of a byte.
_MOST_DEFLATED = 1100


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
            of_a_part = _names_of_a_part(content)
            for path in paths:
                # A whole file has electra/tf_electra_for_masked_lm/electra/encoder/..., say, where
                # the layer and the model are no part of the name.
                name = path if path in of_a_part else path.split("/", 2)[-1]
                yield _tensor(content[path], name, file)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{file} must be an HDF5 file, but cannot be read: {error}; copy or download it again"
        ) from error


def _is_tensor(item) -> bool:
    return isinstance(item, h5py.Dataset)


def _names_of_a_part(content) -> set[str]:
    """A part of several lists its tensors, and they have their names for paths."""
    listed = np.ravel(content.attrs.get("layer_names", ()))
    return {
        name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in listed
    }


def _tensor(dataset, path, file):
    where = dataset.name.lstrip("/")
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{file} must hold its tensors itself, but {where} lies in another file, and nothing "
            "outside is read; save the model anew"
        )
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        kind = "empty" if dataset.shape is None else f"of {dataset.dtype}"
        raise InputError(f"{file} must hold numbers, but {where} is {kind}; save the model anew")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > _MOST_DEFLATED * stored:
        raise InputError(
            f"{file} must hold its tensors whole, but of {where} {list(dataset.shape)} it has "
            f"{stored} bytes; save the model anew"
        )
    array = dataset[()].astype(np.float32, copy=False)
    name, transposed = in_torch(path)
    return name, array.T if transposed else array, dataset.dtype.name
