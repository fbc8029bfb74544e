"""Tensors of signatures: from values of JSON to arrays, and back."""

import base64
import binascii
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from official_nlp.ranges import shown
from official_nlp.serving.server.json_text import described
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import bad

# For each dtype of TensorFlow its name in the Open Inference Protocol and in TensorFlow Serving.
DTYPES = {
    "string": ("BYTES", "DT_STRING"),
    "bool": ("BOOL", "DT_BOOL"),
    "int8": ("INT8", "DT_INT8"),
    "int16": ("INT16", "DT_INT16"),
    "int32": ("INT32", "DT_INT32"),
    "int64": ("INT64", "DT_INT64"),
    "uint8": ("UINT8", "DT_UINT8"),
    "uint16": ("UINT16", "DT_UINT16"),
    "uint32": ("UINT32", "DT_UINT32"),
    "uint64": ("UINT64", "DT_UINT64"),
    "float16": ("FP16", "DT_HALF"),
    "float32": ("FP32", "DT_FLOAT"),
    "float64": ("FP64", "DT_DOUBLE"),
}

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of a signature.

    Attributes:
      name: its name.
      dtype: a key of `DTYPES`.
      shape: sizes of the axes; None for any size.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def by_row(self) -> bool:
        """Whether the first axis has any size, as the axis of a batch has."""
        return bool(self.shape) and self.shape[0] is None


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of a model.

    Attributes:
      inputs, outputs: tensors by name.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    @property
    def by_row(self) -> bool:
        """Whether all inputs and outputs have a batch axis, so that requests can be merged."""
        return all(each.by_row for each in [*self.inputs.values(), *self.outputs.values()])


# === From JSON ===


def from_nested(value: Any, tensor: Tensor, limits: Limits) -> np.ndarray:
    """Return the array that nested lists describe; strings become bytes objects.

    Raises:
      Refused: the lists are ragged, too deep, too flat or of wrong sizes, or an element is wrong.
    """
    shape = []
    level = [value]
    for axis, size in enumerate(tensor.shape):
        wrong = next((each for each in level if not isinstance(each, list)), None)
        if wrong is not None or None in level:
            raise bad(
                f"{tensor.name} must have lists nested {len(tensor.shape)} deep, but has "
                f"{described(wrong)} at depth {axis + 1}"
            )
        lengths = sorted({len(each) for each in level}) or [0]
        if len(lengths) > 1:
            raise bad(
                f"{tensor.name} must be rectangular, but has lists of {lengths[0]} and "
                f"{lengths[-1]} elements at depth {axis + 1}"
            )
        if size is not None and lengths[0] != size:
            raise bad(
                f"{tensor.name} must have {size} elements at depth {axis + 1}, has {lengths[0]}"
            )
        shape.append(lengths[0])
        level = [element for each in level for element in each]
    return _array(level, shape, tensor, limits)


def from_flat(data: Any, shape: Any, tensor: Tensor, limits: Limits) -> np.ndarray:
    """Return the array of a shape from its elements in row-major order, flat or nested.

    Raises:
      Refused: shape, number of elements or an element is wrong.
    """
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise bad(f"the shape of {tensor.name} must be a list of sizes, is {described(shape)}")
    fits = len(shape) == len(tensor.shape) and all(
        size in (None, got) for size, got in zip(tensor.shape, shape)
    )
    if not fits:
        raise bad(
            f"the shape of {tensor.name} must be {shown(wire_shape(tensor))}, where -1 is any "
            f"size, is {shown(shape)}"
        )
    if not isinstance(data, list):
        raise bad(f"the data of {tensor.name} must be a list, is {described(data)}")
    # Lists nested deeper than the tensor has axes remain, and are no elements.
    for _ in shape[1:]:
        if not any(isinstance(each, list) for each in data):
            break
        if not all(isinstance(each, list) for each in data):
            raise bad(f"the data of {tensor.name} mixes lists and elements")
        data = [element for each in data for element in each]
    if len(data) != math.prod(shape):
        raise bad(
            f"the data of {tensor.name} must have {math.prod(shape)} elements by its shape, "
            f"has {len(data)}"
        )
    return _array(data, shape, tensor, limits)


def _array(elements: list, shape: list[int], tensor: Tensor, limits: Limits) -> np.ndarray:
    if tensor.dtype == "string":
        array = np.empty(len(elements), object)
        array[:] = [_encoded(each, tensor, limits) for each in elements]
        return array.reshape(shape)
    accepts = _ACCEPTS[np.dtype(tensor.dtype).kind]
    for each in elements:
        if not accepts(each, np.dtype(tensor.dtype)):
            raise bad(f"{tensor.name} must hold {tensor.dtype}, but has {described(each)}")
    return np.array(elements, tensor.dtype).reshape(shape)


def _is_integer(value: Any, dtype: np.dtype) -> bool:
    return type(value) is int and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _is_number(value: Any, dtype: np.dtype) -> bool:
    return type(value) in (int, float) and abs(value) <= float(np.finfo(dtype).max)


_ACCEPTS = {
    "b": lambda value, dtype: isinstance(value, bool),
    "i": _is_integer,
    "u": _is_integer,
    "f": _is_number,
}


def _encoded(value: Any, tensor: Tensor, limits: Limits) -> bytes:
    """Return the bytes of a text, which is a string, or an object with the field b64."""
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            encoded = base64.b64decode(value["b64"], validate=True)
            encoded.decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise bad(f"{tensor.name} must have base64 of UTF-8 in b64: {error}") from error
    elif isinstance(value, str):
        try:
            encoded = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise bad(
                f"{tensor.name} must be Unicode, but character {error.start} is half of a "
                "surrogate pair"
            ) from error
    else:
        raise bad(f"{tensor.name} must hold strings, but has {described(value)}")
    if b"\0" in encoded:
        raise bad(f"{tensor.name} has a null character at byte {encoded.index(0)}; remove it")
    if len(encoded) > limits.text_bytes:
        raise bad(
            f"{tensor.name} must have texts of at most {limits.text_bytes:,} bytes, has one of "
            f"{len(encoded):,}"
        )
    return encoded


# === Whole requests ===


def check_inputs(arrays: Arrays, signature: Signature, limits: Limits) -> None:
    """Check the inputs of a request together.

    Raises:
      Refused: an input is missing, or the numbers of rows are 0, too many or not equal.
    """
    missing = [name for name in signature.inputs if name not in arrays]
    if missing:
        raise bad(f"the input {missing[0]} is missing; inputs are {', '.join(signature.inputs)}")
    counts = {name: len(a) for name, a in arrays.items() if signature.inputs[name].by_row}
    if len(set(counts.values())) > 1:
        raise bad(f"inputs must have equal numbers of instances, have {shown(counts)}")
    count = max(counts.values(), default=1)
    if not 1 <= count <= limits.instances:
        raise bad(f"a request must have from 1 to {limits.instances:,} instances, has {count:,}")


def input_named(name: Any, signature: Signature) -> Tensor:
    """Return an input of a signature.

    Raises:
      Refused: there is none of this name.
    """
    if not isinstance(name, str) or name not in signature.inputs:
        raise bad(f"unknown input {described(name)}; inputs are {', '.join(signature.inputs)}")
    return signature.inputs[name]


# === To JSON ===


def to_nested(array: np.ndarray) -> Any:
    """Return an array as nested lists; bytes become text."""
    values = array.tolist()
    return _decoded(values) if array.dtype == object else values


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return value.decode("utf-8", "replace")


def wire_shape(tensor: Tensor) -> list[int]:
    """Return the shape with -1 for any size, as both protocols have it."""
    return [-1 if size is None else size for size in tensor.shape]
