"""A tiny pretrained model with random values, as a folder to start from."""

import pathlib
from collections.abc import Sequence
from typing import Any

import tf_keras

from official_nlp.data import ElectraTokenizer
from official_nlp.modeling.models import ElectraForPreTraining
from official_nlp.modeling.networks import ElectraConfig

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(
    folder: pathlib.Path, words: Sequence[str], model: type = ElectraForPreTraining, **sizes: Any
) -> None:
    """Write model and tokenizer.

    Args:
      folder: the folder to write.
      words: the vocabulary, after the special tokens.
      model: class of the model.
      **sizes: fields of its configuration, in place of those here.
    """
    vocabulary = [*SPECIAL, *words]
    fields = {
        "vocab_size": len(vocabulary),
        "embedding_size": 32,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer": "fan_in",
    }
    # A network with other initial values may not learn the task of a test in its few steps.
    tf_keras.utils.set_random_seed(0)
    model(ElectraConfig(**{**fields, **sizes})).save_pretrained(folder)
    ElectraTokenizer(vocabulary).save_pretrained(folder)
