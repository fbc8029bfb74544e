"""The depth of every variable, by its name in Hugging Face's files."""

import pytest

from official_nlp.modeling import layer_depths, models, networks
from tests.modeling import tiny

CLASSES = {
    "classification": (models.ElectraForSequenceClassification, {}),
    "linear head": (models.ElectraForSequenceClassification, {"head": "linear"}),
    "tokens": (models.ElectraForTokenClassification, {}),
    "questions": (models.ElectraForQuestionAnswering, {}),
    "questions, joint": (models.ElectraForJointQuestionAnswering, {}),
    "choices": (models.ElectraForMultipleChoice, {}),
    "discriminator": (models.ElectraForPreTraining, {}),
    "generator": (models.ElectraForMaskedLM, {}),
    "encoder": (networks.ElectraEncoder, {}),
}


def depth_by_name(name: str, layers: int) -> int:
    if name.startswith("electra.embeddings"):  # and electra.embeddings_project
        return 0
    layer = name.removeprefix("electra.encoder.layer.").partition(".")[0]
    return int(layer) + 1 if layer.isdigit() else layers + 1


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("embedding_size", [8, 16])
def test_the_depth_of_a_variable_is_that_of_its_part(name, embedding_size):
    kind, options = CLASSES[name]
    config = tiny.config(embedding_size=embedding_size, num_hidden_layers=3)
    model = kind(config, **options)
    found = layer_depths.depths(model)
    assert len(found) == len(model.variables)
    for tensor in model.named_tensors():
        assert found[tensor.variable.ref()] == depth_by_name(tensor.name, 3), tensor.name


def test_depths_are_found_under_a_policy_with_casts():
    model = models.ElectraForTokenClassification(tiny.config(), dtype="mixed_bfloat16")
    found = layer_depths.depths(model)
    assert sorted({found[v.ref()] for v in model.trainable_variables}) == [0, 1, 2, 3]
