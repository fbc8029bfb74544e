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


@pytest.fixture
def copy(built, tmp_path):
    """A data folder that a test may change."""
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def change_index(folder, **changes):
    file = folder / index.INDEX_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


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


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no data folder .*nothing"):
        data_folder.open_folder(tmp_path / "nothing")


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


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "what": 2}'])
def test_a_file_that_is_not_an_index_is_refused(copy, content):
    (copy / index.INDEX_FILE).write_text(content)
    with pytest.raises(InputError, match=r"index.json (is not an index|must).*build the data"):
        data_folder.open_folder(copy)


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
