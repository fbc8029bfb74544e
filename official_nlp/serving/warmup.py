"""Requests that TensorFlow Serving computes when it loads a model, before it answers any other.

The file is `assets.extra/tf_serving_warmup_requests`, records of the message `PredictionLog`. The
package that defines it, `tensorflow-serving-api`, would be needed for four nested messages alone:
they are written here in the wire format of protocol buffers, in which a field is its number and
type, the size of its content, and the content.

Reference: https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from official_nlp.files import plain_paths

FILE = "assets.extra/tf_serving_warmup_requests"
# A field with a content of stated size: a message or a string.
_SIZED = 2


def write(
    folder: pathlib.Path, model: str, requests: Mapping[str, Mapping[str, Sequence[Any]]]
) -> None:
    """Write the file into the folder of a version.

    Args:
      folder: the folder of a SavedModel.
      model: name of the model.
      requests: strings, or lists of them, by input, for each signature by name.
    """
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(plain_paths.plain(file)) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(model, signature, inputs))


def prediction_log(model: str, signature: str, inputs: Mapping[str, Sequence[Any]]) -> bytes:
    """Return a `PredictionLog` of one request.

    Args:
      model: name of the model.
      signature: name of the signature.
      inputs: strings, or lists of them, by the name of the input.
    """
    # ModelSpec: name = 1, signature_name = 3.
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    # PredictRequest: model_spec = 1, inputs = 2, whose entries are key = 1, value = 2.
    request = _field(1, spec)
    for name, values in inputs.items():
        tensor = tf.make_tensor_proto(values, tf.string).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    # PredictionLog: predict_log = 6; PredictLog: request = 1.
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _SIZED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; all but the last have bit 8."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
