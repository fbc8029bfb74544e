"""Tests of the index of shards written by google-research/electra or another program."""

import errno
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.storage import data_folder, foreign_shards, index
from official_nlp.errors import InputError


def example(**lists) -> bytes:
    message = tf.train.Example()
    for name, values in lists.items():
        message.features.feature[name].int64_list.value.extend(values)
    return message.SerializeToString()


def row(*ids, length=8) -> bytes:
    padding = [0] * (length - len(ids))
    return example(
        input_ids=[*ids, *padding],
        input_mask=[1] * len(ids) + padding,
        segment_ids=[0] * length,
    )


def write(file, *messages):
    with tf.io.TFRecordWriter(str(file)) as writer:
        for message in messages:
            writer.write(message)


def first_words(split) -> list[int]:
    parsed = [tf.train.Example.FromString(data) for data in split.read(np.arange(split.count))]
    return [message.features.feature["input_ids"].int64_list.value[1] for message in parsed]


@pytest.fixture
def shards(tmp_path):
    """Twelve shards of two records, one of them empty, with names as in google-research/electra."""
    for number in range(12):
        messages = [row(2, 5 + number, 3), row(2, 5 + number, 6, 7, 3)]
        name = f"pretrain_data.tfrecord-{number}-of-12"
        write(tmp_path / name, *(messages if number != 4 else []))
    return tmp_path


def open_shards(folder, tokenizer_folder, **options):
    return data_folder.open_folder(folder, tokenizer_folder, progress=False, **options)


def test_shards_of_google_research_can_be_opened(shards, tokenizer_folder):
    data = open_shards(shards, tokenizer_folder, held_out=0.2)
    assert (data.count("train"), data.count("held_out")) == (17, 5)
    assert data.index.longest_row == 5
    assert data.index.length == 8
    assert data.index.largest_id == 16
    # In numeric, not alphabetic, order; the last ones are held out.
    everything = [5 + number for number in range(12) if number != 4 for _ in range(2)]
    assert first_words(data.split("train")) + first_words(data.split("held_out")) == everything


def test_unigram_counts_leave_out_the_held_out_split(shards, tokenizer_folder):
    data = open_shards(shards, tokenizer_folder, held_out=0.2)
    counts = data.unigram_counts()
    assert len(counts) == data.tokenizer.vocab_size
    words = np.bincount(first_words(data.split("train")), minlength=len(counts))
    words[[2, 3]] = 17
    words[[6, 7]] += 8
    np.testing.assert_array_equal(counts, words)


def test_shards_named_held_out_become_the_held_out_split(shards, tokenizer_folder):
    (shards / "pretrain_data.tfrecord-3-of-12").rename(shards / "held_out.tfrecord")
    data = open_shards(shards, tokenizer_folder)
    assert first_words(data.split("held_out")) == [8, 8]
    assert data.count("train") == 20


def test_the_index_is_made_once(shards, tokenizer_folder, monkeypatch, capsys):
    data_folder.open_folder(shards, tokenizer_folder)
    assert (
        "12 shards without an index, examples found: 21 train, 1 held_out"
        in capsys.readouterr().out
    )
    monkeypatch.delattr(foreign_shards, "build_index")
    data_folder.open_folder(shards, tokenizer_folder)
    assert not [file.name for file in shards.iterdir() if file.name.startswith(".")]


def test_held_out_shards_alone_are_refused(tmp_path, tokenizer_folder):
    write(tmp_path / "held_out.tfrecord", row(2, 5, 3))
    with pytest.raises(InputError, match=r"holds held-out shards only"):
        open_shards(tmp_path, tokenizer_folder)


def test_a_single_record_belongs_to_the_train_split(tmp_path, tokenizer_folder):
    write(tmp_path / "a.tfrecord", row(2, 5, 3))
    data = open_shards(tmp_path, tokenizer_folder)
    assert (data.count("train"), data.count("held_out")) == (1, 0)


def test_a_folder_without_records_is_refused(tmp_path, tokenizer_folder):
    with pytest.raises(InputError, match=r"holds neither index.json nor a file named"):
        open_shards(tmp_path, tokenizer_folder)
    write(tmp_path / "a.tfrecord")
    with pytest.raises(InputError, match=r"hold no record"):
        open_shards(tmp_path, tokenizer_folder)


LONG = [1, 2, 3]
BAD_RECORDS = {
    "static masks": (
        example(input_ids=LONG, input_mask=LONG, segment_ids=LONG, masked_lm_positions=[1]),
        "holds masked_lm_positions, masks chosen when it was written",
    ),
    "tfnlp's static masks": (
        example(input_word_ids=LONG, input_mask=LONG, masked_lm_positions=[1]),
        "holds masked_lm_positions",
    ),
    "other features": (
        example(input_word_ids=LONG, input_mask=LONG),
        "holds input_mask, input_word_ids, but must hold input_ids, input_mask, segment_ids",
    ),
    "no features": (example(other=[]), "holds other, but must hold"),
    "lists of different lengths": (
        example(input_ids=LONG, input_mask=[1], segment_ids=LONG),
        "holds lists of different lengths",
    ),
    "a negative id": (
        example(input_ids=[-1, 2, 3], input_mask=LONG, segment_ids=LONG),
        "holds the id -1, but the vocabulary has only",
    ),
    "no bytes": (b"", "is empty"),
    "empty lists": (
        example(input_ids=[], input_mask=[], segment_ids=[]),
        "holds input_ids, input_mask, segment_ids, but must hold .* as lists of integers",
    ),
    "lists of floats": (
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))
                    for name in ("input_ids", "input_mask", "segment_ids")
                }
            )
        ).SerializeToString(),
        "holds input_ids, input_mask, segment_ids, but must hold .* as lists of integers",
    ),
    "an id beyond the vocabulary": (
        example(input_ids=[2, 300_000_000, 3], input_mask=[1] * 3, segment_ids=[0] * 3),
        "holds the id 300000000, but the vocabulary has only",
    ),
    "an id beyond 32 bits": (
        example(input_ids=[2, 2**40 + 5, 3], input_mask=[1] * 3, segment_ids=[0] * 3),
        "holds the id 1099511627781, but the vocabulary has only",
    ),
    "another segment": (
        example(input_ids=LONG, input_mask=[1] * 3, segment_ids=[0, 7, 0]),
        "holds 7 in segment_ids, which must be 0 or 1",
    ),
    "another mask": (
        example(input_ids=LONG, input_mask=[1, 1, -1], segment_ids=[0] * 3),
        "holds -1 in input_mask, which must be 0 or 1",
    ),
    "no example": (b"\xff\xff", "is not a tf.train.Example"),
    "another type": (
        tf.train.Example(
            features=tf.train.Features(
                feature={"input_ids": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"]))}
            )
        ).SerializeToString(),
        "holds input_ids, but must hold",
    ),
}


@pytest.mark.parametrize("kind", BAD_RECORDS)
def test_records_of_another_format_are_named_with_file_and_byte(tmp_path, tokenizer_folder, kind):
    message, what = BAD_RECORDS[kind]
    good = row(2, 5, 3)
    write(tmp_path / "a.tfrecord", good, message)
    with pytest.raises(InputError, match=f"a.tfrecord: the record at byte {len(good) + 16} {what}"):
        open_shards(tmp_path, tokenizer_folder)
    assert not (tmp_path / "index.json").exists()


def test_a_truncated_shard_is_named(shards, tokenizer_folder):
    file = shards / "pretrain_data.tfrecord-7-of-12"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"tfrecord-7-of-12: the record at byte .* file ends"):
        open_shards(shards, tokenizer_folder)


def test_an_id_beyond_the_vocabulary_is_refused(tmp_path, tokenizer_folder):
    write(tmp_path / "a.tfrecord", row(2, 12345, 3))
    with pytest.raises(InputError, match=r"holds the id 12345, but the vocabulary has only"):
        open_shards(tmp_path, tokenizer_folder)


def test_an_index_that_cannot_be_written_is_named(shards, tokenizer_folder):
    # A folder of the same name: the tests may run as root, whom no permission stops.
    (shards / "unigram.npy").mkdir()
    with pytest.raises(
        InputError, match=r"index could not be written to .*unigram.npy: Is a directory"
    ):
        open_shards(shards, tokenizer_folder)
    assert not (shards / "index.json").exists()


def test_shards_in_a_read_only_folder_are_refused_with_the_reason(
    shards, tokenizer_folder, monkeypatch
):
    # The tests may run as root, whom no permission stops, so the system's answer is simulated.
    def read_only(file, mode="r", *arguments, **options):
        if "r" not in mode:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        return open(file, mode, *arguments, **options)

    monkeypatch.setattr(index, "open", read_only, raising=False)
    message = (
        r"index could not be written to .*: Read-only file system; .* make the folder writable"
    )
    with pytest.raises(InputError, match=message):
        open_shards(shards, tokenizer_folder)
    assert not list(shards.glob("*.npy"))


def test_the_index_equals_that_of_build_examples(built, tmp_path, tokenizer_folder):
    for file in built.glob("*.tfrecord"):
        (tmp_path / file.name).symlink_to(file)
    open_shards(tmp_path, tokenizer_folder)
    ours, theirs = (json.loads((f / "index.json").read_text()) for f in (built, tmp_path))
    for key in (
        "splits",
        "longest_row",
        "largest_id",
        "length",
        "unigram",
        "version",
        "content_hash",
    ):
        assert ours[key] == theirs[key], key
    for file in ("offsets-train.npy", "offsets-held_out.npy"):
        np.testing.assert_array_equal(np.load(built / file), np.load(tmp_path / file))
    counts = np.load(tmp_path / "unigram.npy")
    np.testing.assert_array_equal(np.load(built / "unigram.npy")[: len(counts)], counts)
