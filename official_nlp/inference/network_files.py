"""Run networks that were exported as ONNX or LiteRT files, each with the runtime of its format.

Run as a program, this file computes outputs in a new process, which has numpy and that runtime
alone. It must therefore import nothing of this package, and no TensorFlow:

  python network_files.py model.onnx inputs.npz outputs.npz
"""

import abc
import pathlib
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# Packages that a program without this one does not have.
_ABSENT = ("official_nlp", "tensorflow", "tf_keras")
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32"}
_ONLY_ERRORS = 3  # ONNX Runtime's level of messages.


class Tensor(NamedTuple):
    """An input or output.

    Attributes:
      name: its name.
      dtype: name of its dtype.
      shape: its sizes; None for one that differs between calls.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class NetworkFile(abc.ABC):
    """A network that takes and returns arrays.

    Attributes:
      inputs, outputs: its inputs and outputs.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    @abc.abstractmethod
    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name for an array of each input, int32 of any sizes."""


class OnnxFile(NetworkFile):
    """A network in ONNX, which ONNX Runtime computes on the processor.

    Args:
      content: the content of the file.
    """

    def __init__(self, content: bytes):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ONLY_ERRORS
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = [_onnx_tensor(each) for each in self._session.get_inputs()]
        self.outputs = [_onnx_tensor(each) for each in self._session.get_outputs()]

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [each.name for each in self.outputs]
        return dict(zip(names, self._session.run(names, dict(feed))))


def _onnx_tensor(found: Any) -> Tensor:
    # A size that differs between calls has a name in place of a number.
    shape = tuple(size if isinstance(size, int) else None for size in found.shape)
    return Tensor(found.name, _ONNX_TYPES[found.type], shape)


class LiteRtFile(NetworkFile):
    """A network in LiteRT, formerly TensorFlow Lite.

    Args:
      content: the content of the file.
    """

    def __init__(self, content: bytes):
        from ai_edge_litert.interpreter import Interpreter

        # The one signature of the file. Its runner resizes the inputs to each call.
        self._run = Interpreter(model_content=content).get_signature_runner()
        self.inputs = _litert_tensors(self._run.get_input_details())
        self.outputs = _litert_tensors(self._run.get_output_details())
        # An interpreter holds the tensors of one call.
        self._lock = threading.Lock()

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            return self._run(**feed)


def _litert_tensors(details: Mapping[str, Mapping[str, Any]]) -> list[Tensor]:
    return [
        Tensor(
            name,
            np.dtype(each["dtype"]).name,
            tuple(None if size < 0 else int(size) for size in each["shape_signature"]),
        )
        for name, each in sorted(details.items())
    ]


_BY_SUFFIX = {".onnx": OnnxFile, ".tflite": LiteRtFile}


def open_network(name: str, content: bytes) -> NetworkFile:
    """Return the network of a file.

    Args:
      name: name of the file, whose suffix is that of its format.
      content: its content.

    Raises:
      ModuleNotFoundError: the runtime of the format is not installed.
      Exception: of any class, if the runtime cannot read the content.
    """
    return _BY_SUFFIX[pathlib.PurePath(name).suffix](content)


# === The program ===


def _main(file: str, inputs: str, outputs: str) -> None:
    """Compute the outputs of several calls.

    Args:
      file: file of a network.
      inputs: archive of arrays, `CALL/NAME` for the input NAME of the call CALL.
      outputs: archive to write, in the same form.
    """
    network = open_network(file, pathlib.Path(file).read_bytes())
    calls: dict[str, dict[str, np.ndarray]] = {}
    with np.load(inputs) as archive:
        for key in archive.files:
            call, _, name = key.partition("/")
            calls.setdefault(call, {})[name] = archive[key]
    results: dict[str, Any] = {}
    for call, feed in calls.items():
        for name, array in network.run(feed).items():
            results[f"{call}/{name}"] = array
    present = [name for name in _ABSENT if name in sys.modules]
    if present:
        raise SystemExit(f"the file must run without {', '.join(present)}, but imported it")
    np.savez(outputs, **results)


if __name__ == "__main__":
    _main(*sys.argv[1:])
