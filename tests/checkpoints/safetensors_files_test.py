"""The safetensors format, held against the library of that name."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from official_nlp.checkpoints import safetensors_files
from official_nlp.errors import InputError

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
    return {name: array for name, array, _ in safetensors_files.read(file)}


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


# === As the library has it ===
def test_the_library_reads_what_is_written(file):
    safetensors_files.write(file, STATE, "float32")
    assert_equal(safetensors.numpy.load_file(file), STATE)
    with safetensors.safe_open(file, "np") as content:
        assert content.metadata() == {"format": "pt"}


def test_what_the_library_writes_is_read(file):
    arrays = {name: np.array(value, order="C") for name, value in STATE.items()}
    safetensors.numpy.save_file(arrays, file, metadata={"format": "pt"})
    assert_equal(read(file), STATE)


@pytest.mark.parametrize(("dtype", "numpy"), [("float16", "f2"), ("bfloat16", ml_dtypes.bfloat16)])
def test_half_the_bytes_hold_the_nearest_numbers(file, dtype, numpy):
    safetensors_files.write(file, STATE, dtype)
    rounded = {name: value.astype(numpy).astype(np.float32) for name, value in STATE.items()}
    assert_equal(read(file), rounded)
    assert {dtype for _, _, dtype in safetensors_files.read(file)} == {dtype}
    with safetensors.safe_open(file, "np") as content:
        assert (
            content.get_slice("table").get_dtype() == {"float16": "F16", "bfloat16": "BF16"}[dtype]
        )
    assert file.stat().st_size % 8 == sum(value.size for value in STATE.values()) * 2 % 8


@pytest.mark.parametrize("dtype", ["f8", "i8", "i4", "i2", "i1", "u1", "?"])
def test_other_numbers_become_float32(file, dtype):
    value = np.array([0, 1, 1, 0], dtype)
    safetensors.numpy.save_file({"a": value}, file)
    ((name, array, stored),) = safetensors_files.read(file)
    assert (name, array.dtype, stored) == ("a", np.float32, value.dtype.name)
    np.testing.assert_array_equal(array, value)


def test_tensors_may_be_named_in_any_order(file):
    header = {"b": entry(offsets=(8, 16)), "a": entry()}
    file.write_bytes(raw(header, np.arange(4, dtype=np.float32).tobytes()))
    assert_equal(read(file), {"a": np.float32([0, 1]), "b": np.float32([2, 3])})


def test_sizes_are_told_before_anything_is_written():
    assert safetensors_files.nbytes(STATE["table"], "float32") == 80
    assert safetensors_files.nbytes(STATE["table"], "bfloat16") == 40


# === Refused ===
def test_a_file_cut_off_anywhere_is_refused(file):
    safetensors_files.write(file, STATE, "float32")
    whole = file.read_bytes()
    for length in [0, 5, 8, 20, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut off.* again"):
            read(file)
        with pytest.raises(safetensors.SafetensorError):
            safetensors.numpy.load_file(file)


def test_a_longer_file_is_refused(file):
    safetensors_files.write(file, STATE, "float32")
    with open(file, "ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputError, match=r"must hold \d+ bytes of tensors, but holds"):
        read(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (raw({"a": entry()}, b"8" * 8, length=2**63), "would have 9223372036854775808 bytes"),
        (raw(b"not json", b""), "does not describe tensors"),
        (raw([1, 2]), "does not describe tensors"),
        (raw({"a": 3}, b""), "does not describe tensors"),
        (raw({"a": {"dtype": "F32", "shape": [2]}}), "does not describe tensors"),
        (raw({"a": entry(dtype="F8_E4M3", offsets=(0, 2))}, b"12"), "a as F8_E4M3"),
        (raw({"a": entry(shape=(3,))}, b"8" * 8), r"a has shape \[3\]"),
        (raw({"a": entry(shape=(-2,), offsets=(8, 0))}, b"8" * 8), r"a has shape \[-2\]"),
        (raw({"a": entry(shape=(2.0,))}, b"8" * 8), r"a has shape \[2.0\]"),
        (raw({"a": entry(), "b": entry()}, b"8" * 8), "b begins at byte 0 and not at 8"),
        (raw({"a": entry(offsets=(8, 16))}, b"8" * 16), "a begins at byte 8 and not at 0"),
    ],
)
def test_a_header_that_lies_is_refused(file, content, message):
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(file)


def test_a_number_too_large_for_float16_is_refused(file):
    with pytest.raises(InputError, match=r"table has 70000, too large for float16; .* bfloat16"):
        safetensors_files.write(file, {"table": np.float32([1, 70000])}, "float16")
    safetensors_files.write(file, {"table": np.float32([1, np.inf])}, "float16")


def test_an_unknown_dtype_is_refused():
    with pytest.raises(InputError, match="dtype must be one of float32, float16, bfloat16"):
        safetensors_files.check_dtype("int8")
