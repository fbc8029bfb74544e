"""The configuration of a model for NVIDIA Triton Inference Server.

A folder of versions with this file in it is a model of Triton's model repository. ONNX is a format
of its backends, and SavedModels are none any more.
"""

from collections.abc import Mapping

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference.exported_files import ONNX, ONNX_INT8
from official_nlp.serving.served_network import ServedNetwork

FILE = "config.pbtxt"
_FORMATS = (ONNX, ONNX_INT8)
# Largest batch of a request; more would take memory for nothing.
_MAX_BATCH_SIZE = 64
_TYPES = {tf.int32: "TYPE_INT32", tf.float32: "TYPE_FP32"}


def check_format(format: str) -> None:
    """Refuse a format that Triton does not load.

    Raises:
      InputError: it is another than ONNX.
    """
    if format not in _FORMATS:
        raise InputError(
            f"Triton loads models in the formats {' and '.join(_FORMATS)}, got {format}: give one "
            "of these, or leave --triton out"
        )


def configuration(networks: Mapping[str, ServedNetwork]) -> str:
    """Return the content of `config.pbtxt`, in the text format of protocol buffers.

    Args:
      networks: networks of the model by part.

    Raises:
      InputError: there are two.
    """
    if len(networks) > 1:
        raise InputError(
            f"a model of Triton is one network, and this has {' and '.join(networks)}: export each "
            "from its own folder, or leave --triton out"
        )
    (network,) = networks.values()
    inputs = network.function.structured_input_signature[1]
    outputs = network.function.structured_outputs
    return (
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {_MAX_BATCH_SIZE}\n"
        f"input [\n{_tensors(inputs)}\n]\n"
        f"output [\n{_tensors(outputs)}\n]\n"
    )


def _tensors(specs: Mapping[str, tf.TensorSpec]) -> str:
    return ",\n".join(
        f'  {{ name: "{name}" data_type: {_TYPES[spec.dtype]} {_dims(spec.shape)} }}'
        for name, spec in sorted(specs.items())
    )


def _dims(shape: tf.TensorShape) -> str:
    # The first axis is the batch, which Triton adds.
    sizes = [-1 if size is None else size for size in shape[1:]]
    if not sizes:
        return "dims: [ 1 ] reshape: { shape: [ ] }"  # It knows no tensor without an axis.
    return f"dims: [ {', '.join(map(str, sizes))} ]"
