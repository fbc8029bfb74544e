"""Data folders as in the tests of data, and the smallest pair of networks for them."""

import pytest

from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import ElectraPretraining, PretrainingConfig
from official_nlp.tasks.pretraining import PretrainingData
from official_nlp.training import PhaseConfig
from tests.data.conftest import (  # noqa: F401
    built,
    folder,
    text_file,
    tokenizer,
    tokenizer_folder,
)

LENGTH = 32
WEIGHTS = ElectraPretraining.loss_weights


def network(**changes) -> ElectraConfig:
    """A discriminator of two layers, with dropout."""
    sizes = {
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": LENGTH,
        "initializer_range": 0.2,
    }
    return ElectraConfig(**{**sizes, **changes})


def config(sharing="shared", **changes) -> PretrainingConfig:
    """A generator of half the width, and a discriminator; one network where `whole` is shared."""
    narrow = {} if sharing == "whole" else {"hidden_size": 8, "num_attention_heads": 1}
    return PretrainingConfig(network(**narrow), network(), sharing=sharing, **changes)


def phase(**changes) -> PhaseConfig:
    """A phase with the loss weights of the paper."""
    settings = {"steps": 4, "batch_size": 4, "length": LENGTH, "loss_weights": WEIGHTS}
    return PhaseConfig(**{**settings, **changes})


def pretraining(sizes, data_folder, phase_folders=None, **options) -> ElectraPretraining:
    """The task of opened folders: that of the run, and those of phases by name."""
    folders = {None: data_folder, **(phase_folders or {})}
    data = {name: PretrainingData(each, CorruptRecords()) for name, each in folders.items()}
    return ElectraPretraining(sizes, data, **options)


MLM_ONLY = phase(loss_weights={"mlm": 1.0, "rtd": 0.0})
RTD_ONLY = phase(loss_weights={"mlm": 0.0, "rtd": 50.0})
BOTH = phase()


@pytest.fixture
def task(folder):  # noqa: F811
    return pretraining(config(), folder, seed=3)
