"""The REST interface of TensorFlow Serving, without HTTP."""

import json

import numpy as np
import pytest

from official_nlp.serving.server import rest
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from tests.serving.server import toy

LIMITS = Limits(instances=3)


def read(request):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return rest.read(body, toy.SIGNATURES, LIMITS)


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": ["a b", "c"]},
        {"instances": [{"text": "a b"}, {"text": "c"}]},
        {"inputs": ["a b", "c"]},
        {"inputs": {"text": ["a b", "c"]}},
        {"instances": [{"b64": "YSBi"}, {"b64": "Yw=="}]},
        {"signature_name": "serving_default", "inputs": ["a b", "c"]},
    ],
)
def test_one_request_has_several_spellings(request_):
    prediction = read(request_)
    assert prediction.signature == "serving_default"
    assert prediction.inputs["text"].tolist() == [b"a b", b"c"]


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": [{"text": "a", "text_pair": "b"}]},
        {"inputs": {"text": ["a"], "text_pair": ["b"]}},
    ],
)
def test_several_inputs_have_names(request_):
    inputs = read({"signature_name": "pairs", **request_}).inputs
    assert {name: array.tolist() for name, array in inputs.items()} == {
        "text": [b"a"],
        "text_pair": [b"b"],
    }


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "either instances or inputs"),
        ({"instances": ["a"], "inputs": ["a"]}, "either instances or inputs"),
        ({"instance": ["a"]}, "the request has the unknown field 'instance'"),
        ({"instances": ["a"], "signature_name": "other"}, "unknown signature 'other'"),
        ({"instances": ["a"], "signature_name": ["x"]}, "unknown signature a list of 1"),
        ({"instances": "a"}, "instances must be a list, is 'a'"),
        ({"instances": []}, "from 1 to 3 instances, has 0"),
        ({"instances": ["a"] * 4}, "from 1 to 3 instances, has 4"),
        ({"inputs": ["a"] * 4}, "from 1 to 3 instances, has 4"),
        ({"inputs": []}, "from 1 to 3 instances, has 0"),
        (
            {"instances": [{"text": "a"}, {"txt": "b"}]},
            "instance 1 must be an object with text, is",
        ),
        ({"instances": [{"text": "a"}, "b"]}, "instance 1 must be an object with text, is 'b'"),
        ({"instances": ["a", {"text": "b"}]}, "text must hold strings, but has an object"),
        ({"instances": [["a"]]}, "text must hold strings, but has a list of 1"),
        ({"inputs": {"words": ["a"]}}, "unknown input 'words'; inputs are text"),
        ({"inputs": {}}, "the input text is missing"),
        ({"inputs": None}, "text must have lists nested 1 deep, but has null"),
        ({"signature_name": "pairs", "instances": ["a"]}, "an object of inputs by name is needed"),
        (
            {"signature_name": "pairs", "inputs": {"text": ["a"], "text_pair": ["b", "c"]}},
            "equal numbers of instances",
        ),
        ({"signature_name": "numbers", "instances": [[1], [1, 2]]}, "must be rectangular"),
    ],
)
def test_a_wrong_request_is_refused(request_, reason):
    with pytest.raises(Refused) as refused:
        read(request_)
    assert refused.value.status == 400
    assert reason in refused.value.reason


def answer(request, outputs):
    return rest.answer(read(request), outputs)


TWO = {"a": np.array([1, 2]), "b": np.array([[b"x"], [b"y"]], object)}


def test_an_answer_has_the_form_of_its_request():
    rows, columns = {"instances": ["1", "2"]}, {"inputs": ["1", "2"]}
    assert answer(rows, TWO) == {"predictions": [{"a": 1, "b": ["x"]}, {"a": 2, "b": ["y"]}]}
    assert answer(columns, TWO) == {"outputs": {"a": [1, 2], "b": [["x"], ["y"]]}}
    one = {"a": TWO["a"]}
    assert answer(rows, one) == {"predictions": [1, 2]}
    assert answer(columns, one) == {"outputs": [1, 2]}


@pytest.mark.parametrize("outputs", [{"n": np.int32(1)}, {"a": np.ones(1), "b": np.ones(2)}])
def test_rows_of_outputs_that_are_none_are_refused(outputs):
    with pytest.raises(Refused, match="no rows; give inputs"):
        answer({"instances": ["1", "2"]}, {name: np.asarray(a) for name, a in outputs.items()})


def test_metadata_is_that_of_tensorflow_serving():
    found = rest.metadata("toy", 3, {"numbers": toy.NUMBERS})
    assert found["model_spec"] == {"name": "toy", "signature_name": "", "version": "3"}
    (signature,) = found["metadata"]["signature_def"]["signature_def"].values()
    dims = [{"size": "-1", "name": ""}] * 2
    assert signature["inputs"] == {
        "values": {
            "dtype": "DT_INT32",
            "tensor_shape": {"dim": dims, "unknown_rank": False},
            "name": "values",
        }
    }
    assert rest.status(3)["model_version_status"][0]["state"] == "AVAILABLE"
