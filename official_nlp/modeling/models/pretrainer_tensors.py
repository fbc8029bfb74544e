"""A pre-trainer's two networks under the names that Hugging Face's models give their tensors."""

from official_nlp.modeling import tensor_names
from official_nlp.modeling.tensor_names import NamedTensor

# Which model of Hugging Face's a network is.
HUGGING_FACE_CLASSES = {
    "generator": "ElectraForMaskedLM",
    "discriminator": "ElectraForPreTraining",
}
EMBEDDINGS = "electra.embeddings."
_SHARED = {
    "shared": EMBEDDINGS,
    "word_only": f"{EMBEDDINGS}word_embeddings.",
    "whole": "electra.",
}


def generator(model) -> list[NamedTensor]:
    """Returns the tensors of an `ElectraPretrainer`'s generator; the output layer is tied."""
    head = "generator_predictions"
    return [
        *tensor_names.encoder(model.generator_network),
        *tensor_names.dense(f"{head}.dense", model.masked_lm.dense),
        *tensor_names.layer_norm(f"{head}.LayerNorm", model.masked_lm.layer_norm),
        tensor_names.untransposed("generator_lm_head.bias", model.masked_lm.bias),
    ]


def discriminator(model) -> list[NamedTensor]:
    """Returns the tensors of its discriminator; sums, where it holds differences."""
    head = "discriminator_predictions"
    return [
        *tensor_names.encoder(model.discriminator_network),
        *tensor_names.dense(f"{head}.dense", model.discriminator_projection),
        *tensor_names.dense(f"{head}.dense_prediction", model.discriminator_head),
    ]


def of(model, network: str) -> list[NamedTensor]:
    """Returns the tensors of the `generator` or the `discriminator`."""
    return {"generator": generator, "discriminator": discriminator}[network](model)


def is_shared(name: str, sharing: str) -> bool:
    """Whether a tensor is one variable of both networks."""
    return sharing in _SHARED and name.startswith(_SHARED[sharing])
