"""A version of an exported model in memory: signatures as functions of numpy arrays.

This is the only module of the server that imports TensorFlow. It imports no Keras.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers operations

from official_nlp.errors import InputError
from official_nlp.files import plain_paths
from official_nlp.inference import exported_files
from official_nlp.ranges import shown
from official_nlp.serving.server.refused import Refused, bad
from official_nlp.serving.server.tensors import DTYPES, Arrays, Signature, Tensor

# Beginnings of lines of an error of TensorFlow that say where in the graph it happened.
_WHERE = ("Graph execution error", "Detected at node", "<stack traces", "[[")


class ModelVersion:
    """One version of a model.

    Attributes:
      folder: folder of the version.
      version: its number.
      head: name of the head, such as "SequenceClassifier"; None if the folder does not say.
      length: largest number of tokens that are computed of a text, in all its windows; None if the
        folder does not say.
      signatures: by name, those with dtypes that JSON can express.

    Args:
      folder: a SavedModel in a folder whose name is a number.

    Raises:
      InputError: the folder holds no SavedModel that can be loaded, or no signature.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.version = int(folder.name)
        self.head: str | None = None
        self.length: int | None = None
        if (folder / exported_files.DESCRIPTION).exists():
            description = exported_files.Description.read(folder)
            self.head = description.head
            self.length = description.length * description.windows
        try:
            self._loaded = tf.saved_model.load(plain_paths.plain(folder))
        # TensorFlow has many ways to fail on a damaged file.
        except Exception as error:
            raise InputError(
                f"cannot load {folder}: {shown(_reason(error))}; {exported_files.ADVICE}"
            ) from error
        signatures = {name: _signature(f) for name, f in self._loaded.signatures.items()}
        self.signatures: Mapping[str, Signature] = {
            name: s for name, s in signatures.items() if s is not None
        }
        if not self.signatures:
            raise InputError(
                f"{folder} must have a signature of strings, numbers and booleans, but has none; "
                f"{exported_files.ADVICE}"
            )

    def run(self, name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Compute a signature.

        Args:
          name: name of the signature.
          inputs: arrays by name; strings are bytes objects.

        Raises:
          Refused: the model refuses the values, or the memory does not suffice.
        """
        tensors = self.signatures[name].inputs
        feed = {
            key: tf.constant(array, tensors[key].dtype, array.shape)
            for key, array in inputs.items()
        }
        try:
            outputs = self._loaded.signatures[name](**feed)
        except tf.errors.InvalidArgumentError as error:
            raise bad(f"the model refuses the input: {shown(_reason(error))}") from error
        except tf.errors.ResourceExhaustedError as error:
            raise Refused(503, "the memory of the server does not suffice for this") from error
        return {key: tensor.numpy() for key, tensor in outputs.items()}

    def warm_up(self) -> None:
        """Compute each signature once, which lets TensorFlow prepare it.

        Raises:
          InputError: a signature cannot be computed.
        """
        for name, signature in self.signatures.items():
            try:
                self.run(name, {key: _sample(each) for key, each in signature.inputs.items()})
            except Refused:
                pass  # The values are arbitrary, and the model may ask for others.
            except Exception as error:
                raise InputError(
                    f"cannot compute {name} of {self.folder}: {shown(_reason(error))}; "
                    f"{exported_files.ADVICE}"
                ) from error


def _signature(function: Any) -> Signature | None:
    """Return inputs and outputs, or None if JSON cannot express one."""
    sides = []
    for specs in (function.structured_input_signature[1], function.structured_outputs):
        if any(spec.dtype.name not in DTYPES or spec.shape.rank is None for spec in specs.values()):
            return None
        sides.append(
            {
                name: Tensor(name, spec.dtype.name, tuple(spec.shape))
                for name, spec in sorted(specs.items())
            }
        )
    return Signature(*sides)


def _sample(tensor: Tensor) -> np.ndarray:
    shape = [1 if size is None else size for size in tensor.shape]
    if tensor.dtype == "string":
        return np.full(shape, b"one two", object)
    return np.ones(shape, tensor.dtype)


def _reason(error: Exception) -> str:
    """Return the first line of an error that says what is wrong."""
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    lines = [line.strip() for line in message.splitlines()]
    found = (line for line in lines if line and not line.startswith(_WHERE))
    return next(found, type(error).__name__)
