"""What the generator and the discriminator have in common."""

import dataclasses

import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.models import network_contract
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

MODES = ("shared", "word_only", "untied", "whole", "gdes")


def build_pair(generator, discriminator, sharing: str, **options):
    """Returns two encoders of the given configurations that share what `sharing` says.

    Args:
      generator: `ElectraConfig`.
      discriminator: `ElectraConfig`.
      sharing: `shared`: word, position and type tables and their LayerNorm, as the original;
        `word_only`: the word table, as tfnlp; `untied`: nothing; `whole`: one encoder is both;
        `gdes`: no variable, but the discriminator's embeddings are the generator's plus
        differences, which start at zero, and its gradient stops there.
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
    elif sharing == "gdes":
        embeddings = DisentangledEmbeddings(
            generator.embeddings,
            norm_epsilon=config.layer_norm_eps,
            dtype=options.get("dtype"),
            name="embeddings",
        )
        embeddings.build(None)
    return ElectraEncoder(config, embeddings=embeddings, **options)


def detect(generator, discriminator) -> str:
    """Returns the mode that two given networks are in."""
    if generator is discriminator:
        return "whole"
    ours = getattr(generator, "embeddings", None)
    if ours is not None and ours is getattr(discriminator, "embeddings", None):
        return "shared"
    theirs = getattr(discriminator, "embeddings", None)
    if isinstance(theirs, DisentangledEmbeddings) and theirs.base is ours:
        return "gdes"
    same_table = _table(generator) is _table(discriminator)
    return "word_only" if same_table else "untied"


def checked(wanted: str | None, generator, discriminator) -> str:
    """Returns the mode that two given networks are in.

    Raises:
      InputError: it is not the one `wanted`, or that is none.
    """
    found = detect(generator, discriminator)
    if wanted is None:
        return found
    check_mode(wanted)
    if wanted != found:
        raise InputError(
            f"sharing={wanted!r} contradicts the given networks, which are {found!r}; build them "
            f"with from_config_pair(..., sharing={wanted!r}), or leave sharing out"
        )
    return found


def serialize(generator, discriminator, mode: str) -> dict:
    """Returns both networks' configurations, for `deserialize`.

    Raises:
      InputError: a network cannot be built again, or what the two share cannot be shared again.
    """
    ours = all(isinstance(network, ElectraEncoder) for network in (generator, discriminator))
    if mode in ("shared", "word_only") and not ours:
        raise InputError(
            f"generator_network and discriminator_network are {mode!r}, and only ElectraEncoders "
            "can share again after a file; save their weights with tf.train.Checkpoint instead"
        )
    return {
        "generator_network": network_contract.serialize(generator, "generator_network"),
        "discriminator_network": network_contract.serialize(discriminator, "discriminator_network"),
    }


def deserialize(config: dict, custom_objects=None) -> dict:
    """Returns both networks of a pre-trainer's configuration; what they shared is shared again."""
    build = tf_keras.saving.deserialize_keras_object
    mode, serialized = config["sharing"], config["discriminator_network"]
    generator = build(config["generator_network"], custom_objects=custom_objects)
    if mode == "untied":
        discriminator = build(serialized, custom_objects=custom_objects)
    elif mode == "whole":
        discriminator = generator
    else:
        sizes, options, _ = ElectraEncoder.read_config(serialized["config"])
        discriminator = partner(generator, sizes, mode, **options)
    return {"generator_network": generator, "discriminator_network": discriminator}


def check_mode(sharing):
    """Raises InputError unless `sharing` names a mode."""
    if sharing not in MODES:
        raise InputError(f"sharing must be one of {', '.join(MODES)}, was {sharing!r}")


def _table(network):
    """Returns the variable of the word table, or where there is none to be had the network."""
    try:
        return network_contract.embedding_table(network)
    except (TypeError, RuntimeError):
        return network


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
