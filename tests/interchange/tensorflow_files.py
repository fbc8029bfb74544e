"""Write weights as the TensorFlow classes of transformers did, in each of their formats."""

import json
import pathlib
import re

import h5py
import numpy as np
import safetensors.numpy

FORMATS = ("h5", "h5 shards", "safetensors", "safetensors shards")
SCOPE = "tf_electra_for_masked_lm"


def write(folder: pathlib.Path, arrays: dict[str, np.ndarray], form: str = "h5"):
    """Write the weights beside a config.json.

    Args:
      folder: an existing folder.
      arrays: arrays by their names in torch.
      form: one of `FORMATS`.
    """
    tensors = dict(_in_tensorflow(name, array) for name, array in arrays.items())
    kind, *shards = form.split(" ", 1)
    suffix, save = {"h5": ("h5", _save_shard), "safetensors": ("safetensors", _save)}[kind]
    stem = {"h5": "tf_model", "safetensors": "model"}[kind]
    if not shards:
        (_save_whole if kind == "h5" else _save)(folder / f"{stem}.{suffix}", tensors)
        return
    file_of, names = {}, list(tensors)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"{stem}-0000{number}-of-00002.{suffix}"
        save(folder / file, {name: tensors[name] for name in part})
        file_of |= {f"{SCOPE}/{name}": file for name in part}
    index = {"metadata": {"total_size": 1}, "weight_map": file_of}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))


def _in_tensorflow(name, array):
    *scopes, leaf = name.split(".")
    scopes = re.sub(r"layer/(\d)", r"layer_._\1", "/".join(scopes))
    if scopes.endswith("LayerNorm"):
        leaf = {"weight": "gamma", "bias": "beta"}[leaf]
    elif scopes.endswith(("position_embeddings", "token_type_embeddings")):
        leaf = "embeddings"
    elif leaf == "weight" and not scopes.endswith(("word_embeddings", "generator_lm_head")):
        leaf, array = "kernel", np.ascontiguousarray(array.T)
    return f"{scopes}/{leaf}:0", array


def _save_whole(file, tensors):
    with h5py.File(file, "w") as content:
        layers = sorted({name.partition("/")[0] for name in tensors})
        content.attrs.update(layer_names=layers, backend="tensorflow", keras_version="2.15.0")
        content.create_group("top_level_model_weights")
        for name, array in tensors.items():
            content[f"{name.partition('/')[0]}/{SCOPE}/{name}"] = array


def _save_shard(file, tensors):
    with h5py.File(file, "w") as content:
        content.attrs["layer_names"] = [name.encode() for name in tensors]
        for name, array in tensors.items():
            content[name] = array


def _save(file, tensors):
    safetensors.numpy.save_file(tensors, file, metadata={"format": "tf"})
