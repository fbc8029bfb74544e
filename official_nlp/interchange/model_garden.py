"""Checkpoints of Model Garden's `ElectraPretrainer`: TensorFlow 2's graph of objects, read.

Such a file names a variable by the attributes that lead to it, and one that two networks share only
once, under the shorter path. So the graph that lies beside the tensors is followed.
"""

import dataclasses
import os
import pathlib

import numpy as np

from official_nlp.errors import InputError
from official_nlp.files import safe_paths
from official_nlp.interchange import google, tensorflow_files
from official_nlp.interchange.weights import Network

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_WANTED = (
    "a checkpoint of Model Garden's ElectraPretrainer, saved by tf.train.Checkpoint(model=...)"
)
# What the encoder's variables do not tell, as Model Garden has it unless it is told otherwise.
_ACTIVATION = "gelu_new"
_NORM_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class TfnlpCheckpoint:
    """What such a checkpoint holds.

    Attributes:
      prefix: path of its files, without their endings.
      networks: "generator" and "discriminator", or the latter alone.
      ignored: what has no place in an ELECTRA network, by its path in the file: poolers, the
        sentence head, the optimizer.
      notes: sentences on what was assumed, and on what is not there.
      assumed: fields of the configurations that the file does not tell.
      vocabulary: the vocabulary file beside it, or None.
      do_lower_case: of the tokenizer: None, as nothing says it.
    """

    prefix: pathlib.Path
    networks: dict[str, Network]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    assumed: tuple[str, ...] = ("hidden_act",)
    vocabulary: pathlib.Path | None = None
    do_lower_case: bool | None = None


def holds_objects(prefix: str | os.PathLike) -> bool:
    """Whether a checkpoint is one of objects, TensorFlow 2's, and not of named variables."""
    return _reader(prefix).has_tensor(_GRAPH)


def read_tfnlp(path: str | os.PathLike) -> TfnlpCheckpoint:
    """Reads a checkpoint of the whole pre-trainer, or of its `checkpoint_items`.

    Args:
      path: the checkpoint without its files' endings, one of the files, or their folder.

    Raises:
      InputError: there is none, it cannot be read, or it is of another model.
    """
    prefix = tensorflow_files.find_checkpoint(path)
    graph = _Graph(prefix)
    networks = {}
    model = graph.first_with("discriminator_network", (graph.root, graph.at("model")))
    if model is not None:
        networks["generator"] = _generator(graph, model)
        networks["discriminator"] = _discriminator(graph, model)
    elif graph.at("encoder", "_embedding_layer") is not None:
        encoder = graph.need("encoder", start=graph.root)
        networks["discriminator"] = _network(graph, encoder, "ElectraModel", {})
    else:
        raise InputError(_another(graph))
    vocabulary = prefix.with_name(google.VOCABULARY_FILE)
    if vocabulary.is_file():
        safe_paths.inside(prefix.parent, vocabulary.name)
    return TfnlpCheckpoint(
        prefix=prefix,
        networks=networks,
        ignored=graph.unread(),
        notes=_notes(networks),
        vocabulary=vocabulary if vocabulary.is_file() else None,
    )


def _notes(networks) -> tuple[str, ...]:
    notes = [f"hidden_act is {_ACTIVATION}, Model Garden's default, for such a file does not say"]
    if "generator" in networks:
        notes.append(
            "generator: the head of Hugging Face's model and ours has gelu, that of Model Garden's "
            f"task {_ACTIVATION}: its scores differ in the fourth digit"
        )
    else:
        notes += ["no generator in it", "no head of the discriminator in it"]
    return tuple(notes)


def _another(graph) -> str:
    names = graph.children(graph.root)
    if {"generator", "discriminator", "generator_head"} <= set(names):
        return f"{graph.prefix} is the checkpoint of a run: give the run's folder in its place"
    return (
        f"{graph.prefix} must be {_WANTED} or its checkpoint_items; it holds "
        f"{', '.join(names) or 'nothing'}"
    )


def _reader(prefix):
    import tensorflow as tf

    try:
        return tf.train.load_checkpoint(os.fspath(prefix))
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"checkpoint {prefix} cannot be read: {str(error).splitlines()[0]}; copy it again"
        ) from error


class _Graph:
    """A checkpoint's objects: nodes that are numbers, joined by names."""

    root = 0

    def __init__(self, prefix: pathlib.Path):
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        self.prefix = prefix
        self._reader = _reader(prefix)
        if not self._reader.has_tensor(_GRAPH):
            raise InputError(
                f"{prefix} must be {_WANTED}; it holds named variables, as TensorFlow 1 wrote them"
            )
        content = trackable_object_graph_pb2.TrackableObjectGraph()
        content.ParseFromString(self._value(_GRAPH))
        self._nodes = content.nodes
        self._read: set[str] = set()

    def children(self, node: int) -> dict[str, int]:
        return {child.local_name: child.node_id for child in self._nodes[node].children}

    def at(self, *names: str, start: int = root) -> int | None:
        """Returns the object that the names lead to, or None."""
        node = start
        for name in names:
            node = self.children(node).get(name)
            if node is None:
                return None
        return node

    def first_with(self, name: str, nodes) -> int | None:
        """Returns the first of the objects that has a child of the name, or None."""
        return next((n for n in nodes if n is not None and name in self.children(n)), None)

    def need(self, *names: str, start: int) -> int:
        """Returns the object that the names lead to.

        Raises:
          InputError: there is none.
        """
        node = self.at(*names, start=start)
        if node is None:
            raise InputError(
                f"{self.prefix} is not {_WANTED} with networks of type BertEncoder: what should "
                f"have {'.'.join(names)} has {', '.join(self.children(start)) or 'nothing'}"
            )
        return node

    def tensor(self, *names: str, start: int) -> np.ndarray:
        """Returns the value of the variable that the names lead to."""
        key = self._nodes[self.need(*names, start=start)].attributes[0].checkpoint_key
        self._read.add(key)
        return np.asarray(self._value(key), np.float32)

    def _value(self, key: str):
        import tensorflow as tf

        try:
            return self._reader.get_tensor(key)
        except (ValueError, IndexError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(
                f"checkpoint {self.prefix} is damaged: {key.removesuffix(_VALUE)} cannot be read; "
                "copy it again"
            ) from error

    def unread(self) -> tuple[str, ...]:
        """Returns the variables that nobody asked for."""
        keys = set(self._reader.get_variable_to_shape_map()) - self._read - {_GRAPH}
        names = (key.removesuffix(_VALUE) for key in keys if key.endswith(_VALUE))
        return tuple(sorted(name for name in names if name != "save_counter"))


# === Networks ===


def _generator(graph, model) -> Network:
    head = graph.need("masked_lm", start=model)
    dense, norm = (graph.need(part, start=head) for part in ("dense", "layer_norm"))
    tensors = {
        **_dense(graph, dense, "generator_predictions.dense"),
        **_norm(graph, norm, "generator_predictions.LayerNorm"),
        "generator_lm_head.bias": graph.tensor("bias", start=head),
    }
    encoder = graph.need("generator_network", start=model)
    return _network(graph, encoder, "ElectraForMaskedLM", tensors)


def _discriminator(graph, model) -> Network:
    projection = graph.need("discriminator_projection", start=model)
    head = graph.need("discriminator_head", start=model)
    tensors = {
        **_dense(graph, projection, "discriminator_predictions.dense"),
        **_dense(graph, head, "discriminator_predictions.dense_prediction"),
    }
    encoder = graph.need("discriminator_network", start=model)
    return _network(graph, encoder, "ElectraForPreTraining", tensors)


def _network(graph, encoder, architecture, head) -> Network:
    blocks = graph.need("_transformer_layers", start=encoder)
    state = _embeddings(graph, encoder)
    for number, block in graph.children(blocks).items():
        state |= _block(graph, block, f"electra.encoder.layer.{number}")
    words = state["electra.embeddings.word_embeddings.weight"]
    inner = state["electra.encoder.layer.0.intermediate.dense.weight"]
    query = graph.tensor("0", "_attention_layer", "_query_dense", "kernel", start=blocks)
    config = {
        "model_type": "electra",
        "architectures": [architecture],
        "vocab_size": words.shape[0],
        "embedding_size": words.shape[1],
        "hidden_size": inner.shape[1],
        "num_hidden_layers": len(graph.children(blocks)),
        "num_attention_heads": query.shape[1],
        "intermediate_size": inner.shape[0],
        "max_position_embeddings": len(state["electra.embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(state["electra.embeddings.token_type_embeddings.weight"]),
        "hidden_act": _ACTIVATION,
        "layer_norm_eps": _NORM_EPSILON,
    }
    return Network(config, {**state, **head})


def _embeddings(graph, encoder) -> dict:
    """Returns what comes before the layers of a `BertEncoder`, by Hugging Face's names."""
    state = {}
    for attribute, name in (
        ("_embedding_layer", "word_embeddings"),
        ("_position_embedding_layer", "position_embeddings"),
        ("_type_embedding_layer", "token_type_embeddings"),
    ):
        table = graph.tensor(attribute, "embeddings", start=encoder)
        state[f"electra.embeddings.{name}.weight"] = table
    norm = graph.need("_embedding_norm_layer", start=encoder)
    state |= _norm(graph, norm, "electra.embeddings.LayerNorm")
    projection = graph.at("_embedding_projection", start=encoder)
    if projection is not None:
        state |= _dense(graph, projection, "electra.embeddings_project")
    return state


def _block(graph, block, name) -> dict:
    state = {}
    attention = graph.need("_attention_layer", start=block)
    for part in ("query", "key", "value"):
        kernel = graph.tensor(f"_{part}_dense", "kernel", start=attention)  # [inputs, heads, size]
        bias = graph.tensor(f"_{part}_dense", "bias", start=attention)
        state[f"{name}.attention.self.{part}.weight"] = _turned(kernel.reshape(len(kernel), -1))
        state[f"{name}.attention.self.{part}.bias"] = bias.reshape(-1)
    kernel = graph.tensor("_output_dense", "kernel", start=attention)  # [heads, size, outputs]
    kernel = kernel.reshape(-1, kernel.shape[-1])
    state[f"{name}.attention.output.dense.weight"] = _turned(kernel)
    bias = graph.tensor("_output_dense", "bias", start=attention)
    state[f"{name}.attention.output.dense.bias"] = bias
    for part, where in (
        ("_attention_layer_norm", "attention.output.LayerNorm"),
        ("_output_layer_norm", "output.LayerNorm"),
    ):
        state |= _norm(graph, graph.need(part, start=block), f"{name}.{where}")
    for part, where in (
        ("_intermediate_dense", "intermediate.dense"),
        ("_output_dense", "output.dense"),
    ):
        state |= _dense(graph, graph.need(part, start=block), f"{name}.{where}")
    return state


def _dense(graph, layer, name) -> dict:
    return {
        f"{name}.weight": _turned(graph.tensor("kernel", start=layer)),
        f"{name}.bias": graph.tensor("bias", start=layer),
    }


def _norm(graph, layer, name) -> dict:
    return {
        f"{name}.weight": graph.tensor("gamma", start=layer),
        f"{name}.bias": graph.tensor("beta", start=layer),
    }


def _turned(kernel) -> np.ndarray:
    return np.ascontiguousarray(kernel.T)
