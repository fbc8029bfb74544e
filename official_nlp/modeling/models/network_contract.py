"""The contract between the pre-trainer and its networks, our own or foreign ones.

A network takes a dict of `INPUTS` and returns a dict with `sequence_output`. A generator also
offers its word table, to which its head is tied. `ElectraPretrainer` uses networks through these
functions only, so a foreign network needs no base class of ours.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


def network_inputs(inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Return exactly the inputs of a network; fill in those that are missing.

    For a packed batch these are ids, types and `document_ids`, which replace the mask.
    """
    ids = tf.convert_to_tensor(inputs["input_word_ids"])
    mask, types = inputs.get("input_mask"), inputs.get("input_type_ids")
    types = tf.zeros_like(ids) if types is None else tf.convert_to_tensor(types)
    if inputs.get("document_ids") is not None:
        documents = tf.convert_to_tensor(inputs["document_ids"])
        return {"input_word_ids": ids, "input_type_ids": types, "document_ids": documents}
    mask = tf.ones_like(ids) if mask is None else tf.convert_to_tensor(mask)
    # A foreign network may refuse any other key, and rely on these three.
    return dict(zip(INPUTS, (ids, mask, types), strict=True))


def run(network: Any, inputs: Mapping[str, Any], training: bool | None = None) -> tf.Tensor:
    """Return the last sequence output of a network, `[batch, length, width]`.

    Raises:
      InputError: the batch is packed, and the network is not an `ElectraEncoder`.
    """
    arguments = network_inputs(inputs)
    if "document_ids" in arguments and not isinstance(network, ElectraEncoder):
        raise InputError(
            "document_ids must be left out: only an ElectraEncoder keeps the documents of an "
            f"example apart, {type(network).__name__} would attend across them; give each "
            "document an example of its own"
        )
    # A network without dropout may have no argument `training`.
    parameters = inspect.signature(getattr(network, "call", network)).parameters
    options = {"training": training} if "training" in parameters else {}
    return _last(network(arguments, **options)["sequence_output"])


def checked_width(network: Any, argument: str) -> int:
    """Return the width of a network, after a call that checks the contract.

    Args:
      network: the network.
      argument: name of the pre-trainer's argument, for the message.

    Raises:
      TypeError: the network does not return a dict with `sequence_output`.
    """
    if isinstance(network, ElectraEncoder):
        return network.config.hidden_size
    # A foreign network may create its variables in the first call, and the heads need its table.
    # The call is lifted out of any graph, because variables of a graph would be lost with it.
    with tf.init_scope():
        outputs = network(dict.fromkeys(INPUTS, tf.zeros([1, 2], tf.int32)))
    if not isinstance(outputs, dict) or "sequence_output" not in outputs:
        raise TypeError(
            f"{argument} must return a dict with 'sequence_output' when called with a dict of "
            f"{', '.join(INPUTS)}; {type(network).__name__} returned {type(outputs).__name__}"
        )
    return _last(outputs["sequence_output"]).shape[-1]


def embedding_table(network: Any) -> tf.Variable:
    """Return the word table of a network, `[vocab_size, width]`, through the getter that it has.

    Raises:
      TypeError: the network has no getter, or the getter returns no variable.
    """
    if hasattr(network, "get_embedding_table"):
        table = network.get_embedding_table()
    elif hasattr(network, "get_embedding_layer"):
        table = network.get_embedding_layer().embeddings
    else:
        raise TypeError(
            "generator_network must have get_embedding_table() or get_embedding_layer(); "
            f"{type(network).__name__} has neither"
        )
    if not hasattr(table, "assign"):
        raise TypeError(
            "generator_network's word table must be a variable, because the head is tied to it; "
            f"the table of {type(network).__name__} was a {type(table).__name__}"
        )
    return table


def norm_epsilon(network: Any) -> float:
    """Return the epsilon of the network's LayerNorms; 1e-12 is assumed for a foreign network."""
    return network.config.layer_norm_eps if isinstance(network, ElectraEncoder) else 1e-12


def serialize(network: Any, argument: str) -> dict[str, Any]:
    """Return the configuration of a network, after checking that it can be rebuilt from it.

    Args:
      network: the network.
      argument: name of the pre-trainer's argument, for the message.

    Raises:
      InputError: the network cannot be rebuilt.
    """
    # A foreign network may fail with any exception, whose message tells the user what to repair.
    try:
        config = tf_keras.saving.serialize_keras_object(network)
        # Only an attempt shows whether the configuration of a foreign network is complete.
        if not isinstance(network, ElectraEncoder):
            rebuilt = tf_keras.saving.deserialize_keras_object(config)
            checked_width(rebuilt, argument)
            if argument == "generator_network":
                embedding_table(rebuilt)  # Somebody may have set it after construction.
        return config
    except Exception as error:
        raise InputError(
            f"{argument} cannot be rebuilt from its configuration: {type(network).__name__}: "
            f"{error}; save its weights with tf.train.Checkpoint instead"
        ) from error


def _last(sequence: Any) -> tf.Tensor:
    """Return the output of the last layer of a list of outputs, or the only output."""
    return sequence[-1] if isinstance(sequence, (list, tuple)) else sequence
