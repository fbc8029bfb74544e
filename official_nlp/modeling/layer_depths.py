"""Depth of each variable of a model with an encoder, for learning rates that depend on it."""

from typing import Any

from official_nlp.modeling.networks.electra_encoder import ElectraEncoder


def depths(model: Any) -> dict[Any, int]:
    """Return the depth of every variable: from 0 at the embeddings to that of the head.

    Args:
      model: an `ElectraEncoder`, or a model that has one in the attribute `encoder`.

    Returns:
      Dict from `variable.ref()` to depth: 0 for the embeddings and their projection, i + 1 for
      layer i of the encoder, and the number of layers + 1 for all other variables. A head that is
      tied to the word table has no table of its own, so that variable is one of the embeddings.
    """
    encoder = model if isinstance(model, ElectraEncoder) else model.encoder
    parts = [encoder.embeddings, *encoder.transformer_layers]
    found = {v.ref(): depth for depth, part in enumerate(parts) for v in part.variables}
    if encoder.embeddings_project is not None:
        found |= {v.ref(): 0 for v in encoder.embeddings_project.variables}
    head = len(encoder.transformer_layers) + 1
    return {v.ref(): found.get(v.ref(), head) for v in model.variables}
