"""Hugging Face folders are read completely and safely, and written completely or not at all."""

import json
import os
import pickle
import resource
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from official_nlp.errors import InputError, StorageError
from official_nlp.interchange import huggingface
from tests.interchange import tensorflow_files

random = np.random.default_rng(3)
CONFIG = {"model_type": "electra", "vocab_size": 32, "future_option": [1, {"a": None}]}
ARRAYS = {
    "electra.embeddings.word_embeddings.weight": random.normal(size=[32, 8]).astype(np.float32),
    "electra.encoder.layer.0.output.dense.weight": random.normal(size=[8, 4]).astype(np.float32),
    "electra.encoder.layer.0.output.LayerNorm.weight": np.ones(8, np.float32),
    "discriminator_predictions.dense.bias": np.zeros(8, np.float32),
}


def put(folder, files: dict):
    """Write files: a dict as JSON or, by its name, as safetensors; a string as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if name.endswith(".safetensors") and isinstance(content, dict):
            safetensors.numpy.save_file(content, folder / name)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text)
    return folder


def put_shards(folder, shard_of: dict, **shards):
    """Write an index of shards, and the shards."""
    files = {f"{name}.safetensors": arrays for name, arrays in shards.items()}
    index = {"metadata": {}, "weight_map": shard_of}
    return put(folder, {"config.json": CONFIG, "model.safetensors.index.json": index, **files})


def assert_arrays(found, expected=ARRAYS):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


TABLE, KERNEL, *_ = ARRAYS


# === Reading ===
def test_a_folder_contains_a_configuration_and_arrays(tmp_path):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": ARRAYS})
    found = huggingface.read_folder(str(tmp_path))
    assert (found.path, found.file, found.dtype) == (tmp_path, "model.safetensors", "float32")
    assert found.config == CONFIG
    assert_arrays(found.arrays)


def test_old_names_buffers_and_bare_encoders_are_converted(tmp_path):
    old = {
        "embeddings.word_embeddings.weight": ARRAYS[TABLE],
        "embeddings.LayerNorm.gamma": np.ones(8, np.float32),
        "encoder.layer.0.output.LayerNorm.beta": np.zeros(8, np.float32),
        "embeddings_project.bias": np.ones(4, np.float32),
        "embeddings.position_ids": np.arange(16)[np.newaxis],
    }
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": old})
    assert huggingface.read_folder(tmp_path).arrays.keys() == {
        "electra.embeddings.word_embeddings.weight",
        "electra.embeddings.LayerNorm.weight",
        "electra.encoder.layer.0.output.LayerNorm.bias",
        "electra.embeddings_project.bias",
    }


def test_of_several_dtypes_the_widest_is_reported(tmp_path):
    mixed = {TABLE: ARRAYS[TABLE].astype(np.float16), KERNEL: ARRAYS[KERNEL]}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": mixed})
    assert huggingface.read_folder(tmp_path).dtype == "float32"
    put(tmp_path, {"model.safetensors": {TABLE: mixed[TABLE], KERNEL: mixed[TABLE]}})
    assert huggingface.read_folder(tmp_path).dtype == "float16"


def test_safetensors_are_preferred_to_other_formats(tmp_path):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": ARRAYS})
    put(tmp_path, {"tf_model.h5": b"broken", "pytorch_model.bin": b"broken"})
    assert_arrays(huggingface.read_folder(tmp_path).arrays)


def test_shards_are_read_by_their_index(tmp_path):
    parts = {TABLE: ARRAYS[TABLE]}, {k: v for k, v in ARRAYS.items() if k != TABLE}
    shard_of = {name: f"{'a' if name == TABLE else 'b'}.safetensors" for name in ARRAYS}
    put_shards(tmp_path, shard_of, a=parts[0], b=parts[1])
    found = huggingface.read_folder(tmp_path)
    assert_arrays(found.arrays)
    assert found.file == "model.safetensors.index.json"


@pytest.mark.parametrize("form", tensorflow_files.FORMATS)
def test_files_of_tensorflow_classes_are_converted_to_the_layout_of_torch(tmp_path, form):
    put(tmp_path, {"config.json": CONFIG})
    tensorflow_files.write(tmp_path, ARRAYS, form)
    assert_arrays(huggingface.read_folder(tmp_path).arrays)


@pytest.mark.parametrize("form", ["h5 shards", "safetensors shards"])
def test_a_shard_of_a_tensorflow_class_must_contain_its_listed_tensors(tmp_path, form):
    put(tmp_path, {"config.json": CONFIG})
    tensorflow_files.write(tmp_path, ARRAYS, form)
    (index,) = tmp_path.glob("*.index.json")
    content = json.loads(index.read_text())
    first = next(iter(content["weight_map"].values()))
    content["weight_map"][f"{tensorflow_files.SCOPE}/electra/embeddings/LayerNorm/gamma:0"] = first
    index.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"but lacks electra\.embeddings\.LayerNorm\.weight"):
        huggingface.read_folder(tmp_path)


def test_links_of_a_snapshot_in_the_hub_cache_are_followed(tmp_path):
    put(tmp_path / "blobs", {"1": CONFIG, "2": b""})
    safetensors.numpy.save_file(ARRAYS, tmp_path / "blobs" / "2")
    snapshot = tmp_path / "snapshots" / "a1b2"
    snapshot.mkdir(parents=True)
    for name, blob in (("config.json", "1"), ("model.safetensors", "2")):
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    assert_arrays(huggingface.read_folder(snapshot).arrays)


# === What is refused ===
def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent must be a folder .* but does not exist"):
        huggingface.read_folder(tmp_path / "absent")
    put(tmp_path, {"model.safetensors": ARRAYS})
    with pytest.raises(InputError, match=r"must be a folder .* but is a file: give the folder"):
        huggingface.read_folder(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"must have config.json, but has none"),
        ("{'a': 1}", r"config.json must be JSON: Expecting property name"),
        (b"\xff\xfe", r"config.json must be UTF-8 text"),
        ("[1]", r"config.json must hold a JSON object, but holds a list"),
        ("[" * 100_000 + "]" * 100_000, r"config.json must be JSON: .*recursion"),
        (
            {"model_type": "bert"},
            r"model_type must be 'electra', was 'bert'; this is the folder of another model",
        ),
        (
            {"discriminator_bert_config": {}},
            r"belongs to a google-research checkpoint; .* `electra convert .* --to NEW`",
        ),
    ],
)
def test_an_invalid_configuration_is_refused(tmp_path, config, message):
    put(tmp_path, {"model.safetensors": ARRAYS})
    if config is not None:
        put(tmp_path, {"config.json": config})
    with pytest.raises(InputError, match=message):
        huggingface.read_folder(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    put(tmp_path, {"config.json": CONFIG, "vocab.txt": "[PAD]\n"})
    with pytest.raises(InputError, match=r"must have weights, .* but has config.json, vocab.txt"):
        huggingface.read_folder(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path):
    others = {
        "bert.embeddings.word_embeddings.weight": ARRAYS[TABLE],
        "classifier.bias": ARRAYS[TABLE],
    }
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": others})
    with pytest.raises(InputError, match=r"must contain ELECTRA.s variables, .* it contains bert"):
        huggingface.read_folder(tmp_path)


def test_two_copies_of_a_tensor_must_be_equal(tmp_path):
    both = {TABLE: ARRAYS[TABLE], TABLE.removeprefix("electra."): ARRAYS[TABLE].copy()}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": both})
    assert list(huggingface.read_folder(tmp_path).arrays) == [TABLE]
    both[TABLE] = both[TABLE] + 1
    put(tmp_path, {"model.safetensors": both})
    with pytest.raises(InputError, match=r"must contain each tensor once, but contains .* twice"):
        huggingface.read_folder(tmp_path)


def test_two_copies_with_nan_are_equal(tmp_path):
    broken = {TABLE: ARRAYS[TABLE] * np.nan}
    broken[TABLE.removeprefix("electra.")] = broken[TABLE]
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": broken})
    assert list(huggingface.read_folder(tmp_path).arrays) == [TABLE]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_integer_weights_are_refused(tmp_path, dtype):
    quantized = {TABLE: ARRAYS[TABLE].astype(dtype), "counter": np.ones(1, dtype)}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": quantized})
    with pytest.raises(InputError, match=r"word_embeddings.weight is u?int.* a quantized model"):
        huggingface.read_folder(tmp_path)
    put(tmp_path, {"model.safetensors": {**quantized, TABLE: ARRAYS[TABLE]}})
    assert "counter" in huggingface.read_folder(tmp_path).arrays


def test_a_byte_order_mark_is_skipped(tmp_path):
    content = b"\xef\xbb\xbf" + json.dumps(CONFIG).encode()
    put(tmp_path, {"config.json": content, "model.safetensors": ARRAYS})
    assert huggingface.read_folder(tmp_path).config == CONFIG


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside.safetensors",
        "..",
        "sub/a.safetensors",
        "..\\a",
        "",
        ".",
        "a\0b",
        "\ud800",
        "long" * 1000,
    ],
)
def test_an_index_cannot_lead_out_of_its_folder(tmp_path, name):
    put(tmp_path, {"outside.safetensors": {TABLE: ARRAYS[TABLE]}})
    folder = put_shards(tmp_path / "model", {TABLE: name})
    put(folder / "sub", {"a.safetensors": {TABLE: ARRAYS[TABLE]}})
    with pytest.raises(InputError, match=r"index.json .*folder"):
        huggingface.read_folder(folder)


@pytest.mark.parametrize("name", ["a.safetensors", "model.safetensors", "config.json"])
def test_a_link_cannot_lead_out_of_the_folder(tmp_path, name):
    put(tmp_path, {"outside.safetensors": {TABLE: ARRAYS[TABLE]}, "outside.json": CONFIG})
    folder = put_shards(tmp_path / "model", {TABLE: "a.safetensors"})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(f"../outside{os.path.splitext(name)[1]}")
    with pytest.raises(InputError, match=rf"{name} .*link to"):
        huggingface.read_folder(folder)


def test_a_link_within_the_folder_is_followed(tmp_path):
    folder = put_shards(tmp_path, {TABLE: "b.safetensors"}, a={TABLE: ARRAYS[TABLE]})
    (folder / "b.safetensors").symlink_to("a.safetensors")
    assert_arrays(huggingface.read_folder(folder).arrays, {TABLE: ARRAYS[TABLE]})


def test_a_missing_shard_is_named(tmp_path):
    put_shards(
        tmp_path, {TABLE: "a.safetensors", KERNEL: "b.safetensors"}, a={TABLE: ARRAYS[TABLE]}
    )
    with pytest.raises(InputError, match=r"b.safetensors.* model.*json"):
        huggingface.read_folder(tmp_path)


def test_a_shard_without_a_listed_tensor_is_refused(tmp_path):
    shard_of = dict.fromkeys([TABLE, KERNEL], "a.safetensors")
    put_shards(tmp_path, shard_of, a={TABLE: ARRAYS[TABLE]})
    with pytest.raises(
        InputError, match=rf"must contain the tensors that .* lists, but lacks {KERNEL}"
    ):
        huggingface.read_folder(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": [1]}, {"weight_map": {"a": 3}}])
def test_an_index_without_shards_is_refused(tmp_path, index):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors.index.json": index})
    with pytest.raises(InputError, match=r"must have a weight_map from the name of every"):
        huggingface.read_folder(tmp_path)


def test_nothing_in_a_folder_is_executed(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    monkeypatch.setitem(sys.modules, "torch", None)
    bomb = pickle.dumps(Bomb())
    code = f"open({str(tmp_path / 'executed')!r}, 'w')"
    config = {**CONFIG, "auto_map": {"AutoModel": "modeling.Electra"}, "trust_remote_code": True}
    put(tmp_path, {"config.json": config, "modeling.py": code, "pytorch_model.bin": bomb})
    with pytest.raises(InputError, match="is a pickle"):
        huggingface.read_folder(tmp_path)
    put(tmp_path, {"model.safetensors": ARRAYS})
    assert huggingface.read_folder(tmp_path).config == config
    assert not (tmp_path / "executed").exists()


# === Writing ===
def write(folder, arrays=ARRAYS, **options):
    huggingface.write_folder(folder, json.dumps(CONFIG), arrays, **options)
    return folder


def test_written_folders_are_read_back_exactly(tmp_path):
    found = huggingface.read_folder(write(tmp_path / "new" / "model"))
    assert found.config == {**CONFIG, "dtype": "float32"}
    assert_arrays(found.arrays)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_configuration_states_the_stored_dtype(tmp_path, dtype):
    config = {**CONFIG, "torch_dtype": "float32"}
    huggingface.write_folder(tmp_path, json.dumps(config), ARRAYS, dtype=dtype)
    found = huggingface.read_folder(tmp_path)
    assert found.dtype == found.config["dtype"] == found.config["torch_dtype"] == dtype


@pytest.mark.parametrize(
    ("size", "count"), [("1MB", 1), (1100, 2), ("1100B", 2), ("1 KiB", 2), (100, 3), (1, 4)]
)
def test_large_models_are_split_into_shards(tmp_path, size, count):
    write(tmp_path, max_shard_size=size)
    files = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    assert_arrays(huggingface.read_folder(tmp_path).arrays)
    if count == 1:
        assert files == ["model.safetensors"]
        assert not (tmp_path / "model.safetensors.index.json").exists()
        return
    assert files == [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == ARRAYS.keys()
    assert index["metadata"] == {"total_parameters": 304, "total_size": 1216}
    for file in files:
        arrays = safetensors.numpy.load_file(tmp_path / file)
        assert {name for name, shard in index["weight_map"].items() if shard == file} == set(arrays)


def test_a_bare_encoder_is_written_without_its_prefix(tmp_path):
    bare = {name: value for name, value in ARRAYS.items() if name.startswith("electra.")}
    config = json.dumps({**CONFIG, "architectures": ["ElectraModel"]})
    huggingface.write_folder(tmp_path, config, bare)
    stored = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert stored.keys() == {name.removeprefix("electra.") for name in bare}
    assert_arrays(huggingface.read_folder(tmp_path).arrays, bare)


def test_the_previous_model_is_replaced_and_other_files_stay(tmp_path):
    put(tmp_path, {"vocab.txt": "[PAD]\n", "README.md": "# A model"})
    write(tmp_path, max_shard_size=100)
    other = {name: value + 1 for name, value in ARRAYS.items()}
    write(tmp_path, arrays=other)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "README.md"}
    assert_arrays(huggingface.read_folder(tmp_path).arrays, other)
    write(tmp_path, max_shard_size=1100)
    assert len(list(tmp_path.glob("model*.safetensors"))) == 2
    assert_arrays(huggingface.read_folder(tmp_path).arrays)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, r"dtype must be one of float32, float16, bfloat16, was 'int8'"),
        ({"max_shard_size": "5 loaves"}, r"max_shard_size must be .* was '5 loaves'"),
        ({"max_shard_size": 0}, r"max_shard_size must be a number of bytes or .* was 0"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_number_too_large_leaves_the_previous_model(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="too large for float16"):
        write(tmp_path, arrays={TABLE: np.float32([1e9])}, dtype="float16")
    assert_arrays(huggingface.read_folder(tmp_path).arrays)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    put(tmp_path, {"file": "text"})
    with pytest.raises(InputError, match="must be a folder, new or existing, but is a file"):
        write(tmp_path / "file")
    with pytest.raises(StorageError, match="the model could not be written to"):
        write(tmp_path / "file" / "folder")


def test_a_remote_folder_is_refused():
    with pytest.raises(InputError, match=r"folder must be a local path .*, was 'gs://b/x'"):
        write("gs://b/x")


def test_a_full_disk_leaves_the_previous_model(tmp_path):
    write(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
    try:
        with pytest.raises(
            StorageError, match=r"could not be written to .* Name a folder .* free space"
        ):
            write(tmp_path, arrays={TABLE: np.ones([32, 80], np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_arrays(huggingface.read_folder(tmp_path).arrays)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


# A child process is killed at its n-th change of a name, for every n until it survives.
KILLED = """
import json, os, pathlib, sys
import numpy as np
from official_nlp.interchange import huggingface
from official_nlp.errors import InputError

arrays = [
    {f"electra.encoder.{i}": np.full([50], number, np.float32) for i in range(4)}
    for number in (1, 2)
]

def write(folder, number, size):
    config = json.dumps({"number": number})
    huggingface.write_folder(folder, config, arrays[number], max_shard_size=size)

def dying(change, left):
    def changed(*arguments, **options):
        if not left:
            os._exit(9)
        left.pop()
        return change(*arguments, **options)
    return changed

def outcome(folder):
    try:
        found = huggingface.read_folder(folder)
    except InputError as error:
        assert "must have config.json" in str(error), error
        return "refused"
    expected = arrays[found.config["number"]]
    assert found.arrays.keys() == expected.keys()
    assert all(np.array_equal(found.arrays[name], value) for name, value in expected.items())
    return ("old", "new")[found.config["number"]]

for before, after in json.loads(sys.argv[2]):
    folder, outcomes = pathlib.Path(sys.argv[1]) / f"{before}-{after}", []
    for count in range(100):
        write(folder, 0, before)
        child = os.fork()
        if not child:
            left = [None] * count
            os.replace = dying(os.replace, left)
            pathlib.Path.unlink = dying(pathlib.Path.unlink, left)
            write(folder, 1, after)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        outcomes.append(outcome(folder))
        if not status:
            break
    print(*outcomes)
"""


def test_a_kill_leaves_the_old_model_or_none_or_the_new(tmp_path, repository):
    sizes = [(10**6, 10**6), (10**6, 500), (500, 10**6), (500, 250)]
    words = [sys.executable, "-c", KILLED, tmp_path, json.dumps(sizes)]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(sizes)
    for line in lines:
        outcomes = line.split()
        assert (outcomes[0], outcomes[-1]) == ("old", "new")
        assert outcomes == sorted(outcomes, key=["old", "refused", "new"].index)


# === Memory ===
def test_memory_holds_tensors_once(tmp_path):
    arrays = {f"electra.encoder.{i}": np.ones([250_000], np.float32) for i in range(16)}
    size = sum(value.nbytes for value in arrays.values())
    tracemalloc.start()
    try:
        write(tmp_path, arrays=arrays)
        assert tracemalloc.get_traced_memory()[1] < size / 8
        tracemalloc.reset_peak()
        write(tmp_path, arrays=arrays, dtype="float16")
        assert tracemalloc.get_traced_memory()[1] < 0.6 * size
        tracemalloc.reset_peak()
        found = huggingface.read_folder(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * size
    finally:
        tracemalloc.stop()
    assert found.arrays.keys() == arrays.keys()
