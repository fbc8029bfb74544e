"""The safetensors format: eight bytes, a JSON header of so many bytes, then the tensors.

Read and written tensor by tensor, so that beside the tensors themselves nothing is held; bfloat16
included, which numpy has by `ml_dtypes`.
"""

import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping

import ml_dtypes
import numpy as np

from official_nlp.checkpoints.tensorflow_names import in_torch
from official_nlp.errors import InputError

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_STORED = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yields name in torch, float32 array and stored dtype of every tensor.

    Raises:
      InputError: the file is truncated, or not of this format, or holds a dtype we do not read.
    """
    with open(file, "rb") as stream:
        entries = _entries(stream, file)
        for name, (dtype, shape, _) in entries.items():
            array = np.fromfile(stream, dtype, math.prod(shape)).reshape(shape)
            if "/" in name:  # was written by a TensorFlow class
                name, is_map = in_torch(name)
                array = array.T if is_map else array
            yield name, array.astype(np.float32, copy=False), dtype.name


def write(file: pathlib.Path, state: Mapping[str, np.ndarray], dtype: str):
    """Writes the tensors; the metadata is what transformers asks for.

    Raises:
      InputError: a number is too large for float16.
    """
    stored, header, end = _DTYPES[_STORED[dtype]], {"__metadata__": {"format": "pt"}}, 0
    for name, array in state.items():
        begin, end = end, end + array.size * stored.itemsize
        header[name] = {
            "dtype": _STORED[dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    with open(file, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, array in state.items():
            _cast(name, array, stored).tofile(stream)
        stream.flush()
        os.fsync(stream.fileno())


def nbytes(array: np.ndarray, dtype: str) -> int:
    """Returns how many bytes an array takes in a file."""
    return array.size * _DTYPES[_STORED[dtype]].itemsize


def check_dtype(dtype: str):
    """Raises InputError if nothing can be stored as this dtype."""
    if dtype not in _STORED:
        raise InputError(f"dtype must be one of {', '.join(_STORED)}, was {dtype!r}")


def _cast(name, array, stored):
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype=stored)
    if stored.itemsize < 4 and np.isinf(cast).any() and not np.isinf(array).any():
        raise InputError(
            f"dtype must be wide enough, but {name} has {np.abs(array).max():g}, too large for "
            f"{stored.name}; save as bfloat16 or float32"
        )
    return cast


def _entries(stream, file) -> dict:
    """Returns dtype, shape and offset by name, in the order of the bytes, at the first of which
    the stream is left."""
    size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise InputError(
            f"{file} must be a safetensors file, but is no such file or was cut off: its header "
            f"would have {length} bytes, the file has {size}; copy or download it again"
        )
    try:
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        entries = {name: _entry(name, entry, file) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{file} must be a safetensors file, but its header does not describe tensors: "
            f"{type(error).__name__} {error}; copy or download it again"
        ) from error
    entries = dict(sorted(entries.items(), key=lambda item: item[1][2]))
    _check_places(entries, size - 8 - length, file)
    return entries


def _entry(name, entry, file):
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if entry["dtype"] not in _DTYPES:
        raise InputError(
            f"{file} holds {name} as {entry['dtype']}, which cannot be read; it must be one of "
            f"{', '.join(_DTYPES)}: save it as one of them"
        )
    dtype = _DTYPES[entry["dtype"]]
    whole = all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end))
    if not whole or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has shape {shape} at {begin}..{end}")
    return dtype, shape, (begin, end)


def _check_places(entries, size, file):
    """Every byte belongs to one tensor: nothing is cut off, nothing read twice."""
    place = 0
    for name, (_, _, (begin, end)) in entries.items():
        if begin != place:
            raise InputError(
                f"{file} must hold one tensor after the other, but {name} begins at byte {begin} "
                f"and not at {place}; copy or download it again"
            )
        place = end
    if place != size:
        raise InputError(
            f"{file} must hold {place} bytes of tensors, but holds {size}: it was cut off or "
            "overwritten; copy or download it again"
        )
