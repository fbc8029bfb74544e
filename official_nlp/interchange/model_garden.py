"""Read checkpoints of Model Garden's `ElectraPretrainer`, object graphs of TensorFlow 2.

Such a checkpoint names a variable by the attributes that lead to it, and names a variable that two
networks share only once, by the shorter path. Names are therefore found by following the object
graph that is stored beside the tensors.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from official_nlp.errors import InputError
from official_nlp.files import plain_paths
from official_nlp.interchange.tensorflow_files import (
    VOCABULARY_FILE,
    file_beside,
    find_checkpoint,
    read_errors,
)
from official_nlp.interchange.weights import EMBEDDINGS, WORD_TABLE, Weights

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_EXPECTED = (
    "a checkpoint of Model Garden's ElectraPretrainer, saved by tf.train.Checkpoint(model=...)"
)
# Defaults of Model Garden for what the variables of an encoder do not show.
_ACTIVATION = "gelu_new"
_NORM_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class ModelGardenCheckpoint:
    """The networks of a Model Garden checkpoint.

    Attributes:
      prefix: path of its files, without their suffixes.
      networks: "generator" and "discriminator", or the latter alone.
      ignored: paths in the file of variables that are no part of an ELECTRA network, such as
        poolers, the sentence head and the optimizer.
      notes: sentences on what was assumed and what is missing.
      assumed: fields of the configurations that the file does not state.
      vocabulary: the vocabulary file beside the checkpoint, or None.
      do_lower_case: whether the tokenizer lower-cases: always None, unknown.
    """

    prefix: pathlib.Path
    networks: Mapping[str, Weights]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    assumed: tuple[str, ...] = ("hidden_act",)
    vocabulary: pathlib.Path | None = None
    do_lower_case: bool | None = None


def is_object_based(prefix: str | os.PathLike) -> bool:
    """Return whether TensorFlow 2 wrote a checkpoint, as objects and not as named variables."""
    return _reader(prefix).has_tensor(_GRAPH)


def read_model_garden(path: str | os.PathLike) -> ModelGardenCheckpoint:
    """Read a checkpoint of the whole pre-trainer, or of its `checkpoint_items`.

    Args:
      path: path of the files without their suffixes, one of the files, or their folder.

    Raises:
      InputError: there is no checkpoint, it cannot be read, or it belongs to another model.
    """
    prefix = find_checkpoint(path)
    try:
        return _read(_Graph(prefix))
    except InputError:
        raise
    except (DecodeError, IndexError, KeyError, TypeError, ValueError) as error:
        # The graph is a protocol buffer of numbers that refer to each other: anything can be wrong.
        raise InputError(
            f"{prefix} must be {_EXPECTED}, but its object graph is damaged or another one "
            f"({type(error).__name__}: {error}); copy it again"
        ) from error


def _read(graph: "_Graph") -> ModelGardenCheckpoint:
    networks = {}
    # Keras' save_weights makes the model the root; tf.train.Checkpoint(model=...) puts it one
    # level below, beside optimizer and step.
    model = graph.first_with("discriminator_network", (graph.root, graph.at("model")))
    if model is not None:
        networks["generator"] = _generator(graph, model)
        networks["discriminator"] = _discriminator(graph, model)
    elif graph.at("encoder", "_embedding_layer") is not None:
        encoder = graph.require("encoder", start=graph.root)
        networks["discriminator"] = _network(graph, encoder, "ElectraModel", {})
    else:
        raise InputError(_other_model(graph))
    return ModelGardenCheckpoint(
        prefix=graph.prefix,
        networks=networks,
        ignored=graph.unread(),
        notes=_notes(networks),
        vocabulary=file_beside(graph.prefix, VOCABULARY_FILE),
    )


def _notes(networks: Mapping[str, Weights]) -> tuple[str, ...]:
    notes = [
        f"assumed hidden_act {_ACTIVATION}, the default of Model Garden, as the checkpoint does "
        "not state it"
    ]
    if "generator" in networks:
        notes.append(
            "generator: its head uses gelu in Hugging Face's model and in ours, but "
            f"{_ACTIVATION} in Model Garden's task: the scores will differ in the fourth digit"
        )
    else:
        notes += ["it holds no generator", "it holds no head of the discriminator"]
    return tuple(notes)


def _other_model(graph: "_Graph") -> str:
    names = graph.children(graph.root)
    if {"generator", "discriminator", "generator_head"} <= set(names):
        return f"{graph.prefix} is the checkpoint of a run: give the run folder instead"
    return (
        f"{graph.prefix} must be {_EXPECTED} or its checkpoint_items; it holds "
        f"{', '.join(names) or 'nothing'}"
    )


def _reader(prefix: str | os.PathLike) -> Any:
    import tensorflow as tf

    try:
        return tf.train.load_checkpoint(plain_paths.plain(prefix))
    except read_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"checkpoint {prefix} cannot be read: {reason}; copy it again") from error


class _Graph:
    """The object graph of a checkpoint: numbered nodes, joined by named edges.

    Args:
      prefix: path of the checkpoint's files without their suffixes.

    Raises:
      InputError: the checkpoint cannot be read, or has no object graph.
    """

    root = 0

    def __init__(self, prefix: pathlib.Path):
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        self.prefix = prefix
        self._reader = _reader(prefix)
        if not self._reader.has_tensor(_GRAPH):
            raise InputError(
                f"{prefix} must be {_EXPECTED}; it holds named variables, as TensorFlow 1 writes "
                "them: read it with --from google"
            )
        content = trackable_object_graph_pb2.TrackableObjectGraph()
        content.ParseFromString(self._value(_GRAPH))
        self._nodes = content.nodes
        self._read: set[str] = set()

    def children(self, node: int) -> dict[str, int]:
        """Return the nodes that the attributes of an object lead to, by name."""
        return {child.local_name: child.node_id for child in self._nodes[node].children}

    def at(self, *names: str, start: int = root) -> int | None:
        """Return the node that a path of attributes leads to, None if there is none."""
        node = start
        for name in names:
            child = self.children(node).get(name)
            if child is None:
                return None
            node = child
        return node

    def first_with(self, name: str, nodes: Iterable[int | None]) -> int | None:
        """Return the first node with an attribute of this name, None if there is none."""
        return next((n for n in nodes if n is not None and name in self.children(n)), None)

    def require(self, *names: str, start: int) -> int:
        """Return the node that a path of attributes leads to.

        Raises:
          InputError: there is no such node.
        """
        node = self.at(*names, start=start)
        if node is None:
            raise InputError(
                f"{self.prefix} must be {_EXPECTED} with networks of type BertEncoder: expected "
                f"{'.'.join(names)}, found {', '.join(self.children(start)) or 'nothing'}"
            )
        return node

    def array(self, *names: str, start: int) -> np.ndarray:
        """Return the value of the variable that a path of attributes leads to, as float32."""
        # A shared variable is stored under one of its paths; the node knows which.
        # Its only attribute is the value.
        key = self._nodes[self.require(*names, start=start)].attributes[0].checkpoint_key
        self._read.add(key)
        return np.asarray(self._value(key), np.float32)

    def _value(self, key: str) -> Any:
        try:
            return self._reader.get_tensor(key)
        except read_errors() as error:
            raise InputError(
                f"checkpoint {self.prefix} is damaged: {key.removesuffix(_VALUE)} cannot be read; "
                "copy it again"
            ) from error

    def unread(self) -> tuple[str, ...]:
        """Return the paths of the variables that were not read."""
        keys = set(self._reader.get_variable_to_shape_map()) - self._read - {_GRAPH}
        names = (key.removesuffix(_VALUE) for key in keys if key.endswith(_VALUE))
        return tuple(sorted(name for name in names if name != "save_counter"))


# === Networks ===


def _generator(graph: _Graph, model: int) -> Weights:
    head = graph.require("masked_lm", start=model)
    dense, norm = (graph.require(part, start=head) for part in ("dense", "layer_norm"))
    arrays = {
        **_dense(graph, dense, "generator_predictions.dense"),
        **_norm(graph, norm, "generator_predictions.LayerNorm"),
        "generator_lm_head.bias": graph.array("bias", start=head),
    }
    encoder = graph.require("generator_network", start=model)
    return _network(graph, encoder, "ElectraForMaskedLM", arrays)


def _discriminator(graph: _Graph, model: int) -> Weights:
    projection = graph.require("discriminator_projection", start=model)
    head = graph.require("discriminator_head", start=model)
    arrays = {
        **_dense(graph, projection, "discriminator_predictions.dense"),
        **_dense(graph, head, "discriminator_predictions.dense_prediction"),
    }
    encoder = graph.require("discriminator_network", start=model)
    return _network(graph, encoder, "ElectraForPreTraining", arrays)


def _network(
    graph: _Graph, encoder: int, architecture: str, head: Mapping[str, np.ndarray]
) -> Weights:
    """Return the network of a `BertEncoder`, with its sizes from the shapes of the variables."""
    # Names with an underscore are private attributes of Model Garden's `BertEncoder` and of its
    # layers: the object graph has no other names.
    blocks = graph.require("_transformer_layers", start=encoder)
    arrays = _embeddings(graph, encoder)
    # The children of a tracked list are named by their positions, 0, 1, ...
    for number, block in graph.children(blocks).items():
        arrays |= _block(graph, block, f"electra.encoder.layer.{number}")
    words = arrays[WORD_TABLE]
    inner = arrays["electra.encoder.layer.0.intermediate.dense.weight"]
    # The merged query matrix does not show the number of heads, but the stored one does.
    query = graph.array("0", "_attention_layer", "_query_dense", "kernel", start=blocks)
    config = {
        "model_type": "electra",
        "architectures": [architecture],
        "vocab_size": words.shape[0],
        "embedding_size": words.shape[1],
        "hidden_size": inner.shape[1],
        "num_hidden_layers": len(graph.children(blocks)),
        "num_attention_heads": query.shape[1],
        "intermediate_size": inner.shape[0],
        "max_position_embeddings": len(arrays[f"{EMBEDDINGS}position_embeddings.weight"]),
        "type_vocab_size": len(arrays[f"{EMBEDDINGS}token_type_embeddings.weight"]),
        "hidden_act": _ACTIVATION,
        "layer_norm_eps": _NORM_EPSILON,
    }
    return Weights(config, {**arrays, **head})


def _embeddings(graph: _Graph, encoder: int) -> dict[str, np.ndarray]:
    """Return what precedes the layers of a `BertEncoder`, by Hugging Face names."""
    arrays = {}
    for attribute, name in (
        ("_embedding_layer", "word_embeddings"),
        ("_position_embedding_layer", "position_embeddings"),
        ("_type_embedding_layer", "token_type_embeddings"),
    ):
        table = graph.array(attribute, "embeddings", start=encoder)
        arrays[f"{EMBEDDINGS}{name}.weight"] = table
    norm = graph.require("_embedding_norm_layer", start=encoder)
    arrays |= _norm(graph, norm, f"{EMBEDDINGS}LayerNorm")
    # As in google-research, absent where embeddings have the width of the layers.
    projection = graph.at("_embedding_projection", start=encoder)
    if projection is not None:
        arrays |= _dense(graph, projection, "electra.embeddings_project")
    return arrays


def _block(graph: _Graph, block: int, name: str) -> dict[str, np.ndarray]:
    """Return a layer, by Hugging Face names; the heads of the attention are merged."""
    arrays = {}
    attention = graph.require("_attention_layer", start=block)
    for part in ("query", "key", "value"):
        kernel = graph.array(f"_{part}_dense", "kernel", start=attention)  # [inputs, heads, size]
        bias = graph.array(f"_{part}_dense", "bias", start=attention)
        arrays[f"{name}.attention.self.{part}.weight"] = _transposed(
            kernel.reshape(len(kernel), -1)
        )
        arrays[f"{name}.attention.self.{part}.bias"] = bias.reshape(-1)
    kernel = graph.array("_output_dense", "kernel", start=attention)  # [heads, size, outputs]
    kernel = kernel.reshape(-1, kernel.shape[-1])
    arrays[f"{name}.attention.output.dense.weight"] = _transposed(kernel)
    bias = graph.array("_output_dense", "bias", start=attention)
    arrays[f"{name}.attention.output.dense.bias"] = bias
    for part, where in (
        ("_attention_layer_norm", "attention.output.LayerNorm"),
        ("_output_layer_norm", "output.LayerNorm"),
    ):
        arrays |= _norm(graph, graph.require(part, start=block), f"{name}.{where}")
    for part, where in (
        ("_intermediate_dense", "intermediate.dense"),
        ("_output_dense", "output.dense"),
    ):
        arrays |= _dense(graph, graph.require(part, start=block), f"{name}.{where}")
    return arrays


def _dense(graph: _Graph, layer: int, name: str) -> dict[str, np.ndarray]:
    return {
        f"{name}.weight": _transposed(graph.array("kernel", start=layer)),
        f"{name}.bias": graph.array("bias", start=layer),
    }


def _norm(graph: _Graph, layer: int, name: str) -> dict[str, np.ndarray]:
    return {
        f"{name}.weight": graph.array("gamma", start=layer),
        f"{name}.bias": graph.array("beta", start=layer),
    }


def _transposed(kernel: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(kernel.T)
