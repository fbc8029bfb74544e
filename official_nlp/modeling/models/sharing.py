"""Sharing of variables between generator and discriminator: five modes.

| mode | shared variables |
|---|---|
| `shared` | word, position and type tables and their LayerNorm, as in google-research/electra |
| `word_only` | the word table, as in tfnlp |
| `untied` | none |
| `whole` | all: one encoder is both networks |
| `gdes` | none; the discriminator adds differences to the generator's embeddings, see below |

In `gdes` (gradient-disentangled embedding sharing, He et al. 2021) the differences start at zero,
and the gradient of the discriminator reaches them alone.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling.layers.disentangled_embeddings import DisentangledEmbeddings
from official_nlp.modeling.models import network_contract
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

MODES = ("shared", "word_only", "untied", "whole", "gdes")
# Fields in which the two configurations of one encoder may differ: they change no variable.
_IRRELEVANT_FIELDS = ("generator_size", "extra")


def build_pair(
    generator: ElectraConfig, discriminator: ElectraConfig, sharing: str, **options: Any
) -> tuple[ElectraEncoder, ElectraEncoder]:
    """Return a generator and a discriminator that share variables in a mode.

    Args:
      generator: configuration of the generator.
      discriminator: configuration of the discriminator.
      sharing: one of `MODES`.
      **options: keyword arguments of `ElectraEncoder`.

    Raises:
      InputError: the mode is unknown, or the two configurations do not allow it.
    """
    check_mode(sharing)
    if sharing == "whole":
        _check_equal(generator, discriminator)
    first = ElectraEncoder(generator, name="generator", **options)
    return first, partner(first, discriminator, sharing, name="discriminator", **options)


def partner(
    generator: ElectraEncoder, config: ElectraConfig, sharing: str, **options: Any
) -> ElectraEncoder:
    """Return the discriminator of an existing generator.

    Args:
      generator: the generator.
      config: configuration of the discriminator.
      sharing: one of `MODES`.
      **options: keyword arguments of `ElectraEncoder`.
    """
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


def detect(generator: Any, discriminator: Any) -> str:
    """Return the mode of two networks, from the variables that they have in common."""
    if generator is discriminator:
        return "whole"
    # The order matters: two encoders that share all embeddings share the word table, too.
    first, second = (getattr(network, "embeddings", None) for network in (generator, discriminator))
    if first is not None and first is second:
        return "shared"
    if isinstance(second, DisentangledEmbeddings) and second.base is first:
        return "gdes"
    return "word_only" if _table(generator) is _table(discriminator) else "untied"


def checked(expected: str | None, generator: Any, discriminator: Any) -> str:
    """Return the mode of two networks, after comparing it with the expected one.

    Args:
      expected: one of `MODES`; None for any.
      generator: generator network.
      discriminator: discriminator network.

    Raises:
      InputError: the mode of the networks is another one, or `expected` is no mode.
    """
    found = detect(generator, discriminator)
    if expected is None:
        return found
    check_mode(expected)
    if expected != found:
        raise InputError(
            f"sharing={expected!r} contradicts the given networks, which are {found!r}; build them "
            f"with from_config_pair(..., sharing={expected!r}), or leave sharing out"
        )
    return found


def serialize(generator: Any, discriminator: Any, mode: str) -> dict[str, Any]:
    """Return the configurations of both networks, as `deserialize` takes them.

    Raises:
      InputError: a network cannot be rebuilt, or shared variables could not be shared again.
    """
    networks = {"generator_network": generator, "discriminator_network": discriminator}
    ours = all(isinstance(network, ElectraEncoder) for network in networks.values())
    if mode in ("shared", "word_only") and not ours:
        raise InputError(
            f"generator_network and discriminator_network are {mode!r}, and only ElectraEncoders "
            "can share again after a file; save their weights with tf.train.Checkpoint instead"
        )
    return {
        argument: network_contract.serialize(network, argument)
        for argument, network in networks.items()
    }


def deserialize(config: Mapping[str, Any], custom_objects: Any = None) -> dict[str, Any]:
    """Return both networks of a pre-trainer's configuration, which share variables as before."""
    build = tf_keras.saving.deserialize_keras_object
    mode, serialized = config["sharing"], config["discriminator_network"]
    generator = build(config["generator_network"], custom_objects=custom_objects)
    if mode == "untied":
        discriminator = build(serialized, custom_objects=custom_objects)
    elif mode == "whole":
        discriminator = generator
    else:
        # Built by itself, the discriminator would get copies of the shared variables.
        sizes, options, _ = ElectraEncoder.read_config(serialized["config"])
        discriminator = partner(generator, sizes, mode, **options)
    return {"generator_network": generator, "discriminator_network": discriminator}


def check_mode(sharing: str) -> None:
    """Raise InputError unless `sharing` is a mode."""
    if sharing not in MODES:
        raise InputError(f"sharing must be one of {', '.join(MODES)}, was {sharing!r}")


def _table(network: Any) -> Any:
    """Return the word table; the network itself, which no other shares, if it offers none."""
    try:
        return network_contract.embedding_table(network)
    except (TypeError, RuntimeError):
        return network


def _check_equal(generator: ElectraConfig, discriminator: ElectraConfig) -> None:
    names = {field.name for field in dataclasses.fields(generator)}
    different = [
        f"{name} ({getattr(generator, name)}, {getattr(discriminator, name)})"
        for name in sorted(names.difference(_IRRELEVANT_FIELDS))
        if getattr(generator, name) != getattr(discriminator, name)
    ]
    if different:
        raise InputError(
            "sharing='whole' makes one encoder of generator and discriminator, so their "
            f"configurations must be equal; different: {', '.join(different)}"
        )
