"""Values of JSON become arrays, or a reason in one line."""

import base64

import numpy as np
import pytest

from official_nlp.serving.server import json_text, tensors
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from official_nlp.serving.server.tensors import Tensor

TEXT = Tensor("text", "string", (None,))
IDS = Tensor("ids", "int32", (None, None))
LIMITS = Limits(text_bytes=10, instances=3)


@pytest.mark.parametrize(
    ("value", "tensor", "expected"),
    [
        (["a", "é"], TEXT, [b"a", "é".encode()]),
        ([{"b64": base64.b64encode(b"hi").decode()}], TEXT, [b"hi"]),
        ([[1, 2], [3, 4]], IDS, [[1, 2], [3, 4]]),
        ([[], []], IDS, [[], []]),
        ([], IDS, []),
        ([1, 2.5], Tensor("x", "float32", (None,)), [1.0, 2.5]),
        ([True], Tensor("x", "bool", (1,)), [True]),
        (7, Tensor("x", "int64", ()), 7),
    ],
)
def test_nested_lists_become_arrays(value, tensor, expected):
    array = tensors.from_nested(value, tensor, LIMITS)
    assert array.tolist() == expected
    assert array.ndim == len(tensor.shape)
    assert array.dtype == (object if tensor.dtype == "string" else tensor.dtype)


@pytest.mark.parametrize(
    ("value", "tensor", "reason"),
    [
        ("a", TEXT, "text must have lists nested 1 deep, but has 'a' at depth 1"),
        (None, TEXT, "but has null at depth 1"),
        ([["a"]], TEXT, "text must hold strings, but has a list of 1"),
        ([1], TEXT, "text must hold strings, but has 1"),
        ([{"b64": "%"}], TEXT, "text must have base64 of UTF-8"),
        ([{"b64": "/w=="}], TEXT, "text must have base64 of UTF-8"),
        (["\ud800"], TEXT, "character 0 is half of a surrogate pair"),
        (["a\0b"], TEXT, "null character at byte 1"),
        (["a" * 11], TEXT, "at most 10 bytes, has one of 11"),
        ([[1], [1, 2]], IDS, "ids must be rectangular, but has lists of 1 and 2 elements"),
        ([[1], 2], IDS, "but has 2 at depth 2"),
        ([[1.0]], IDS, "ids must hold int32, but has 1.0"),
        ([[True]], IDS, "ids must hold int32, but has true"),
        ([[2**31]], IDS, "ids must hold int32, but has 2147483648"),
        ([[None]], IDS, "ids must hold int32, but has null"),
        ([[10**5000]], IDS, "ids must hold int32, but has an integer of 16,610 bits"),
        ([1], Tensor("x", "bool", (None,)), "x must hold bool, but has 1"),
        ([1e300], Tensor("x", "float32", (None,)), "x must hold float32, but has 1e+300"),
        ([1, 2], Tensor("x", "float32", (3,)), "x must have 3 elements at depth 1, has 2"),
    ],
)
def test_a_wrong_value_is_refused(value, tensor, reason):
    with pytest.raises(Refused) as refused:
        tensors.from_nested(value, tensor, LIMITS)
    assert refused.value.status == 400
    assert reason in refused.value.reason


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_data_may_be_flat_or_nested(data):
    assert tensors.from_flat(data, [2, 2], IDS, LIMITS).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("data", "shape", "reason"),
    [
        ([1], 1, "the shape of ids must be a list of sizes, is 1"),
        ([1], [1, -1], "the shape of ids must be a list of sizes, is a list of 2"),
        ([1], [1], "the shape of ids must be [-1, -1], where -1 is any size, is [1]"),
        ("x", [1, 1], "the data of ids must be a list, is 'x'"),
        ([1, [2]], [2, 1], "the data of ids mixes lists and elements"),
        ([1, 2], [1, 1], "must have 1 elements by its shape, has 2"),
        ([[[1]]], [1, 1], "ids must hold int32, but has a list of 1"),
    ],
)
def test_wrong_data_is_refused(data, shape, reason):
    with pytest.raises(Refused) as refused:
        tensors.from_flat(data, shape, IDS, LIMITS)
    assert reason in refused.value.reason


def test_bytes_become_text_again():
    array = np.array([["é".encode(), b"\xff"]], object)
    assert tensors.to_nested(array) == [["é", "\ufffd"]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", "the body must be UTF-8, but byte 0 is not"),
        (b"", "the body must be JSON"),
        (b"{", "the body must be JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "the body must be JSON"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"a":' * 100_000, "the body is nested too deeply"),
        (b"[1]", "the body must be a JSON object, but is a list of 1"),
        (b"null", "the body must be a JSON object, but is null"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body, reason):
    with pytest.raises(Refused) as refused:
        json_text.read_object(body)
    assert refused.value.status == 400
    assert reason in refused.value.reason
    assert "\n" not in refused.value.reason


def test_a_number_that_is_not_finite_is_a_fault_of_the_model():
    with pytest.raises(Refused, match="not finite") as refused:
        json_text.write({"value": float("nan")})
    assert refused.value.status == 500


def test_control_characters_do_not_reach_the_reason():
    assert Refused(400, "a\nb\x1b").reason == "a\\nb\\x1b"
