"""The two networks of a pre-trainer under the names of Hugging Face's models.

Each network is stored as a model of its own: variables that both networks share are in both lists.
"""

from typing import TYPE_CHECKING

from official_nlp.modeling import tensor_names
from official_nlp.modeling.tensor_names import NamedTensor

if TYPE_CHECKING:
    from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer

HUGGING_FACE_CLASSES = {
    "generator": "ElectraForMaskedLM",
    "discriminator": "ElectraForPreTraining",
}
EMBEDDINGS = "electra.embeddings."
# Prefix of the names of tensors that are one variable of both networks, by sharing mode. `untied`
# and `gdes` have no such tensor.
_SHARED = {
    "shared": EMBEDDINGS,
    "word_only": f"{EMBEDDINGS}word_embeddings.",
    "whole": "electra.",
}


def generator(model: "ElectraPretrainer") -> list[NamedTensor]:
    """Return the tensors of the generator; its output layer is tied to the word table."""
    head = "generator_predictions"
    return [
        *tensor_names.encoder(model.generator_network),
        *tensor_names.dense(f"{head}.dense", model.masked_lm.dense),
        *tensor_names.layer_norm(f"{head}.LayerNorm", model.masked_lm.layer_norm),
        # Without a weight: the output layer is tied to the word table.
        tensor_names.same_layout("generator_lm_head.bias", model.masked_lm.bias),
    ]


def discriminator(model: "ElectraPretrainer") -> list[NamedTensor]:
    """Return the tensors of the discriminator; those of disentangled embeddings are sums."""
    head = "discriminator_predictions"
    return [
        *tensor_names.encoder(model.discriminator_network),
        *tensor_names.dense(f"{head}.dense", model.discriminator_projection),
        *tensor_names.dense(f"{head}.dense_prediction", model.discriminator_head),
    ]


def of(model: "ElectraPretrainer", network: str) -> list[NamedTensor]:
    """Return the tensors of one network, `generator` or `discriminator`."""
    return {"generator": generator, "discriminator": discriminator}[network](model)


def is_shared(name: str, sharing: str) -> bool:
    """Return whether a tensor is one variable of both networks in a sharing mode."""
    return sharing in _SHARED and name.startswith(_SHARED[sharing])
