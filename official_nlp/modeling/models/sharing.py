"""What the generator and the discriminator have in common."""

import dataclasses

from official_nlp.errors import InputError
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

MODES = ("shared", "word_only", "untied", "whole")


def build_pair(generator, discriminator, sharing: str, **options):
    """Returns two encoders of the given configurations that share what `sharing` says.

    Args:
      generator: `ElectraConfig`.
      discriminator: `ElectraConfig`.
      sharing: `shared`: word, position and type tables and their LayerNorm, as the original;
        `word_only`: the word table, as tfnlp; `untied`: nothing; `whole`: one encoder is both.
      **options: keyword arguments of `ElectraEncoder`.

    Raises:
      InputError: another mode, or the two configurations do not allow it.
    """
    check_mode(sharing)
    if sharing == "whole":
        _check_equal(generator, discriminator)
    first = ElectraEncoder(generator, name="generator", **options)
    return first, partner(first, discriminator, sharing, name="discriminator", **options)


def partner(generator: ElectraEncoder, config, sharing: str, **options) -> ElectraEncoder:
    """Returns the discriminator of configuration `config` for a generator that exists."""
    if sharing == "whole":
        return generator
    embeddings = None
    if sharing == "shared":
        embeddings = generator.embeddings
    elif sharing == "word_only":
        embeddings = generator.get_embedding_layer()
    return ElectraEncoder(config, embeddings=embeddings, **options)


def detect(generator, discriminator) -> str:
    """Returns the mode that two given networks are in."""
    if generator is discriminator:
        return "whole"
    ours = getattr(generator, "embeddings", None)
    if ours is not None and ours is getattr(discriminator, "embeddings", None):
        return "shared"
    same_table = _table(generator) is _table(discriminator)
    return "word_only" if same_table else "untied"


def check_mode(sharing):
    """Raises InputError unless `sharing` names a mode."""
    if sharing not in MODES:
        raise InputError(f"sharing must be one of {', '.join(MODES)}, was {sharing!r}")


def _table(network):
    return network.get_embedding_layer() if hasattr(network, "get_embedding_layer") else network


def _check_equal(generator, discriminator):
    names = {field.name for field in dataclasses.fields(generator)}
    different = [
        f"{name} ({getattr(generator, name)}, {getattr(discriminator, name)})"
        for name in sorted(names - {"generator_size", "extra"})
        if getattr(generator, name) != getattr(discriminator, name)
    ]
    if different:
        raise InputError(
            "sharing='whole' makes one encoder of generator and discriminator, so their "
            f"configurations must be equal; different: {', '.join(different)}"
        )
