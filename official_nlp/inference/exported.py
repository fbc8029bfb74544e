"""Open the folders that `electra export` writes, for `Predictor`.

Results are computed from token ids by the exported networks and from their outputs by the heads of
this package, so that long texts, windows and options are treated as for the model that was
exported.

A SavedModel is a program of TensorFlow operations, and the files of other formats are programs of
their runtimes: open only folders that you trust.
"""

import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError, missing_package
from official_nlp.files import plain_paths
from official_nlp.inference import network_files
from official_nlp.inference.exported_files import (
    ADVICE,
    DESCRIPTION,
    EXTRAS,
    GRAPH_FILE,
    SAVED_MODEL,
    TOKENIZER,
    Description,
)
from official_nlp.inference.network_files import NetworkFile
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.ranges import shown

# Inputs that a caller may leave out: a value for every token.
_DEFAULTS = {"input_mask": 1, "input_type_ids": 0}

# A function of int32 tensors, which are keywords with the names of the inputs.
Function = Callable[..., dict[str, tf.Tensor]]


class ExportedNetwork:
    """A network of an exported folder, in place of the Keras model that it was.

    Attributes:
      model_class: class of the Keras model.
      config: its configuration.

    Args:
      function: the exported function.
      names: names of its inputs.
      model_class, config: see the attributes.

    Call:
      inputs: dict of integer tensors with names of the network's inputs; others are ignored.
      training: must be False.

      Returns a dict of the outputs.
    """

    def __init__(
        self, function: Function, names: Sequence[str], model_class: type, config: ElectraConfig
    ):
        self._function = function
        self._names = tuple(names)
        self.model_class = model_class
        self.config = config

    def __call__(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        if training:
            raise InputError("an exported model cannot be trained, got training=True")
        ids = tf.cast(inputs["input_word_ids"], tf.int32)
        values = {"input_word_ids": ids}
        for name in self._names:
            if name in inputs:
                values[name] = tf.cast(inputs[name], tf.int32)
            elif name in _DEFAULTS:
                values[name] = tf.fill(tf.shape(ids), _DEFAULTS[name])
        return self._function(**values)


def open_networks(
    version: pathlib.Path, classes: Mapping[str, type]
) -> tuple[dict[str, ExportedNetwork], ElectraTokenizer, int]:
    """Return the networks of a version by part, their tokenizer and the length of sequences.

    Args:
      version: folder of the version.
      classes: classes of models by their Hugging Face names.

    Raises:
      InputError: the folder is damaged, or of a class that is not known; or the packages of its
        format are not installed.
    """
    described = Description.read(version)
    tokenizer = ElectraTokenizer.from_pretrained(version / TOKENIZER)
    if described.format == SAVED_MODEL:
        open_one = _saved_model(version)
    else:

        def open_one(network):
            return _network_file(version, described.format, network)

    networks = {}
    for part, network in described.networks.items():
        try:
            model_class = classes[network["class"]]
            config = ElectraConfig.from_dict(dict(network["config"]))
            function, names = open_one(network)
        except KeyError as error:
            raise InputError(
                f"{version / DESCRIPTION} names {error}, which this program or the graph does not "
                f"have; {ADVICE}"
            ) from error
        networks[part] = ExportedNetwork(function, names, model_class, config)
    return networks, tokenizer, described.length


def _unreadable(path: pathlib.Path, error: Exception) -> InputError:
    return InputError(f"{path} could not be loaded: {shown(str(error))}; {ADVICE}")


def _saved_model(
    version: pathlib.Path,
) -> Callable[[Mapping[str, Any]], tuple[Function, Sequence[str]]]:
    """Return a function that finds a network in a SavedModel, by its description."""
    # Its operations must be registered before the graph is read.
    import tensorflow_text  # noqa: F401

    try:
        loaded = tf.saved_model.load(plain_paths.plain(version / GRAPH_FILE).rpartition("/")[0])
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _unreadable(version, error) from error

    def find(network: Mapping[str, Any]) -> tuple[Function, Sequence[str]]:
        signature = loaded.signatures[network["signature"]]

        def function(**values):
            # The variables live as long as the loaded object.
            return loaded.signatures[network["signature"]](**values)

        return function, tuple(signature.structured_input_signature[1])

    return find


def _network_file(
    version: pathlib.Path, written_as: str, network: Mapping[str, Any]
) -> tuple[Function, Sequence[str]]:
    """Return the network of a file, by its description, and the names of its inputs."""
    name = str(network["file"])
    file = version / pathlib.PurePath(name).name  # Nothing outside the folder is read.
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    # A runtime computes what is left of a damaged file, or stops the whole process.
    if hashlib.sha256(content).hexdigest() != network["sha256"]:
        raise InputError(f"{file} is not the file that was exported, or is damaged; {ADVICE}")
    try:
        opened = network_files.open_network(name, content)
    except ModuleNotFoundError as error:
        raise missing_package(
            f"a model in the format {written_as}", str(error.name), EXTRAS[written_as]
        ) from error
    except Exception as error:  # Each runtime has errors of its own.
        raise _unreadable(file, error) from error
    return in_graph(opened), [each.name for each in opened.inputs]


def in_graph(network: NetworkFile) -> Function:
    """Return a network as a function of tensors, which calls the runtime from a graph."""

    def function(**values: tf.Tensor) -> dict[str, tf.Tensor]:
        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            found = network.run(dict(zip(values, arrays)))
            return [found[each.name] for each in network.outputs]

        dtypes = [tf.as_dtype(each.dtype) for each in network.outputs]
        # Prediction is no step of training, and the runtime is not TensorFlow's.
        results = tf.numpy_function(run, list(values.values()), dtypes)  # noqa: TID251
        outputs = {}
        # Outside a graph, one result is no list.
        for each, result in zip(network.outputs, tf.nest.flatten(results)):
            outputs[each.name] = tf.ensure_shape(result, each.shape)
        return outputs

    return function
