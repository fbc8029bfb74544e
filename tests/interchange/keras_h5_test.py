"""Files tf_model.h5 in the layout of the TensorFlow classes of transformers."""

import h5py
import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.interchange import keras_h5

random = np.random.default_rng(3)
MODEL = "tf_electra_for_masked_lm"
# Path in the file: name in torch.
NAMES = {
    "electra/{}/electra/embeddings/word_embeddings/weight:0": "embeddings.word_embeddings.weight",
    "electra/{}/electra/embeddings/position_embeddings/embeddings:0": (
        "embeddings.position_embeddings.weight"
    ),
    "electra/{}/electra/embeddings/LayerNorm/gamma:0": "embeddings.LayerNorm.weight",
    "electra/{}/electra/embeddings/LayerNorm/beta:0": "embeddings.LayerNorm.bias",
    "electra/{}/electra/encoder/layer_._11/attention/self/query/kernel:0": (
        "encoder.layer.11.attention.self.query.weight"
    ),
    "electra/{}/electra/encoder/layer_._11/output/dense/bias:0": (
        "encoder.layer.11.output.dense.bias"
    ),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tf_model.h5"


def read(file) -> dict:
    return {name: array for name, array, _ in keras_h5.read(file)}


@pytest.mark.parametrize("model", [MODEL, "tf_electra_model_3", "my_scope"])
def test_names_and_kernels_are_converted_to_those_of_torch(file, model):
    values = {path.format(model): random.normal(size=[4, 3]) for path in NAMES}
    head = f"generator_lm_head/{model}/generator_lm_head/bias:0"
    values[head] = random.normal(size=[4])
    with h5py.File(file, "w") as content:
        content.attrs["layer_names"] = ["electra", "generator_lm_head"]
        content.create_group("top_level_model_weights")
        for path, value in values.items():
            content.create_dataset(path, data=value.astype(np.float32))
    found = read(file)
    assert found.keys() == {"generator_lm_head.bias", *(f"electra.{n}" for n in NAMES.values())}
    for path, name in NAMES.items():
        value = values[path.format(model)].astype(np.float32)
        value = value.T if path.endswith("kernel:0") else value
        np.testing.assert_array_equal(found[f"electra.{name}"], value)


def test_float16_is_read_and_reported(file):
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b/c/bias:0", data=np.float16([1, 0.1]))
    ((name, array, dtype),) = keras_h5.read(file)
    assert (name, array.dtype, dtype) == ("c.bias", np.float32, "float16")


# === What is refused ===
def test_a_truncated_file_or_another_format_is_refused(file):
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b/c/bias:0", data=np.ones(1000, np.float32))
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"no such file", b""):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"must be an HDF5 file, but cannot be read.*again"):
            read(file)


def test_a_link_to_another_file_is_not_followed(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as content:
        content.create_dataset("d/e/bias:0", data=np.ones(3, np.float32))
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b/c/bias:0", data=np.ones(3, np.float32))
        content["electra"] = h5py.ExternalLink("secret.h5", "/d")
        content["a/b/c/kernel:0"] = h5py.ExternalLink("secret.h5", "/d/e/bias:0")
        content["a/b/c/gamma:0"] = h5py.SoftLink("/a/b/c/bias:0")
    assert list(read(file)) == ["c.bias"]


def test_data_in_another_file_is_refused(file, tmp_path):
    (tmp_path / "secret").write_bytes(np.ones(3, np.float32).tobytes())
    with h5py.File(file, "w") as content:
        outside = [(str(tmp_path / "secret"), 0, 12)]
        content.create_dataset("a/b/c/bias:0", [3], np.float32, external=outside)
    with pytest.raises(InputError, match="stores a/b/c/bias:0 in another file"):
        read(file)


def test_a_virtual_dataset_of_other_files_is_refused(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as content:
        content.create_dataset("secret", data=np.ones(3, np.float32))
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "secret", (3,))
    with h5py.File(file, "w") as content:
        content.create_virtual_dataset("a/b/c/bias:0", layout)
    with pytest.raises(InputError, match="stores a/b/c/bias:0 in another file"):
        read(file)


def test_text_is_refused(file):
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b/c/bias:0", data=["text"])
    with pytest.raises(
        InputError, match="must contain numbers, but a/b/c/bias:0 is of type object"
    ):
        read(file)


@pytest.mark.parametrize("names", [7, np.array([b"\xff\xfe"]), "a/b/c/bias:0"])
def test_an_invalid_list_of_names_is_ignored(file, names):
    with h5py.File(file, "w") as content:
        content.attrs["layer_names"] = names
        content.create_dataset("a/b/c/gamma:0", data=np.ones(3, np.float32))
    assert list(read(file)) == ["c.weight"]


def test_an_empty_dataset_is_refused(file):
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b/c/bias:0", data=h5py.Empty("f4"))
    with pytest.raises(InputError, match="must contain numbers, but a/b/c/bias:0 is empty"):
        read(file)


def test_a_dataset_larger_than_its_stored_bytes_is_refused_before_it_is_allocated(file):
    with h5py.File(file, "w") as content:
        table = content.create_dataset("a/b/c/d:0", [2**33, 2**10], np.float32, chunks=(64, 64))
        table[0, 0] = 1
    with pytest.raises(InputError, match=r"stores 16384 bytes of a/b/c/d:0 \[8589934592, 1024\]"):
        read(file)


def test_compressed_tensors_are_read(file):
    with h5py.File(file, "w") as content:
        zeros = np.zeros([1000, 1000], np.float32)
        content.create_dataset("a/b/c/bias:0", data=zeros, compression="gzip", compression_opts=9)
    assert read(file)["c.bias"].shape == (1000, 1000)
