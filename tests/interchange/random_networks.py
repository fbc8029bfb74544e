"""Weights of random numbers, in the neutral form."""

from collections.abc import Mapping

import numpy as np

from official_nlp.interchange import google_names
from official_nlp.interchange.google_names import Sizes
from official_nlp.interchange.weights import Weights

DISCRIMINATOR = Sizes(
    vocab_size=32,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    intermediate_size=24,
    max_position_embeddings=12,
    type_vocab_size=2,
)


def sizes(hidden_size, **changes) -> Sizes:
    """Return the sizes that google-research gives a generator of this width."""
    values = {**vars(DISCRIMINATOR), "intermediate_size": 4 * hidden_size, **changes}
    return Sizes(**{**values, "hidden_size": hidden_size})


def generator(of=None, shared: Mapping = {}, seed=1, **config) -> Weights:
    """Return a generator; arrays in `shared` replace its own."""
    return _network(
        of or sizes(4), google_names.generator_head, "ElectraForMaskedLM", shared, seed, config
    )


def discriminator(of=DISCRIMINATOR, seed=2, **config) -> Weights:
    """Return a discriminator."""
    return _network(of, google_names.discriminator_head, "ElectraForPreTraining", {}, seed, config)


def pair(sharing="shared") -> dict[str, Weights]:
    """Return a pair with common tables, with separate tables, or of one transformer."""
    second = discriminator()
    if sharing == "shared":
        first = generator(shared=_part(second, "electra.embeddings."))
    elif sharing == "untied":
        first = generator(sizes(8))
    else:
        first = generator(DISCRIMINATOR, _part(second, "electra."), num_attention_heads=2)
    return {"generator": first, "discriminator": second}


def _part(network, prefix) -> dict[str, np.ndarray]:
    return {name: value for name, value in network.arrays.items() if name.startswith(prefix)}


def _network(of, head, architecture, shared, seed, config) -> Weights:
    random = np.random.default_rng(seed)
    variables = [*google_names.tables("", of), *google_names.blocks("", of), *head(of)]
    arrays = {}
    for variable in variables:
        shape = variable.shape[::-1] if variable.variable.endswith("kernel") else variable.shape
        arrays[variable.name] = random.normal(size=shape).astype(np.float32)
    heads = 2 if of.hidden_size == DISCRIMINATOR.hidden_size else 1
    values = {**vars(of), "num_attention_heads": heads, "architectures": [architecture]}
    return Weights({**values, **config}, {**arrays, **shared})
