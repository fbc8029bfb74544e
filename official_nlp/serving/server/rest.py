"""The REST interface of TensorFlow Serving.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from official_nlp.serving.server import json_text, tensors
from official_nlp.serving.server.json_text import described
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused, bad
from official_nlp.serving.server.tensors import Arrays, Signature

DEFAULT = "serving_default"
_FIELDS = ("signature_name", "instances", "inputs")


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A request to compute.

    Attributes:
      signature: name of the signature.
      inputs: arrays by name.
      by_row: whether the answer is a list of instances, and not of columns.
    """

    signature: str
    inputs: Arrays
    by_row: bool


def read(body: bytes, signatures: Mapping[str, Signature], limits: Limits) -> PredictRequest:
    """Read the body of `:predict`.

    Args:
      body: a JSON object with `instances` (a list of rows) or `inputs` (columns), and optionally
        `signature_name`.
      signatures: those of the model by name.
      limits: limits of the server.

    Raises:
      Refused: the body is no valid request for this model.
    """
    request = json_text.read_object(body)
    json_text.check_fields(request, _FIELDS, "the request")
    name = request.get("signature_name", DEFAULT)
    signature = named(name, signatures)
    if ("instances" in request) == ("inputs" in request):
        raise bad("the request must have either instances or inputs")
    by_row = "instances" in request
    values = _columns(request["instances"], signature, limits) if by_row else request["inputs"]
    if not by_row and not _is_by_name(values, signature):
        values = {next(iter(signature.inputs)): values}
    arrays = {
        key: tensors.from_nested(value, tensors.input_named(key, signature), limits)
        for key, value in values.items()
    }
    tensors.check_inputs(arrays, signature, limits)
    return PredictRequest(name, arrays, by_row)


def named(name: Any, signatures: Mapping[str, Signature]) -> Signature:
    """Return a signature.

    Raises:
      Refused: there is none of this name.
    """
    if not isinstance(name, str) or name not in signatures:
        raise bad(
            f"unknown signature {described(name)}; signatures are {', '.join(sorted(signatures))}"
        )
    return signatures[name]


def _is_by_name(values: Any, signature: Signature) -> bool:
    """Return whether a value has inputs by name, and is not the only input."""
    if isinstance(values, dict) and not (
        values.keys() == {"b64"} and "b64" not in signature.inputs
    ):
        return True
    if len(signature.inputs) == 1:
        return False
    raise bad(
        f"with the inputs {', '.join(signature.inputs)} an object of inputs by name is needed, not "
        f"{described(values)}"
    )


def _columns(instances: Any, signature: Signature, limits: Limits) -> dict[str, list]:
    """Return the values of each input over the instances."""
    if not isinstance(instances, list):
        raise bad(f"instances must be a list, is {described(instances)}")
    # Before the instances are looked at, of which there may be a million.
    if not 1 <= len(instances) <= limits.instances:
        raise bad(
            f"a request must have from 1 to {limits.instances:,} instances, has {len(instances):,}"
        )
    if not _is_by_name(instances[0], signature):
        return {next(iter(signature.inputs)): instances}
    columns: dict[str, list] = {name: [] for name in signature.inputs}
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != columns.keys():
            what = (
                f"an object with {', '.join(instance) or 'nothing'}"
                if isinstance(instance, dict)
                else described(instance)
            )
            raise bad(
                f"instance {number} must be an object with {', '.join(columns)}, is {what[:200]}"
            )
        for name, value in instance.items():
            columns[name].append(value)
    return columns


def answer(prediction: PredictRequest, outputs: Arrays) -> dict[str, Any]:
    """Return the answer to a prediction.

    Raises:
      Refused: rows were asked for, and the outputs have none.
    """
    columns = {name: tensors.to_nested(array) for name, array in sorted(outputs.items())}
    if not prediction.by_row:
        return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}
    shapes = {array.shape[:1] for array in outputs.values()}
    if len(shapes) > 1 or shapes == {()}:
        raise Refused(400, "the outputs of this signature are no rows; give inputs, not instances")
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row)) for row in zip(*columns.values())]}


def status(version: int) -> dict[str, Any]:
    """Return the status of a model with one version, which is loaded."""
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [{"version": str(version), "state": "AVAILABLE", "status": fine}]
    }


def metadata(name: str, version: int, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Return the description of a model."""
    described_signatures = {
        key: {
            "inputs": _tensor_infos(signature.inputs),
            "outputs": _tensor_infos(signature.outputs),
            "method_name": "tensorflow/serving/predict",
        }
        for key, signature in signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": described_signatures}},
    }


def _tensor_infos(sides: Mapping[str, tensors.Tensor]) -> dict[str, Any]:
    return {
        name: {
            "dtype": tensors.DTYPES[tensor.dtype][1],
            "tensor_shape": {
                "dim": [{"size": str(n), "name": ""} for n in tensors.wire_shape(tensor)],
                "unknown_rank": False,
            },
            "name": name,
        }
        for name, tensor in sides.items()
    }
