"""A small vocabulary, tiny models with every head, and their predictors."""

import functools

import pytest
import tf_keras

from official_nlp.inference.predictor import Predictor
from official_nlp.modeling import models, networks
from official_nlp.modeling.networks import ElectraConfig
from tests.data.conftest import VOCABULARY, text_file, tokenizer  # noqa: F401

LENGTH = 32


def config(**changes) -> ElectraConfig:
    """One layer, 16 wide, with weights large enough that results differ between texts."""
    sizes = {
        "vocab_size": len(VOCABULARY),
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": LENGTH,
        "initializer_range": 0.5,
    }
    return ElectraConfig(**{**sizes, **changes})


LABELS = {0: "negative", 1: "neutral", 2: "positive"}
TAGS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
MULTI_LABEL = {"id2label": LABELS, "problem_type": "multi_label_classification"}
MODELS = {
    "classification": (models.ElectraForSequenceClassification, {"id2label": LABELS}),
    "multi_label": (models.ElectraForSequenceClassification, MULTI_LABEL),
    "regression": (models.ElectraForSequenceClassification, {"num_labels": 1}),
    "tokens": (models.ElectraForTokenClassification, {"id2label": TAGS}),
    "questions": (models.ElectraForQuestionAnswering, {}),
    "choices": (models.ElectraForMultipleChoice, {}),
    "decoder": (models.ElectraForCausalLM, {"is_decoder": True}),
    "discriminator": (models.ElectraForPreTraining, {}),
    "generator": (models.ElectraForMaskedLM, {}),
    "encoder": (networks.ElectraEncoder, {}),
}


def build(name: str):
    """Return the model with random weights, the same on every call."""
    tf_keras.utils.set_random_seed(7)
    if name == "pair":
        return {part: build(part) for part in ("generator", "discriminator")}
    if name == "pretrainer":
        narrow = config(hidden_size=8, num_attention_heads=1)
        return models.ElectraPretrainer.from_config_pair(narrow, config())
    kind, changes = MODELS[name]
    return kind(config(**changes))


@pytest.fixture(scope="session")
def predictor(tokenizer):  # noqa: F811
    """Return the predictor of a model by its name in `MODELS`, or of a pair; each is built once."""
    return functools.cache(lambda name: Predictor(build(name), tokenizer))
