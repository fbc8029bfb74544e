"""Tensors are written to safetensors files and read back."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy as safetensors_numpy

from official_nlp.errors import InputError
from official_nlp.interchange import safetensors as ours

random = np.random.default_rng(3)
STATE = {
    "table": random.normal(size=[5, 4]).astype(np.float32),
    "kernel": random.normal(size=[3, 4]).astype(np.float32).T,
    "number": np.float32(7).reshape([]),
    "nothing": np.zeros([0, 4], np.float32),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


def read(file) -> dict:
    return {name: array for name, array, _ in ours.read(file)}


def raw(header, data=b"", length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        np.testing.assert_array_equal(found[name], value)


def test_tensors_are_read_back_exactly(file):
    ours.write(file, STATE, "float32")
    assert_equal(read(file), STATE)
    with safetensors.safe_open(file, "np") as content:
        assert content.metadata() == {"format": "pt"}


@pytest.mark.parametrize(("dtype", "numpy"), [("float16", "f2"), ("bfloat16", ml_dtypes.bfloat16)])
def test_half_precision_stores_the_nearest_numbers(file, dtype, numpy):
    ours.write(file, STATE, dtype)
    rounded = {name: value.astype(numpy).astype(np.float32) for name, value in STATE.items()}
    assert_equal(read(file), rounded)
    assert {dtype for _, _, dtype in ours.read(file)} == {dtype}
    with safetensors.safe_open(file, "np") as content:
        assert (
            content.get_slice("table").get_dtype() == {"float16": "F16", "bfloat16": "BF16"}[dtype]
        )


@pytest.mark.parametrize("dtype", ["f8", "i8", "i4", "i2", "i1", "u1", "?"])
def test_other_dtypes_are_converted_to_float32(file, dtype):
    value = np.array([0, 1, 1, 0], dtype)
    safetensors_numpy.save_file({"a": value}, file)
    ((name, array, stored),) = ours.read(file)
    assert (name, array.dtype, stored) == ("a", np.float32, value.dtype.name)
    np.testing.assert_array_equal(array, value)


def test_the_size_of_a_stored_array_is_known_beforehand():
    assert ours.nbytes(STATE["table"], "float32") == 80
    assert ours.nbytes(STATE["table"], "bfloat16") == 40


# === Refused ===
def test_a_truncated_file_is_refused(file):
    ours.write(file, STATE, "float32")
    whole = file.read_bytes()
    for length in [0, 5, 8, 20, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut off.* again"):
            read(file)


def test_a_file_with_extra_bytes_is_refused(file):
    ours.write(file, STATE, "float32")
    with open(file, "ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputError, match="cut off or overwritten"):
        read(file)


@pytest.mark.parametrize(
    "content",
    [
        raw({"a": entry()}, b"8" * 8, length=2**63),
        raw(b"not json"),
        raw([1, 2]),
        raw({"a": 3}),
        raw({"a": entry(dtype="F3", offsets=(0, 2))}, b"12"),
        raw({"a": entry(dtype="F4", offsets=(0, 1))}, b"1"),
        raw({"a": entry(shape=(3,))}, b"8" * 8),
        raw({"a": entry(shape=(-2,), offsets=(8, 0))}, b"8" * 8),
        raw({"a": entry(), "b": entry()}, b"8" * 8),
        raw({"a": entry(offsets=(8, 16))}, b"8" * 16),
        raw({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}),
        raw({"a": entry(shape=(1,) * 100 + (0,), offsets=(0, 0))}),
        raw(b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_a_forged_header_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError, match="must be a safetensors file"):
        read(file)


def test_a_number_too_large_for_float16_is_refused(file):
    with pytest.raises(
        InputError, match=r"table contains 70000, which is too large for float16; .* bfloat16"
    ):
        ours.write(file, {"table": np.float32([1, 70000])}, "float16")
    ours.write(file, {"table": np.float32([1, np.inf])}, "float16")


def test_an_unknown_dtype_is_refused():
    with pytest.raises(InputError, match="dtype must be one of float32, float16, bfloat16"):
        ours.check_dtype("int8")
