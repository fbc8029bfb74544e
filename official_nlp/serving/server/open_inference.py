"""The Open Inference Protocol, version 2, in JSON.

Source: https://github.com/kserve/open-inference-protocol
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp.serving.server import json_text, rest, tensors
from official_nlp.serving.server.json_text import described
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import bad
from official_nlp.serving.server.tensors import Arrays, Signature

_FIELDS = ("id", "parameters", "inputs", "outputs")
_INPUT_FIELDS = ("name", "shape", "datatype", "parameters", "data")


@dataclasses.dataclass(frozen=True)
class InferRequest:
    """A request to compute.

    Attributes:
      signature: name of the signature.
      inputs: arrays by name.
      outputs: names of the outputs to return; empty for all.
      id: identifier that the answer repeats, or None.
    """

    signature: str
    inputs: Arrays
    outputs: Sequence[str]
    id: str | None


def read(body: bytes, signatures: Mapping[str, Signature], limits: Limits) -> InferRequest:
    """Read the body of `/infer`.

    The parameter `signature_name` of the request chooses a signature; the protocol knows none.

    Args:
      body: a JSON object as the protocol defines it.
      signatures: those of the model by name.
      limits: limits of the server.

    Raises:
      Refused: the body is no valid request for this model.
    """
    request = json_text.read_object(body)
    json_text.check_fields(request, _FIELDS, "the request")
    identifier = request.get("id")
    if not isinstance(identifier, str | None):
        raise bad(f"id must be a string, is {described(identifier)}")
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad(f"parameters must be an object, is {described(parameters)}")
    name = parameters.get("signature_name", rest.DEFAULT)
    signature = rest.named(name, signatures)
    inputs = _objects(request.get("inputs"), "inputs")
    arrays = dict(_input(each, signature, limits) for each in inputs)
    if len(arrays) < len(inputs):
        raise bad("inputs has two tensors of one name")
    tensors.check_inputs(arrays, signature, limits)
    wanted: list[Any] = [
        each.get("name") for each in _objects(request.get("outputs", []), "outputs")
    ]
    for output in wanted:
        if not isinstance(output, str) or output not in signature.outputs:
            raise bad(
                f"unknown output {described(output)}; outputs are {', '.join(signature.outputs)}"
            )
    return InferRequest(name, arrays, wanted, identifier)


def _objects(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise bad(f"{what} must be a list of objects, each a tensor, is {described(value)}")
    return value


def _input(given: dict[str, Any], signature: Signature, limits: Limits) -> tuple[str, Any]:
    json_text.check_fields(given, _INPUT_FIELDS, "an input")
    tensor = tensors.input_named(given.get("name"), signature)
    datatype = tensors.DTYPES[tensor.dtype][0]
    if given.get("datatype") != datatype:
        raise bad(
            f"the datatype of {tensor.name} must be {datatype}, is "
            f"{described(given.get('datatype'))}"
        )
    return tensor.name, tensors.from_flat(given.get("data"), given.get("shape"), tensor, limits)


def answer(
    inference: InferRequest, outputs: Arrays, name: str, version: int, signature: Signature
) -> dict[str, Any]:
    """Return the answer to an inference."""
    result: dict[str, Any] = {"model_name": name, "model_version": str(version)}
    if inference.id is not None:
        result["id"] = inference.id
    result["outputs"] = [
        {
            "name": key,
            "shape": list(outputs[key].shape),
            "datatype": tensors.DTYPES[signature.outputs[key].dtype][0],
            "data": tensors.to_nested(outputs[key].reshape(-1)),
        }
        for key in inference.outputs or sorted(outputs)
    ]
    return result


def metadata(name: str, version: int, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Return the description of a model: inputs and outputs of its default signature."""
    signature = signatures.get(rest.DEFAULT) or next(iter(signatures.values()))
    return {
        "name": name,
        "versions": [str(version)],
        "platform": "tensorflow_savedmodel",
        "inputs": _tensors(signature.inputs),
        "outputs": _tensors(signature.outputs),
    }


def _tensors(sides: Mapping[str, tensors.Tensor]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": tensors.DTYPES[tensor.dtype][0],
            "shape": tensors.wire_shape(tensor),
        }
        for name, tensor in sides.items()
    ]
