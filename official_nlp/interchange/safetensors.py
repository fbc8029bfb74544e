"""Read and write safetensors files, through the package of that name."""

import pathlib
from collections.abc import Iterator, Mapping

import ml_dtypes
import numpy as np
import safetensors.numpy

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_names import torch_name

# numpy supports bfloat16 only once ml_dtypes is imported; the safetensors package does not do that.
_STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield the torch name, the float32 array and the stored dtype of every tensor.

    Raises:
      InputError: the file is truncated, has another format, or holds a dtype that numpy lacks.
    """
    try:
        with safetensors.safe_open(file, framework="np") as content:
            for name in content.keys():  # noqa: SIM118, it is not a dict
                array = content.get_tensor(name)
                if "/" in name:  # a TensorFlow class of transformers wrote the file
                    name, transposed = torch_name(name)
                    array = array.T if transposed else array
                yield name, array.astype(np.float32, copy=False), array.dtype.name
    except (safetensors.SafetensorError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{file} must be a safetensors file, but has another format or was cut off or "
            f"overwritten: {error}; copy or download it again"
        ) from error


def write(file: pathlib.Path, arrays: Mapping[str, np.ndarray], dtype: str) -> None:
    """Write tensors and flush them to the disk, with the metadata that transformers requires.

    Args:
      file: path of the file.
      arrays: float32 arrays by name.
      dtype: dtype to store, "float32", "float16" or "bfloat16".

    Raises:
      InputError: a number is too large for float16.
      OSError: the file cannot be written, for example because the disk is full.
    """
    tensors = {name: _cast(name, array, dtype) for name, array in arrays.items()}
    try:
        safetensors.numpy.save_file(tensors, file, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(f"{file}: {error}") from error


def nbytes(array: np.ndarray, dtype: str) -> int:
    """Return the number of bytes of an array in a file of this dtype."""
    return array.size * np.dtype(_STORED[dtype]).itemsize


def check_dtype(dtype: str) -> None:
    """Raise InputError if weights cannot be stored as this dtype."""
    if dtype not in _STORED:
        raise InputError(f"dtype must be one of {', '.join(_STORED)}, was {dtype!r}")


def _cast(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    # An overflow would be stored as infinity, silently; numbers that were infinite before are not
    # our concern.
    with np.errstate(over="ignore"):
        cast = np.asarray(array, dtype=_STORED[dtype], order="C")
    if dtype != "float32" and np.isinf(cast).any() and not np.isinf(array).any():
        raise InputError(
            f"{name} contains {np.abs(array).max():g}, which is too large for {dtype}; save as "
            "bfloat16 or float32"
        )
    return cast
