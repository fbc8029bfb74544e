"""Compare the sizes that a configuration declares with the tensors that a file has.

A configuration of unknown origin may declare any sizes. They are compared before a model is built,
which could take all memory, and before a folder is written that no model could load.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from official_nlp.interchange.weights import EMBEDDINGS, ENCODER, OUTPUT_TABLE, WORD_TABLE

Shape = tuple[int, ...]

# Width of the hidden layers of `JointSpanHead`.
_JOINT_HIDDEN = 512
_LAYER = re.compile(rf"{re.escape(ENCODER)}layer\.(\d{{1,9}})\.")


def number_of_layers(names: Iterable[str]) -> int:
    """Return the number of layers that the names of tensors imply."""
    found = filter(None, map(_LAYER.match, names))
    return max((int(match[1]) + 1 for match in found), default=0)


def encoder_shapes(config: Any, layers: int | None = None) -> dict[str, Shape]:
    """Return the shapes of the encoder's tensors by Hugging Face name.

    Args:
      config: an `ElectraConfig`.
      layers: number of layers; None for that of the configuration, which must have been compared
        with the file before.
    """
    width, inner, embedding = config.hidden_size, config.intermediate_size, config.embedding_size
    shapes: dict[str, Shape] = {
        WORD_TABLE: (config.vocab_size, embedding),
        f"{EMBEDDINGS}position_embeddings.weight": (config.max_position_embeddings, embedding),
        f"{EMBEDDINGS}token_type_embeddings.weight": (config.type_vocab_size, embedding),
        **_norm(f"{EMBEDDINGS}LayerNorm", embedding),
    }
    if embedding != width:
        shapes |= _dense("electra.embeddings_project", embedding, width)
    distances = (2 * config.max_position_embeddings - 1, width // config.num_attention_heads)
    for number in range(config.num_hidden_layers if layers is None else layers):
        layer = f"{ENCODER}layer.{number}"
        for part in ("attention", "crossattention")[: 1 + config.add_cross_attention]:
            for name in ("query", "key", "value"):
                shapes |= _dense(f"{layer}.{part}.self.{name}", width, width)
            if config.position_embedding_type != "absolute":
                shapes[f"{layer}.{part}.self.distance_embedding.weight"] = distances
            shapes |= _dense(f"{layer}.{part}.output.dense", width, width)
            shapes |= _norm(f"{layer}.{part}.output.LayerNorm", width)
        shapes |= _dense(f"{layer}.intermediate.dense", width, inner)
        shapes |= _dense(f"{layer}.output.dense", inner, width)
        shapes |= _norm(f"{layer}.output.LayerNorm", width)
    return shapes


def least_parameters(config: Any) -> int:
    """Return the number of parameters of the layers of a configuration, without biases.

    It is computed without a list of the layers, whose number may be absurd.
    """
    width, inner = config.hidden_size, config.intermediate_size
    return config.num_hidden_layers * (4 * width * width + 2 * width * inner)


def head_shapes(config: Any, architecture: str | None) -> dict[str, Shape]:
    """Return the shapes of the tensors of a head by Hugging Face name.

    Args:
      config: an `ElectraConfig`.
      architecture: name of the class, as in `architectures`; without a known one the result is
        empty.
    """
    width, embedding, labels = config.hidden_size, config.embedding_size, config.num_labels
    generator = {
        **_dense("generator_predictions.dense", width, embedding),
        **_norm("generator_predictions.LayerNorm", embedding),
        OUTPUT_TABLE: (config.vocab_size, embedding),
        "generator_lm_head.bias": (config.vocab_size,),
    }
    shapes: dict[str | None, dict[str, Shape]] = {
        "ElectraForMaskedLM": generator,
        "ElectraForCausalLM": generator,
        "ElectraForPreTraining": {
            **_dense("discriminator_predictions.dense", width, width),
            **_dense("discriminator_predictions.dense_prediction", width, 1),
        },
        "ElectraForSequenceClassification": {
            **_dense("classifier.dense", width, width),
            **_dense("classifier.out_proj", width, labels),
        },
        "ElectraForMultipleChoice": {
            **_dense("sequence_summary.summary", width, width),
            **_dense("classifier", width, 1),
        },
        "ElectraForTokenClassification": _dense("classifier", width, labels),
        "ElectraForQuestionAnswering": _dense("qa_outputs", width, 2),
        "ElectraForJointQuestionAnswering": {
            **_dense("span_head.start", width, 1),
            **_dense("span_head.end_hidden", 2 * width, _JOINT_HIDDEN),
            **_dense("span_head.end", _JOINT_HIDDEN, 1),
            **_dense("span_head.answerable_hidden", 2 * width, _JOINT_HIDDEN),
            **_dense("span_head.answerable", _JOINT_HIDDEN, 1),
        },
    }
    return shapes.get(architecture, {})


def contradictions(
    config: Any, arrays: Mapping[str, np.ndarray], architecture: str | None = None
) -> tuple[str, ...]:
    """Return the tensors of a file whose shapes are not those that a configuration declares.

    Args:
      config: an `ElectraConfig`.
      arrays: the tensors by Hugging Face name.
      architecture: name of the class whose head is compared too; None for the encoder alone.

    Returns:
      Lines such as `NAME: [2, 3] in the file, [4, 3] in the model`; about layers that the file
      lacks, a single line.
    """
    layers = number_of_layers(arrays)
    if config.num_hidden_layers > layers:
        # The shapes of that many layers might fill the memory.
        return (
            f"num_hidden_layers: {layers} in the file, {config.num_hidden_layers} in the model",
        )
    expected = encoder_shapes(config) | head_shapes(config, architecture)
    return tuple(
        f"{name}: {list(arrays[name].shape)} in the file, {list(shape)} in the model"
        for name, shape in expected.items()
        if name in arrays and arrays[name].shape != shape
    )


def leftovers(config: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of tensors of the encoder that a model of the configuration lacks."""
    expected = encoder_shapes(config)
    prefix = ENCODER.partition(".")[0] + "."
    return tuple(name for name in names if name.startswith(prefix) and name not in expected)


def _dense(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
