"""What the pre-trainer asks of a network, ours or another's."""

import inspect

import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


def network_inputs(inputs) -> dict:
    """Returns exactly the three inputs, filled in where they are missing.

    Of a packed batch: ids, types and `document_ids`, which say what the mask says and more.
    """
    ids = tf.convert_to_tensor(inputs["input_word_ids"])
    mask, types = inputs.get("input_mask"), inputs.get("input_type_ids")
    types = tf.zeros_like(ids) if types is None else tf.convert_to_tensor(types)
    if inputs.get("document_ids") is not None:
        documents = tf.convert_to_tensor(inputs["document_ids"])
        return {"input_word_ids": ids, "input_type_ids": types, "document_ids": documents}
    mask = tf.ones_like(ids) if mask is None else tf.convert_to_tensor(mask)
    return dict(zip(INPUTS, (ids, mask, types), strict=True))


def run(network, inputs, training=None) -> tf.Tensor:
    """Returns the last sequence output `[batch, length, width]`.

    Raises:
      InputError: the batch is packed, and the network does not know how.
    """
    given = network_inputs(inputs)
    if "document_ids" in given and not isinstance(network, ElectraEncoder):
        raise InputError(
            "document_ids must be left out: they are for ElectraEncoder, and "
            f"{type(network).__name__} would let documents of a row see each other; give each "
            "document a row of its own"
        )
    # A network without dropout need not know of training.
    knows = "training" in inspect.signature(getattr(network, "call", network)).parameters
    outputs = network(given, **({"training": training} if knows else {}))
    return _last(outputs["sequence_output"])


def checked_width(network, argument: str) -> int:
    """Returns the width of a network, after a call has shown that it keeps the contract.

    Raises:
      TypeError: it does not; says what is missing.
    """
    if isinstance(network, ElectraEncoder):
        return network.config.hidden_size
    # A foreign network may make its variables only now; its table is needed for the heads.
    with tf.init_scope():
        outputs = network(dict.fromkeys(INPUTS, tf.zeros([1, 2], tf.int32)))
    if not isinstance(outputs, dict) or "sequence_output" not in outputs:
        raise TypeError(
            f"{argument} must return a dict with 'sequence_output' when called with a dict of "
            f"{', '.join(INPUTS)}; {type(network).__name__} returned {type(outputs).__name__}"
        )
    return _last(outputs["sequence_output"]).shape[-1]


def embedding_table(network):
    """Returns the variable `[vocab_size, width]`, from whichever getter the network has.

    Raises:
      TypeError: it has none, or what it gives is no variable.
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
            "generator_network's word table must be a variable, which its head is tied to; that of "
            f"{type(network).__name__} was a {type(table).__name__}"
        )
    return table


def norm_epsilon(network) -> float:
    """Returns what the network's LayerNorms add to the variance, as far as it says."""
    return network.config.layer_norm_eps if isinstance(network, ElectraEncoder) else 1e-12


def serialize(network, argument: str) -> dict:
    """Returns the network's configuration, of which it can be built again.

    Raises:
      InputError: it cannot.
    """
    try:
        config = tf_keras.saving.serialize_keras_object(network)
        if not isinstance(network, ElectraEncoder):
            again = tf_keras.saving.deserialize_keras_object(config)
            checked_width(again, argument)
            if argument == "generator_network":
                embedding_table(again)  # which may have been given to the network by hand
        return config
    except Exception as error:
        raise InputError(
            f"{argument} cannot be rebuilt from its configuration: {type(network).__name__}: "
            f"{error}; save its weights with tf.train.Checkpoint instead"
        ) from error


def _last(sequence):
    return sequence[-1] if isinstance(sequence, (list, tuple)) else sequence
