"""The shapes that a configuration declares are those of the models."""

import math

import pytest

from official_nlp.interchange import tensor_shapes
from official_nlp.modeling import models, networks
from tests.modeling import tiny

CONFIGS = {
    "plain": {},
    "without projection": {"embedding_size": 16},
    "relative positions": {"position_embedding_type": "relative_key_query"},
    "decoder": {"is_decoder": True, "add_cross_attention": True},
}
CLASSES = [
    models.ElectraForPreTraining,
    models.ElectraForMaskedLM,
    models.ElectraForSequenceClassification,
    models.ElectraForMultipleChoice,
    models.ElectraForTokenClassification,
    models.ElectraForQuestionAnswering,
    models.ElectraForJointQuestionAnswering,
]


def shapes_of(model) -> dict:
    return {tensor.name: tensor.shape for tensor in model.named_tensors()}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_declared_shapes_of_an_encoder_are_those_of_its_tensors(name):
    config = tiny.config(**CONFIGS[name])
    assert tensor_shapes.encoder_shapes(config) == shapes_of(networks.ElectraEncoder(config))


def test_layers_have_at_least_the_parameters_of_their_weight_matrices():
    config = tiny.config()
    shapes = tensor_shapes.encoder_shapes(config)
    matrices = [x for name, x in shapes.items() if ".layer." in name and len(x) == 2]
    assert tensor_shapes.least_parameters(config) == sum(map(math.prod, matrices))


@pytest.mark.parametrize("kind", CLASSES)
def test_the_declared_shapes_of_a_head_are_those_of_its_tensors(kind):
    config = tiny.config(num_labels=3, tie_word_embeddings=False)
    expected = shapes_of(kind(config))
    found = tensor_shapes.head_shapes(config, kind.hugging_face_class)
    assert found
    assert tensor_shapes.encoder_shapes(config) | found == expected
