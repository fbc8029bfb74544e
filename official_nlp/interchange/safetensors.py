"""Tensors in safetensors, by the package of that name."""

import os
import pathlib
from collections.abc import Iterator, Mapping

import ml_dtypes
import numpy as np
import safetensors.numpy

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_names import in_torch

# numpy knows bfloat16 once ml_dtypes is imported, which the package leaves to its users.
_STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yields name in torch, float32 array and stored dtype of every tensor.

    Raises:
      InputError: the file is truncated, or not of this format, or holds a dtype numpy has not.
    """
    try:
        with safetensors.safe_open(file, framework="np") as content:
            for name in content.keys():  # noqa: SIM118, it is no dict
                array = content.get_tensor(name)
                if "/" in name:  # was written by a TensorFlow class
                    name, transposed = in_torch(name)
                    array = array.T if transposed else array
                yield name, array.astype(np.float32, copy=False), array.dtype.name
    except (safetensors.SafetensorError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{file} must be a safetensors file, but is none, or was cut off or overwritten: "
            f"{error}; copy or download it again"
        ) from error


def write(file: pathlib.Path, state: Mapping[str, np.ndarray], dtype: str):
    """Writes the tensors, to the disk; the metadata is what transformers asks for.

    Raises:
      InputError: a number is too large for float16.
      OSError: the disk is full, say.
    """
    tensors = {name: _cast(name, array, dtype) for name, array in state.items()}
    try:
        safetensors.numpy.save_file(tensors, file, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(f"{file}: {error}") from error
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())


def nbytes(array: np.ndarray, dtype: str) -> int:
    """Returns how many bytes an array takes in a file."""
    return array.size * np.dtype(_STORED[dtype]).itemsize


def check_dtype(dtype: str):
    """Raises InputError if nothing can be stored as this dtype."""
    if dtype not in _STORED:
        raise InputError(f"dtype must be one of {', '.join(_STORED)}, was {dtype!r}")


def _cast(name, array, dtype):
    with np.errstate(over="ignore"):
        cast = np.asarray(array, dtype=_STORED[dtype], order="C")
    if dtype != "float32" and np.isinf(cast).any() and not np.isinf(array).any():
        raise InputError(
            f"dtype must be wide enough, but {name} has {np.abs(array).max():g}, too large for "
            f"{dtype}; save as bfloat16 or float32"
        )
    return cast
