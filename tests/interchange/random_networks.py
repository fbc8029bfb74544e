"""Networks of random numbers, in the form between all formats."""

import numpy as np

from official_nlp.interchange import google_names
from official_nlp.interchange.google_names import Sizes
from official_nlp.interchange.weights import Network

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
    """The sizes that google's code gives a generator of this width."""
    values = {**vars(DISCRIMINATOR), "intermediate_size": 4 * hidden_size, **changes}
    return Sizes(**{**values, "hidden_size": hidden_size})


def generator(of=None, shared=(), seed=1, **config) -> Network:
    """A generator; with the tables of `shared`, or all tensors of an encoder."""
    return _network(
        of or sizes(4), google_names.generator_head, "ElectraForMaskedLM", shared, seed, config
    )


def discriminator(of=DISCRIMINATOR, seed=2, **config) -> Network:
    return _network(of, google_names.discriminator_head, "ElectraForPreTraining", (), seed, config)


def pair(sharing="shared") -> dict[str, Network]:
    """A pair with common tables, with tables each, or of one transformer."""
    second = discriminator()
    if sharing == "shared":
        first = generator(shared=_part(second, "electra.embeddings."))
    elif sharing == "untied":
        first = generator(sizes(8))
    else:
        first = generator(DISCRIMINATOR, _part(second, "electra."), num_attention_heads=2)
    return {"generator": first, "discriminator": second}


def _part(network, prefix) -> dict:
    return {name: value for name, value in network.state.items() if name.startswith(prefix)}


def _network(of, head, architecture, shared, seed, config) -> Network:
    draw = np.random.default_rng(seed)
    variables = [*google_names.tables("", of), *google_names.blocks("", of), *head(of)]
    state = {}
    for variable in variables:
        shape = variable.shape[::-1] if variable.variable.endswith("kernel") else variable.shape
        state[variable.name] = draw.normal(size=shape).astype(np.float32)
    heads = 2 if of.hidden_size == DISCRIMINATOR.hidden_size else 1
    values = {**vars(of), "num_attention_heads": heads, "architectures": [architecture]}
    return Network({**values, **config}, {**state, **dict(shared)})
