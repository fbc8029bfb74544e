"""Tests of random access to the records of a data folder."""

import concurrent.futures
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.storage import data_folder, index
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.tasks.pretraining_data import open_data
from tests.data.storage.changed_index import change_index


@pytest.fixture
def copy(built, tmp_path):
    """A data folder that a test may change."""
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def test_records_are_in_the_order_of_the_files(folder):
    for name in ("train", "held_out"):
        files = sorted(folder.path.glob(f"{name}-*.tfrecord"))
        expected = [record.numpy() for record in tf.data.TFRecordDataset(list(map(str, files)))]
        split = folder.split(name)
        assert split.count == folder.count(name) == len(expected) > 40
        assert split.read(np.arange(split.count)) == expected


def test_records_can_be_read_in_any_order(folder):
    split = folder.split("train")
    every = split.read(np.arange(split.count))
    chosen = [split.count - 1, 0, 39, 40, 41, 0]
    assert split.read(chosen) == [every[number] for number in chosen]
    assert split.read([]) == []


def test_several_threads_can_read_at_once(folder, monkeypatch):
    monkeypatch.setattr(data_folder, "_OPEN_FILES", 1)
    split = folder.split("train")
    every = split.read(np.arange(split.count))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(lambda number: split.read([number])[0], list(range(split.count)) * 4)
        )
    assert found == every * 4


@pytest.mark.parametrize("number", [-1, 10**6])
def test_a_number_out_of_range_is_an_error(folder, number):
    with pytest.raises(IndexError, match=r"examples must be in"):
        folder.split("train").read([0, number])


def test_unigram_counts_are_those_of_the_train_split(folder):
    ids = []
    for data in folder.split("train").read(np.arange(folder.count("train"))):
        stored = tf.train.Example.FromString(data).features.feature
        real = sum(stored["input_mask"].int64_list.value)
        ids += stored["input_ids"].int64_list.value[:real]
    counts = folder.unigram_counts()
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.bincount(ids, minlength=folder.tokenizer.vocab_size))


def test_files_are_closed_with_the_folder(built):
    before = len(os.listdir("/proc/self/fd"))
    data = data_folder.open_folder(built)
    data.split("train").read(np.arange(data.count("train")))
    del data
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_split_is_named(folder):
    assert folder.count("test") == 0
    with pytest.raises(InputError, match=r"holds no 'test' examples"):
        folder.split("test")


@pytest.mark.parametrize("name", ["nothing", "x" * 300])
def test_a_missing_folder_is_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"no data folder .*{name}"):
        data_folder.open_folder(tmp_path / name)
    with pytest.raises(InputError, match=rf"no data folder .*{name}"):
        open_data(tmp_path / name)


@pytest.mark.parametrize("size", [100, -1])
def test_a_shard_of_another_size_is_named(copy, size):
    file = copy / "train-00000-of-00006.tfrecord"
    os.truncate(file, size if size > 0 else file.stat().st_size + 10)
    with pytest.raises(
        InputError, match=r"train-00000-of-00006.tfrecord (ends at|has) .* but index.json lists \d+"
    ):
        data_folder.open_folder(copy)


def test_a_missing_shard_is_named(copy):
    (copy / "train-00001-of-00006.tfrecord").unlink()
    with pytest.raises(InputError, match=r"train-00001-of-00006.tfrecord is missing"):
        data_folder.open_folder(copy)


def test_a_shard_that_vanishes_while_reading_is_named(copy):
    data = data_folder.open_folder(copy)
    (copy / "train-00000-of-00006.tfrecord").unlink()
    with pytest.raises(InputError, match=r"cannot read .*train-00000.*No such file"):
        data.split("train").read([0])


def test_a_corrupt_record_is_named_with_file_and_byte(copy):
    data = data_folder.open_folder(copy)
    split = data.split("train")
    start = int(np.load(copy / "offsets-train.npy")[41])
    with open(copy / "train-00001-of-00006.tfrecord", "r+b") as file:
        file.seek(start + 30)
        file.write(b"??")
    split.read([40, 42])
    with pytest.raises(InputError, match=f"train-00001.*the record at byte {start} is corrupt"):
        split.read([41])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 2}', '{"version": 2, "what": 2}'])
def test_a_file_that_is_not_an_index_is_refused(copy, content):
    (copy / index.INDEX_FILE).write_text(content)
    with pytest.raises(InputError, match=r"index.json (is not an index|must).*build the data"):
        data_folder.open_folder(copy)


WRONG_VALUES = [
    ("length", -1, "length must be an integer from 0 to"),
    ("length", 10**12, "length must be an integer from 0 to"),
    ("longest_row", 33, "longest_row must be an integer from 0 to 32"),
    ("largest_id", "x", "largest_id must be an integer from 0 to"),
    ("largest_id", None, "largest_id must be"),
    ("largest_id", True, "largest_id must be"),
    ("largest_id", 1.0, "largest_id must be"),
    ("vocab_size", [], "vocab_size must be"),
    ("vocab_hash", 7, "vocab_hash must be a string or null"),
    ("content_hash", {}, "content_hash must be a string"),
    ("settings", [1], "settings must be an object"),
    ("splits", [], "no attribute"),
    ("splits", {"../../x": []}, "splits must be train and held_out"),
    ("splits", {"train": [7]}, ""),
    ("splits", {"train": 7}, ""),
    ("more", 7, "more"),
]
WRONG_SHARDS = [
    ("file", "../train-00000-of-00006.tfrecord", "file must be a name in the folder"),
    ("file", "/etc/passwd", "file must be a name in the folder"),
    ("file", "x" * 300, "file must be a name in the folder"),
    ("file", "a\0b", "file must be a name in the folder"),
    ("file", "\ud800", "file must be a name in the folder"),
    ("file", None, "file must be a name in the folder"),
    ("file", ["a"], "file must be a name in the folder"),
    ("bytes", -1, "bytes must be an integer"),
    ("bytes", 1e5, "bytes must be an integer"),
    ("end", 10**12, "end must be an integer from 0 to"),
    ("records", 10**6, "records must be an integer from 0 to"),
    ("what", 1, "what"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG_VALUES)
def test_wrong_values_in_an_index_are_named(copy, field, value, message):
    change_index(copy, **{field: value})
    with pytest.raises(InputError, match=f"index.json is not an index .*{message}.*build the data"):
        data_folder.open_folder(copy)


@pytest.mark.parametrize(("field", "value", "message"), WRONG_SHARDS)
def test_wrong_values_of_a_shard_are_named(copy, field, value, message):
    splits = json.loads((copy / index.INDEX_FILE).read_text())["splits"]
    splits["train"][0][field] = value
    change_index(copy, splits=splits)
    with pytest.raises(InputError, match=f"index.json is not an index .*{message}.*build the data"):
        data_folder.open_folder(copy)


def test_a_flipped_bit_in_the_index_is_found(copy):
    # The name of a shard becomes that of another one, with as many bytes and records.
    file = copy / index.INDEX_FILE
    file.write_text(file.read_text().replace("train-00003", "train-00002"))
    with pytest.raises(InputError, match=r"its content has changed.*build the"):
        data_folder.open_folder(copy)


def save_npz(file, array):
    with open(file, "wb") as stream:
        np.savez(stream, array)


DAMAGED_ARRAYS = {
    "empty": lambda file, array: os.truncate(file, 0),
    "truncated": lambda file, array: os.truncate(file, 150),
    "floats": lambda file, array: np.save(file, array.astype(float)),
    "two dimensions": lambda file, array: np.save(file, array[:, None]),
    "a scalar": lambda file, array: np.save(file, np.int64(3)),
    "strings": lambda file, array: np.save(file, array.astype("S3")),
    "objects": lambda file, array: np.save(file, array.astype(object), allow_pickle=True),
    "a structure": lambda file, array: np.save(file, np.zeros(9, [("a", "i8")])),
    "an archive": save_npz,
    "missing": lambda file, array: os.remove(file),
    "a folder": lambda file, array: (os.remove(file), os.mkdir(file)),
    "a huge shape": lambda file, array: file.write_bytes(
        file.read_bytes().replace(b"%d," % len(array), b"%d," % 10**15).replace(b" " * 14, b"", 1)
    ),
    "no header": lambda file, array: file.write_bytes(
        b"\x93NUMPY\x01\x00\x05\x00{((((" + b"x" * 99
    ),
}


@pytest.mark.parametrize("name", ["unigram.npy", "offsets-train.npy"])
@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_damaged_arrays_are_named(copy, name, damage):
    DAMAGED_ARRAYS[damage](copy / name, np.load(copy / name))
    with pytest.raises(InputError, match=rf"{name}( must hold|: ).*build the data again"):
        data_folder.open_folder(copy).unigram_counts()


@pytest.mark.parametrize("counts", [[1, 2, -3], [1] * 1000])
def test_unigram_counts_that_do_not_fit_the_vocabulary_are_named(copy, counts):
    np.save(copy / "unigram.npy", np.array(counts))
    with pytest.raises(InputError, match=r"unigram.npy must hold at most \d+ counts, .* negative"):
        data_folder.open_folder(copy).unigram_counts()


def test_an_index_of_another_version_is_refused(copy):
    change_index(copy, version=99)
    with pytest.raises(InputError, match=r"index.json was written by another version"):
        data_folder.open_folder(copy)


def test_offsets_that_do_not_match_the_index_are_refused(copy):
    np.save(copy / "offsets-train.npy", np.arange(3))
    with pytest.raises(
        InputError, match=r"offsets-train.npy has the offsets of 3 records, but index.json lists"
    ):
        data_folder.open_folder(copy)
    (copy / "offsets-train.npy").write_bytes(b"what")
    with pytest.raises(InputError, match=r"cannot read .*offsets-train.npy"):
        data_folder.open_folder(copy)


def test_a_vocabulary_other_than_that_of_the_data_is_refused(built, tokenizer, tmp_path):
    ElectraTokenizer([*tokenizer.vocab, "more"]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"made with another vocabulary"):
        data_folder.open_folder(built, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert data_folder.open_folder(built, tmp_path).tokenizer.vocab == tokenizer.vocab


def test_an_id_beyond_the_vocabulary_is_refused(copy, tokenizer):
    change_index(copy, largest_id=tokenizer.vocab_size)
    with pytest.raises(
        InputError, match=f"holds the id {tokenizer.vocab_size}, but the vocabulary"
    ):
        data_folder.open_folder(copy)


def test_a_folder_without_a_vocabulary_asks_for_one(copy, tokenizer_folder):
    shutil.rmtree(copy / "tokenizer")
    with pytest.raises(InputError, match=r"give the vocabulary .* vocab_file= in Python"):
        data_folder.open_folder(copy)
    assert data_folder.open_folder(copy, tokenizer_folder).count("train")
