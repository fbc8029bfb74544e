"""Read `tf_model.h5` and its shards, which the TensorFlow classes of transformers wrote."""

import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_names import torch_name

# Upper bound on the compression ratio of HDF5's filters; that of deflate is 1032. A dataset that
# claims to be larger than this times its stored bytes is forged: reading it would allocate memory
# for nothing.
_LARGEST_RATIO = 1100
# transformers nests about 10 groups.
_DEEPEST = 64


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield the torch name, the float32 array in torch's layout and the stored dtype of tensors.

    Raises:
      InputError: the file is truncated, has another format, or refers to data in other files.
    """
    try:
        with h5py.File(file, "r") as content:
            # `visititems` follows neither links to other files nor links within this one.
            paths: list[str] = []

            def visit(path: str, item: h5py.HLObject) -> None:
                # HDF5 resolves every path from the root, which takes quadratic time.
                if path.count("/") > _DEEPEST:
                    raise InputError(
                        f"{file} must be a model of transformers, but nests more than {_DEEPEST} "
                        "groups; save the model again"
                    )
                if isinstance(item, h5py.Dataset):
                    paths.append(path)

            content.visititems(visit)
            shard_names = _names_in_shard(content)
            for path in paths:
                # In a whole file the first two parts of a path, the layer and the model, do not
                # belong to the name: electra/tf_electra_for_masked_lm/electra/encoder/...
                name = path if path in shard_names else path.split("/", 2)[-1]
                yield _tensor(content[path], name, file)
    except InputError:
        raise
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        # h5py raises any of these for damaged headers: names that are not UTF-8, unknown types.
        raise InputError(
            f"{file} must be an HDF5 file, but cannot be read: {error}; copy or download it again"
        ) from error


def _names_in_shard(content: h5py.File) -> set[str]:
    """Return the tensor names that a shard lists; in a whole file these are names of layers.

    The paths of the tensors in a shard are their names, without layer and model.
    """
    names = np.ravel(content.attrs.get("layer_names", ()))
    return {
        name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names
    }


def _tensor(dataset: h5py.Dataset, path: str, file: pathlib.Path) -> tuple[str, np.ndarray, str]:
    where = dataset.name.lstrip("/")
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{file} must contain its tensors, but stores {where} in another file, and files "
            "outside the folder are not read; save the model again"
        )
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        kind = "empty" if dataset.shape is None else f"of type {dataset.dtype}"
        raise InputError(
            f"{file} must contain numbers, but {where} is {kind}; save the model again"
        )
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > _LARGEST_RATIO * stored:
        raise InputError(
            f"{file} must contain its tensors completely, but stores {stored} bytes of {where} "
            f"{list(dataset.shape)}; save the model again"
        )
    # Only now is memory for the tensor allocated: its size is plausible.
    array = dataset[()].astype(np.float32, copy=False)
    name, transposed = torch_name(path)
    return name, array.T if transposed else array, dataset.dtype.name
