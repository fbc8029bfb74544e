"""The Open Inference Protocol, without HTTP."""

import json

import numpy as np
import pytest

from official_nlp.serving.server import open_inference
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from tests.serving.server import toy

TEXT = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b c"]}


def read(request):
    return open_inference.read(json.dumps(request).encode(), toy.SIGNATURES, Limits(instances=3))


def test_a_request_is_read():
    inference = read({"id": "7", "inputs": [TEXT], "outputs": [{"name": "size"}]})
    assert inference.inputs["text"].tolist() == [b"a", b"b c"]
    assert (inference.signature, inference.id) == ("serving_default", "7")
    assert inference.outputs == ["size"]


def test_a_parameter_chooses_the_signature():
    ids = {"name": "values", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]}
    inference = read({"parameters": {"signature_name": "numbers"}, "inputs": [ids]})
    assert inference.signature == "numbers"
    assert inference.inputs["values"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "inputs must be a list of objects, each a tensor, is null"),
        ({"inputs": [1]}, "inputs must be a list of objects"),
        ({"inputs": []}, "the input text is missing"),
        ({"input": [TEXT]}, "the request has the unknown field 'input'"),
        ({"inputs": [TEXT], "id": 1}, "id must be a string, is 1"),
        ({"inputs": [TEXT], "parameters": 1}, "parameters must be an object, is 1"),
        ({"inputs": [TEXT], "parameters": {"signature_name": "x"}}, "unknown signature 'x'"),
        ({"inputs": [TEXT, TEXT]}, "inputs has two tensors of one name"),
        ({"inputs": [TEXT], "outputs": [{"name": "x"}]}, "unknown output 'x'; outputs are size"),
        ({"inputs": [TEXT], "outputs": "size"}, "outputs must be a list of objects"),
        ({"inputs": [{**TEXT, "name": "x"}]}, "unknown input 'x'"),
        ({"inputs": [{**TEXT, "name": ["x"]}]}, "unknown input a list of 1"),
        (
            {"inputs": [{**TEXT, "datatype": "FP32"}]},
            "the datatype of text must be BYTES, is 'FP32'",
        ),
        ({"inputs": [{**TEXT, "shape": [3]}]}, "must have 3 elements by its shape, has 2"),
        ({"inputs": [{**TEXT, "shape": [4], "data": ["a"] * 4}]}, "from 1 to 3 instances, has 4"),
        ({"inputs": [{**TEXT, "size": 1}]}, "an input has the unknown field 'size'"),
    ],
)
def test_a_wrong_request_is_refused(request_, reason):
    with pytest.raises(Refused) as refused:
        read(request_)
    assert refused.value.status == 400
    assert reason in refused.value.reason


def test_an_answer_has_flat_data_with_shapes():
    inference = read({"id": "7", "inputs": [TEXT]})
    outputs = toy.measured([b"a", b"b c"])
    assert open_inference.answer(inference, outputs, "toy", 3, toy.SIGNATURE) == {
        "model_name": "toy",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "num_words", "shape": [2], "datatype": "INT32", "data": [1, 2]},
            {"name": "size", "shape": [2], "datatype": "INT32", "data": [1, 3]},
            {"name": "word", "shape": [2, 2], "datatype": "BYTES", "data": ["a", "", "b", "c"]},
        ],
    }


def test_an_answer_has_the_outputs_that_were_asked_for():
    inference = read({"inputs": [TEXT], "outputs": [{"name": "size"}]})
    outputs = {"size": np.array([1, 3], np.int32), "word": np.array([[b""]] * 2, object)}
    answer = open_inference.answer(inference, outputs, "toy", 3, toy.SIGNATURE)
    assert [each["name"] for each in answer["outputs"]] == ["size"]
    assert "id" not in answer


def test_metadata_describe_the_default_signature():
    assert open_inference.metadata("toy", 3, toy.SIGNATURES) == {
        "name": "toy",
        "versions": ["3"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "size", "datatype": "INT32", "shape": [-1]},
            {"name": "word", "datatype": "BYTES", "shape": [-1, -1]},
            {"name": "num_words", "datatype": "INT32", "shape": [-1]},
        ],
    }
