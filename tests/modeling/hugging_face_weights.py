"""Copies arrays with Hugging Face's names into our layers; they keep kernels as [out, in]."""

import pathlib

import numpy as np
import safetensors.numpy

from official_nlp.modeling import layers, networks


def read(folder: pathlib.Path):
    """Returns the configuration, the weights and the expected arrays of a model's folder."""
    config = networks.ElectraConfig.from_json((folder / "config.json").read_text())
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    # A bare encoder's file has no prefix.
    weights = {name.removeprefix("electra."): value for name, value in weights.items()}
    with np.load(folder / "expected.npz") as arrays:
        return config, weights, dict(arrays)


def case(arrays: dict, name: str, part: str) -> dict:
    """Returns the arrays of one case: `part` is in, out, grad, ..."""
    prefix = f"{name}__{part}__"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def fill_encoder(encoder: networks.ElectraEncoder, weights: dict):
    """Assigns all variables of an encoder."""
    embeddings = encoder.embeddings
    tables = {
        "word_embeddings": embeddings.word_embeddings.embeddings,
        "position_embeddings": embeddings.position_embeddings.position_embeddings,
        "token_type_embeddings": embeddings.type_embeddings.embeddings,
    }
    for name, variable in tables.items():
        variable.assign(weights[f"embeddings.{name}.weight"])
    _fill_norm(embeddings.layer_norm, weights, "embeddings.LayerNorm")
    if encoder.embeddings_project is not None:
        fill_dense(encoder.embeddings_project.dense, weights, "embeddings_project")
    for i, block in enumerate(encoder.transformer_layers):
        _fill_block(block, weights, f"encoder.layer.{i}")


def fill_masked_lm(layer: layers.MaskedLM, weights: dict):
    """Assigns the head of the generator, but for the table it is tied to."""
    fill_dense(layer.dense, weights, "generator_predictions.dense")
    _fill_norm(layer.layer_norm, weights, "generator_predictions.LayerNorm")
    layer.bias.assign(weights["generator_lm_head.bias"])


def fill_discriminator_head(model, weights: dict):
    """Assigns the head of the discriminator of an `ElectraPretrainer`."""
    fill_dense(model.discriminator_projection, weights, "discriminator_predictions.dense")
    prediction = "discriminator_predictions.dense_prediction"
    fill_dense(model.discriminator_head, weights, prediction)


def fill_dense(dense, weights: dict, name: str):
    """Assigns a Dense layer."""
    dense.kernel.assign(weights[f"{name}.weight"].T)
    dense.bias.assign(weights[f"{name}.bias"])


def _fill_norm(norm, weights, name):
    norm.gamma.assign(weights[f"{name}.weight"])
    norm.beta.assign(weights[f"{name}.bias"])


def _fill_block(block, weights, name):
    _fill_attention(block.attention, block.attention_norm, weights, f"{name}.attention")
    if block.cross_attention is not None:
        _fill_attention(block.cross_attention, block.cross_norm, weights, f"{name}.crossattention")
    fill_dense(block.intermediate, weights, f"{name}.intermediate.dense")
    fill_dense(block.output_dense, weights, f"{name}.output.dense")
    _fill_norm(block.output_norm, weights, f"{name}.output.LayerNorm")


def _fill_attention(attention, norm, weights, name):
    for part in ("query", "key", "value"):
        kernel, bias = getattr(attention, f"{part}_kernel"), getattr(attention, f"{part}_bias")
        kernel.assign(weights[f"{name}.self.{part}.weight"].T.reshape(kernel.shape))
        bias.assign(weights[f"{name}.self.{part}.bias"].reshape(bias.shape))
    if attention.relative_key is not None:
        attention.relative_key.embeddings.assign(weights[f"{name}.self.distance_embedding.weight"])
    output = weights[f"{name}.output.dense.weight"].T
    attention.output_kernel.assign(output.reshape(attention.output_kernel.shape))
    attention.output_bias.assign(weights[f"{name}.output.dense.bias"])
    _fill_norm(norm, weights, f"{name}.output.LayerNorm")
