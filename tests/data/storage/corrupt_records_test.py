"""Tests of the policy for corrupt records, from the shard to the batch."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.pretraining import ngram_baselines, pipeline
from official_nlp.data.storage import data_folder, foreign_shards, framing
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError
from official_nlp.training.tracing import plain_errors

ROWS, LENGTH = 4, 32


@pytest.fixture
def copy(built, tmp_path):
    """A data folder that a test may corrupt."""
    return shutil.copytree(built, tmp_path / "copy")


def corrupt(folder, number):
    """Flip a bit in a train example; return its file and offset."""
    data = data_folder.open_folder(folder)
    shard, before = 0, 0
    shards = data.index.splits["train"]
    while before + shards[shard].records <= number:
        before += shards[shard].records
        shard += 1
    file, offset = folder / shards[shard].file, int(np.load(folder / "offsets-train.npy")[number])
    content = bytearray(file.read_bytes())
    content[offset + framing.HEADER_BYTES + 30] ^= 0x10
    file.write_bytes(content)
    return file, offset


def epoch(folder, **options):
    """Return the batches of one epoch, joined, in the order of the stream."""
    dataset = pipeline.pretraining_dataset(
        folder, **{"batch_size": ROWS, "length": LENGTH, "seed": 1, **options}
    )
    batches = list(dataset.take(-(-folder.count("train") // ROWS)).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_empty_instead(whole, found, empty):
    """Assert that some examples are empty and all others unchanged."""
    for name in whole:
        np.testing.assert_array_equal(found[name][~empty], whole[name][~empty], err_msg=name)
        if name != "stream_position":
            assert not found[name][empty].any(), name
    np.testing.assert_array_equal(found["stream_position"], whole["stream_position"])


def test_a_corrupt_record_is_an_error_that_names_file_and_byte(copy):
    file, offset = corrupt(copy, 41)
    message = (
        rf"{file}: the record at byte {offset} is corrupt: its checksum .*CORRUPT_RECORDS=skip"
    )
    with pytest.raises(InputError, match=message):
        data_folder.open_folder(copy).split("train").read([41])
    # Also from a dataset, where TensorFlow passes the error on as text.
    with pytest.raises(InputError, match=message), plain_errors():
        epoch(data_folder.open_folder(copy))


def test_a_skipped_record_leaves_its_example_empty_and_the_others_in_place(built, copy):
    whole = epoch(data_folder.open_folder(built))
    records = [corrupt(copy, number) for number in (3, 41)]
    policy = CorruptRecords("skip")
    folder = data_folder.open_folder(copy, corrupt_records=policy)
    found = epoch(folder)
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() == 2
    assert_empty_instead(whole, found, empty)
    assert policy.rows >= 2
    for file, offset in records:
        assert f"{file} at byte {offset}: its checksum does not match its data" in policy.describe()
    # An example is a function of its position, however it is read.
    again = epoch(
        data_folder.open_folder(copy, corrupt_records=CorruptRecords("skip")), batch_size=2 * ROWS
    )
    for name in found:
        np.testing.assert_array_equal(again[name][: len(found[name])], found[name])


def test_a_record_with_a_right_checksum_and_a_wrong_id_is_corrupt(built, copy):
    whole = epoch(data_folder.open_folder(built))
    data = data_folder.open_folder(copy)
    (serialized,) = data.split("train").read([3])
    start = int(np.load(copy / "offsets-train.npy")[3])
    position = serialized.index(b"input_ids") + 30
    wrong = serialized[:position] + b"\x7f" + serialized[position + 1 :]
    file = copy / data.index.splits["train"][0].file
    with open(file, "r+b") as stream:
        stream.seek(start)
        stream.write(framing.frame(wrong))
    message = rf"{file}: the record at byte {start} .* the id 127, but"
    with pytest.raises(InputError, match=message), plain_errors():
        epoch(data)
    policy = CorruptRecords("skip")
    found = epoch(data_folder.open_folder(copy, corrupt_records=policy))
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() == 1
    assert_empty_instead(whole, found, empty)
    assert f"{file} at byte {start}: it holds the id 127" in policy.describe()


def test_wrong_offsets_are_corrupt_records(built, copy):
    whole = epoch(data_folder.open_folder(built))
    offsets = np.load(copy / "offsets-train.npy")
    # The records before those with wrong offsets end at them.
    offsets[[3, 20, 41]] = -5, 10**15, 0
    np.save(copy / "offsets-train.npy", offsets)
    with pytest.raises(InputError, match=r"its offset in offsets-train.npy is wrong"):
        data_folder.open_folder(copy).split("train").read([3])
    found = epoch(data_folder.open_folder(copy, corrupt_records=CorruptRecords("skip")))
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() == 6
    assert_empty_instead(whole, found, empty)


def test_baselines_leave_out_corrupt_records(copy):
    corrupt(copy, 3)
    with pytest.raises(InputError, match="is corrupt"):
        ngram_baselines.measure_ngram_baselines(data_folder.open_folder(copy))
    found = ngram_baselines.measure_ngram_baselines(
        data_folder.open_folder(copy, corrupt_records=CorruptRecords("skip"))
    )
    assert found.tokens > 0


def test_the_missing_records_of_a_truncated_shard_are_skipped(built, copy):
    whole = epoch(data_folder.open_folder(built))
    shard = data_folder.open_folder(copy).index.splits["train"][1]
    offsets = np.load(copy / "offsets-train.npy")
    # In the middle of a record: it and those after it in this shard are missing.
    os.truncate(copy / shard.file, int(offsets[41]) + 5)
    with pytest.raises(InputError, match=rf"{shard.file} ends at byte .*CORRUPT_RECORDS=skip"):
        data_folder.open_folder(copy)
    policy = CorruptRecords("skip")
    folder = data_folder.open_folder(copy, corrupt_records=policy)
    assert (
        f"{shard.file} ends at byte {int(offsets[41]) + 5}, but index.json lists"
        in policy.describe()
    )
    found = epoch(folder)
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() >= shard.records - 1
    assert_empty_instead(whole, found, empty)
    assert "and " in policy.describe()


def test_a_corrupt_held_out_record_has_no_weight(copy):
    data = data_folder.open_folder(copy)
    shard = data.index.splits["held_out"][0]
    os.truncate(copy / shard.file, (copy / shard.file).stat().st_size - 5)
    folder = data_folder.open_folder(copy, corrupt_records=CorruptRecords("skip"))
    dataset = pipeline.evaluation_dataset(folder, batch_size=ROWS, length=LENGTH, seed=1)
    weights = np.concatenate([b["masked_lm_weights"] for b in dataset.as_numpy_iterator()])
    empty = np.flatnonzero(~weights[: folder.count("held_out")].any(axis=1))
    assert empty.tolist() == [shard.records - 1]


def test_an_unknown_policy_is_refused():
    with pytest.raises(InputError, match="corrupt_records must be one of stop, skip, was 'hope'"):
        CorruptRecords("hope")
    assert CorruptRecords().describe() == ""


# === Shards of other programs ===


def without_index(folder):
    """Turn a data folder into one as of another program: shards and a vocabulary."""
    for file in [*folder.glob("*.npy"), folder / "index.json"]:
        file.unlink()
    return folder


@pytest.mark.parametrize("damage", ["bytes", "end"])
def test_an_index_is_made_of_shards_with_corrupt_records(built, copy, damage):
    whole = data_folder.open_folder(built)
    file, offset = corrupt(copy, 41)
    if damage == "end":
        os.truncate(file, offset + 20)
    without_index(copy)
    with pytest.raises(InputError, match=rf"{file}: the record at byte {offset} is corrupt"):
        data_folder.open_folder(copy, progress=False)
    assert not (copy / "index.json").exists()
    policy = CorruptRecords("skip")
    data = data_folder.open_folder(copy, progress=False, corrupt_records=policy)
    missing = whole.index.splits["train"][1].records - 2 if damage == "end" else 0
    assert data.count("train") == whole.count("train") - missing
    assert f"{file} at byte {offset}" in policy.describe()
    assert policy.rows == 0
    expected = whole.split("train").read(np.arange(whole.count("train")))
    found = data.split("train").read(np.arange(data.count("train")))
    assert found[41] == b""
    assert policy.rows == 1
    assert found[:41] == expected[:41]
    assert found[42:] == expected[42 + missing :]
    # The index is the same under both policies.
    strict = data_folder.open_folder(copy, progress=False)
    assert strict.split("train").read([40]) == [expected[40]]
    with pytest.raises(InputError, match=rf"{file}: the record at byte {offset} is corrupt"):
        strict.split("train").read([41])


def test_a_shard_of_a_few_bytes_is_one_corrupt_record(built, copy):
    whole = data_folder.open_folder(built)
    file = without_index(copy) / whole.index.splits["train"][1].file
    os.truncate(file, 10)
    policy = CorruptRecords("skip")
    data = data_folder.open_folder(copy, progress=False, corrupt_records=policy)
    first, second = (whole.index.splits["train"][number].records for number in (0, 1))
    assert data.count("train") == whole.count("train") - second + 1
    assert not data.split("train").tables([first], LENGTH)[0].any()
    assert policy.rows == 1


def test_shards_of_nothing_but_corrupt_records_are_refused(tmp_path, tokenizer_folder):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(b"whatever")
    os.truncate(tmp_path / "a.tfrecord", 14)
    with pytest.raises(InputError, match="hold no record"):
        foreign_shards.build_index(
            tmp_path, 0.1, 99, progress=False, corrupt_records=CorruptRecords("skip")
        )
