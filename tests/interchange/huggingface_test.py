"""Folders in Hugging Face's layout are read whole and safely, and written whole or not at all."""

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
STATE = {
    "electra.embeddings.word_embeddings.weight": random.normal(size=[32, 8]).astype(np.float32),
    "electra.encoder.layer.0.output.dense.weight": random.normal(size=[8, 4]).astype(np.float32),
    "electra.encoder.layer.0.output.LayerNorm.weight": np.ones(8, np.float32),
    "discriminator_predictions.dense.bias": np.zeros(8, np.float32),
}


def put(folder, files: dict):
    """Writes files: a dict is JSON, or safetensors if the name says so; a string is text."""
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


def put_shards(folder, places: dict, **shards):
    """Writes a list of shards, and the shards a and b."""
    files = {f"{name}.safetensors": arrays for name, arrays in shards.items()}
    index = {"metadata": {}, "weight_map": places}
    return put(folder, {"config.json": CONFIG, "model.safetensors.index.json": index, **files})


def assert_state(found, expected=STATE):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


TABLE, KERNEL, *_ = STATE


# === Reading ===
def test_a_folder_is_a_configuration_and_a_state(tmp_path):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": STATE})
    found = huggingface.read_folder(str(tmp_path))
    assert (found.path, found.file, found.dtype) == (tmp_path, "model.safetensors", "float32")
    assert found.config == CONFIG
    assert_state(found.state)


def test_old_names_the_buffer_and_a_bare_encoder_become_what_they_are_today(tmp_path):
    old = {
        "embeddings.word_embeddings.weight": STATE[TABLE],
        "embeddings.LayerNorm.gamma": np.ones(8, np.float32),
        "encoder.layer.0.output.LayerNorm.beta": np.zeros(8, np.float32),
        "embeddings_project.bias": np.ones(4, np.float32),
        "embeddings.position_ids": np.arange(16)[np.newaxis],
    }
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": old})
    assert huggingface.read_folder(tmp_path).state.keys() == {
        "electra.embeddings.word_embeddings.weight",
        "electra.embeddings.LayerNorm.weight",
        "electra.encoder.layer.0.output.LayerNorm.bias",
        "electra.embeddings_project.bias",
    }


def test_of_several_dtypes_the_widest_is_told(tmp_path):
    mixed = {TABLE: STATE[TABLE].astype(np.float16), KERNEL: STATE[KERNEL]}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": mixed})
    assert huggingface.read_folder(tmp_path).dtype == "float32"
    put(tmp_path, {"model.safetensors": {TABLE: mixed[TABLE], KERNEL: mixed[TABLE]}})
    assert huggingface.read_folder(tmp_path).dtype == "float16"


def test_safetensors_are_preferred_to_what_else_is_there(tmp_path):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": STATE})
    put(tmp_path, {"tf_model.h5": b"broken", "pytorch_model.bin": b"broken"})
    assert_state(huggingface.read_folder(tmp_path).state)


def test_shards_are_read_by_their_list(tmp_path):
    parts = {TABLE: STATE[TABLE]}, {k: v for k, v in STATE.items() if k != TABLE}
    places = {name: f"{'a' if name == TABLE else 'b'}.safetensors" for name in STATE}
    put_shards(tmp_path, places, a=parts[0], b=parts[1])
    found = huggingface.read_folder(tmp_path)
    assert_state(found.state)
    assert found.file == "model.safetensors.index.json"


@pytest.mark.parametrize("form", tensorflow_files.FORMATS)
def test_what_the_tensorflow_classes_wrote_has_the_names_and_layout_of_torch(tmp_path, form):
    put(tmp_path, {"config.json": CONFIG})
    tensorflow_files.write(tmp_path, STATE, form)
    assert_state(huggingface.read_folder(tmp_path).state)


@pytest.mark.parametrize("form", ["h5 in parts", "safetensors in parts"])
def test_a_part_of_a_tensorflow_class_lacks_nothing_of_its_list(tmp_path, form):
    put(tmp_path, {"config.json": CONFIG})
    tensorflow_files.write(tmp_path, STATE, form)
    (index,) = tmp_path.glob("*.index.json")
    content = json.loads(index.read_text())
    first = next(iter(content["weight_map"].values()))
    content["weight_map"][f"{tensorflow_files.SCOPE}/electra/embeddings/LayerNorm/gamma:0"] = first
    index.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"but lacks electra\.embeddings\.LayerNorm\.weight"):
        huggingface.read_folder(tmp_path)


def test_a_snapshot_in_the_cache_of_the_hub_is_links_to_blobs_beside_it(tmp_path):
    put(tmp_path / "blobs", {"1": CONFIG, "2": b""})
    safetensors.numpy.save_file(STATE, tmp_path / "blobs" / "2")
    snapshot = tmp_path / "snapshots" / "a1b2"
    snapshot.mkdir(parents=True)
    for name, blob in (("config.json", "1"), ("model.safetensors", "2")):
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    assert_state(huggingface.read_folder(snapshot).state)


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, None),
        ({"vocab.txt": "[PAD]\na\nb\n"}, 3),
        ({"vocab.txt": "[PAD]\na\nb"}, 3),
        ({"vocab.txt": "[PAD]\na\nb\n", "added_tokens.json": {"c": 3, "d": 9}}, 10),
    ],
)
def test_the_ids_of_the_tokenizer_in_a_folder_are_counted(tmp_path, files, count):
    assert huggingface.vocabulary_size(put(tmp_path, files)) == count


# === Refused ===
def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent must be a folder .* but is not there"):
        huggingface.read_folder(tmp_path / "absent")
    put(tmp_path, {"model.safetensors": STATE})
    with pytest.raises(InputError, match=r"must be a folder .* but is a file: give the folder"):
        huggingface.read_folder(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"must have config.json, but has none"),
        ("{'a': 1}", r"config.json must be JSON, but is not: Expecting property name"),
        (b"\xff\xfe", r"config.json must be JSON, but is not: .*utf-8"),
        ("[1]", r"config.json must be a JSON object, was '\[1\]'"),
        ("[" * 100_000 + "]" * 100_000, r"config.json must be JSON, but is not: .*recursion"),
        ({"model_type": "bert"}, r"model_type must be 'electra', was 'bert': another model's"),
        (
            {"discriminator_bert_config": {}},
            r"is google-research.s, .* `electra convert .* --to NEW`",
        ),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path, config, message):
    put(tmp_path, {"model.safetensors": STATE})
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
        "bert.embeddings.word_embeddings.weight": STATE[TABLE],
        "classifier.bias": STATE[TABLE],
    }
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": others})
    with pytest.raises(InputError, match=r"must hold the variables of ELECTRA, .* it holds bert"):
        huggingface.read_folder(tmp_path)


def test_a_tensor_that_is_there_twice_must_be_one(tmp_path):
    both = {TABLE: STATE[TABLE], TABLE.removeprefix("electra."): STATE[TABLE].copy()}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": both})
    assert list(huggingface.read_folder(tmp_path).state) == [TABLE]
    both[TABLE] = both[TABLE] + 1
    put(tmp_path, {"model.safetensors": both})
    with pytest.raises(InputError, match=r"must hold a tensor once, but holds .* twice"):
        huggingface.read_folder(tmp_path)


def test_tensors_that_are_no_numbers_are_equal_too(tmp_path):
    broken = {TABLE: STATE[TABLE] * np.nan}
    broken[TABLE.removeprefix("electra.")] = broken[TABLE]
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": broken})
    assert list(huggingface.read_folder(tmp_path).state) == [TABLE]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_integers_are_no_weights(tmp_path, dtype):
    quantized = {TABLE: STATE[TABLE].astype(dtype), "counter": np.ones(1, dtype)}
    put(tmp_path, {"config.json": CONFIG, "model.safetensors": quantized})
    with pytest.raises(InputError, match=r"word_embeddings.weight is u?int.* a quantized model"):
        huggingface.read_folder(tmp_path)
    put(tmp_path, {"model.safetensors": {**quantized, TABLE: STATE[TABLE]}})
    assert "counter" in huggingface.read_folder(tmp_path).state


def test_a_byte_order_mark_is_no_part_of_a_configuration(tmp_path):
    content = b"\xef\xbb\xbf" + json.dumps(CONFIG).encode()
    put(tmp_path, {"config.json": content, "model.safetensors": STATE})
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
def test_a_list_of_shards_cannot_lead_out_of_its_folder(tmp_path, name):
    put(tmp_path, {"outside.safetensors": {TABLE: STATE[TABLE]}})
    folder = put_shards(tmp_path / "model", {TABLE: name})
    put(folder / "sub", {"a.safetensors": {TABLE: STATE[TABLE]}})
    with pytest.raises(InputError, match=r"index.json must name files in its own folder"):
        huggingface.read_folder(folder)


@pytest.mark.parametrize("name", ["a.safetensors", "model.safetensors", "config.json"])
def test_a_link_cannot_lead_out_of_the_folder(tmp_path, name):
    put(tmp_path, {"outside.safetensors": {TABLE: STATE[TABLE]}, "outside.json": CONFIG})
    folder = put_shards(tmp_path / "model", {TABLE: "a.safetensors"})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(f"../outside{os.path.splitext(name)[1]}")
    with pytest.raises(InputError, match=rf"{name} must lie in its folder, but is a link to"):
        huggingface.read_folder(folder)


def test_a_link_within_the_folder_is_followed(tmp_path):
    folder = put_shards(tmp_path, {TABLE: "b.safetensors"}, a={TABLE: STATE[TABLE]})
    (folder / "b.safetensors").symlink_to("a.safetensors")
    assert_state(huggingface.read_folder(folder).state, {TABLE: STATE[TABLE]})


def test_a_shard_that_is_missing_is_named(tmp_path):
    put_shards(tmp_path, {TABLE: "a.safetensors", KERNEL: "b.safetensors"}, a={TABLE: STATE[TABLE]})
    with pytest.raises(InputError, match=r"b.safetensors, which model.*json names, .* not there"):
        huggingface.read_folder(tmp_path)


def test_a_shard_without_a_tensor_of_the_list_is_refused(tmp_path):
    places = dict.fromkeys([TABLE, KERNEL], "a.safetensors")
    put_shards(tmp_path, places, a={TABLE: STATE[TABLE]})
    with pytest.raises(InputError, match=rf"must hold what .* says, but lacks {KERNEL}"):
        huggingface.read_folder(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": [1]}, {"weight_map": {"a": 3}}])
def test_a_list_of_no_shards_is_refused(tmp_path, index):
    put(tmp_path, {"config.json": CONFIG, "model.safetensors.index.json": index})
    with pytest.raises(InputError, match=r"must have a weight_map that names the file of every"):
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
    put(tmp_path, {"model.safetensors": STATE})
    assert huggingface.read_folder(tmp_path).config == config
    assert not (tmp_path / "executed").exists()


# === Writing ===
def write(folder, state=STATE, **options):
    huggingface.write_folder(folder, json.dumps(CONFIG), state, **options)
    return folder


def test_what_is_written_is_read_to_the_bit(tmp_path):
    found = huggingface.read_folder(write(tmp_path / "new" / "model"))
    assert found.config == {**CONFIG, "dtype": "float32"}
    assert_state(found.state)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_configuration_says_what_is_stored(tmp_path, dtype):
    config = {**CONFIG, "torch_dtype": "float32"}
    huggingface.write_folder(tmp_path, json.dumps(config), STATE, dtype=dtype)
    found = huggingface.read_folder(tmp_path)
    assert found.dtype == found.config["dtype"] == found.config["torch_dtype"] == dtype


@pytest.mark.parametrize(
    ("size", "count"), [("1MB", 1), (1100, 2), ("1100B", 2), ("1 KiB", 2), (100, 3), (1, 4)]
)
def test_large_models_are_several_files(tmp_path, size, count):
    write(tmp_path, max_shard_size=size)
    files = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    assert_state(huggingface.read_folder(tmp_path).state)
    if count == 1:
        assert files == ["model.safetensors"]
        assert not (tmp_path / "model.safetensors.index.json").exists()
        return
    assert files == [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == STATE.keys()
    assert index["metadata"] == {"total_parameters": 304, "total_size": 1216}
    for file in files:
        arrays = safetensors.numpy.load_file(tmp_path / file)
        assert {name for name, place in index["weight_map"].items() if place == file} == set(arrays)


def test_a_bare_encoder_is_written_without_its_prefix(tmp_path):
    bare = {name: value for name, value in STATE.items() if name.startswith("electra.")}
    config = json.dumps({**CONFIG, "architectures": ["ElectraModel"]})
    huggingface.write_folder(tmp_path, config, bare)
    stored = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert stored.keys() == {name.removeprefix("electra.") for name in bare}
    assert_state(huggingface.read_folder(tmp_path).state, bare)


def test_a_model_of_before_goes_and_other_files_stay(tmp_path):
    put(tmp_path, {"vocab.txt": "[PAD]\n", "README.md": "# A model"})
    write(tmp_path, max_shard_size=100)
    other = {name: value + 1 for name, value in STATE.items()}
    write(tmp_path, state=other)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "README.md"}
    assert_state(huggingface.read_folder(tmp_path).state, other)
    write(tmp_path, max_shard_size=1100)
    assert len(list(tmp_path.glob("model*.safetensors"))) == 2
    assert_state(huggingface.read_folder(tmp_path).state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, r"dtype must be one of float32, float16, bfloat16, was 'int8'"),
        ({"max_shard_size": "5 loaves"}, r"max_shard_size must be .* was '5 loaves'"),
        ({"max_shard_size": 0}, r"max_shard_size must be a number of bytes, .* was 0"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_number_too_large_leaves_the_model_of_before(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="too large for float16"):
        write(tmp_path, state={TABLE: np.float32([1e9])}, dtype="float16")
    assert_state(huggingface.read_folder(tmp_path).state)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_a_file_is_no_folder_to_write_to(tmp_path):
    put(tmp_path, {"file": "text"})
    with pytest.raises(InputError, match="must be a folder, new or old, but is a file"):
        write(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write"):
        write(tmp_path / "file" / "folder")


def test_a_full_disk_leaves_the_model_of_before(tmp_path):
    write(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*; name a folder .* with room"):
            write(tmp_path, state={TABLE: np.ones([32, 80], np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_state(huggingface.read_folder(tmp_path).state)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


# A child is killed at its n-th change of a name, for every n until it lives to the end.
KILLED = """
import json, os, pathlib, sys
import numpy as np
from official_nlp.checkpoints import huggingface
from official_nlp.errors import InputError

folder, sizes = pathlib.Path(sys.argv[1]), [int(size) for size in sys.argv[2:]]
states = [
    {f"electra.encoder.{i}": np.full([50], number, np.float32) for i in range(4)}
    for number in (1, 2)
]

def write(number):
    config = json.dumps({"number": number})
    huggingface.write_folder(folder, config, states[number], max_shard_size=sizes[number])

def dying(change, left):
    def changed(*arguments, **options):
        if not left:
            os._exit(9)
        left.pop()
        return change(*arguments, **options)
    return changed

def seen():
    try:
        found = huggingface.read_folder(folder)
    except InputError as error:
        assert "must have config.json" in str(error), error
        return "refused"
    expected = states[found.config["number"]]
    assert found.state.keys() == expected.keys()
    assert all(np.array_equal(found.state[name], value) for name, value in expected.items())
    return ("old", "new")[found.config["number"]]

fates = []
for count in range(100):
    write(0)
    child = os.fork()
    if not child:
        left = [None] * count
        os.replace, pathlib.Path.unlink = dying(os.replace, left), dying(pathlib.Path.unlink, left)
        write(1)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    fates.append(seen())
    if not ended:
        break
print(*fates)
"""


@pytest.mark.parametrize("sizes", [(10**6, 10**6), (10**6, 500), (500, 10**6), (500, 250)])
def test_a_kill_leaves_the_old_model_or_none_or_the_new(tmp_path, repository, sizes):
    words = [sys.executable, "-c", KILLED, tmp_path / "model", *map(str, sizes)]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    fates = done.stdout.split()
    assert fates[0] == "old"
    assert fates[-1] == "new"
    assert fates == sorted(fates, key=["old", "refused", "new"].index)


# === Memory ===
def test_tensors_are_held_once(tmp_path):
    state = {f"electra.encoder.{i}": np.ones([250_000], np.float32) for i in range(16)}
    size = sum(value.nbytes for value in state.values())
    tracemalloc.start()
    try:
        write(tmp_path, state=state)
        assert tracemalloc.get_traced_memory()[1] < size / 8
        tracemalloc.reset_peak()
        write(tmp_path, state=state, dtype="float16")
        assert tracemalloc.get_traced_memory()[1] < 0.6 * size
        tracemalloc.reset_peak()
        found = huggingface.read_folder(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * size
    finally:
        tracemalloc.stop()
    assert found.state.keys() == state.keys()
