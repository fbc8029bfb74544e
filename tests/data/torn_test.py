import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data import foreign, framing, pipeline, records, yardsticks
from official_nlp.data.torn import TornRecords
from official_nlp.errors import InputError
from official_nlp.training.tracing import plain_errors

ROWS, LENGTH = 4, 32


@pytest.fixture
def copy(built, tmp_path):
    """A data folder that a test may spoil."""
    return shutil.copytree(built, tmp_path / "copy")


def spoil(folder, number):
    """Flips a bit in a train example; returns file and offset."""
    data = records.open_folder(folder)
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
    """One epoch's batches, joined, rows in the order of the stream."""
    dataset = pipeline.pretraining_dataset(
        folder, **{"batch_size": ROWS, "length": LENGTH, "seed": 1, **options}
    )
    batches = list(dataset.take(-(-folder.count("train") // ROWS)).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_empty_instead(whole, found, empty):
    """Asserts that some rows are empty, and all others what they were."""
    for name in whole:
        np.testing.assert_array_equal(found[name][~empty], whole[name][~empty], err_msg=name)
        if name != "stream_position":
            assert not found[name][empty].any(), name
    np.testing.assert_array_equal(found["stream_position"], whole["stream_position"])


def test_a_torn_record_stops_and_is_named(copy):
    file, offset = spoil(copy, 41)
    message = rf"{file}: the record at byte {offset} is damaged: its checksum .*TORN_RECORDS=skip"
    with pytest.raises(InputError, match=message):
        records.open_folder(copy).split("train").read([41])
    # From inside a dataset, too, where it passes through TensorFlow as text.
    with pytest.raises(InputError, match=message), plain_errors():
        epoch(records.open_folder(copy))


def test_a_torn_record_that_is_skipped_leaves_its_row_empty(built, copy):
    whole = epoch(records.open_folder(built))
    places = [spoil(copy, number) for number in (3, 41)]
    torn = TornRecords("skip")
    folder = records.open_folder(copy, torn=torn)
    found = epoch(folder)
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() == 2
    assert_empty_instead(whole, found, empty)
    assert torn.rows >= 2
    for file, offset in places:
        assert f"{file} at byte {offset}: its checksum does not fit its bytes" in torn.describe()
    # A row is a function of its place still, whoever reads it and how often.
    again = epoch(records.open_folder(copy, torn=TornRecords("skip")), batch_size=2 * ROWS)
    for name in found:
        np.testing.assert_array_equal(again[name][: len(found[name])], found[name])


def test_yardsticks_are_measured_without_what_is_torn(copy):
    spoil(copy, 3)
    with pytest.raises(InputError, match="is damaged"):
        yardsticks.measure_yardsticks(records.open_folder(copy))
    found = yardsticks.measure_yardsticks(records.open_folder(copy, torn=TornRecords("skip")))
    assert found.tokens > 0


def test_a_shard_that_lacks_its_end(built, copy):
    whole = epoch(records.open_folder(built))
    shard = records.open_folder(copy).index.splits["train"][1]
    offsets = np.load(copy / "offsets-train.npy")
    # In the middle of the 41st record: it and those after it in this shard are gone.
    os.truncate(copy / shard.file, int(offsets[41]) + 5)
    with pytest.raises(InputError, match=rf"{shard.file} ends at byte .*TORN_RECORDS=skip"):
        records.open_folder(copy)
    torn = TornRecords("skip")
    folder = records.open_folder(copy, torn=torn)
    assert f"{shard.file} ends at byte {int(offsets[41]) + 5}, index.json knows" in torn.describe()
    found = epoch(folder)
    empty = ~found["input_mask"].any(axis=1)
    assert empty.sum() >= shard.records - 1
    assert_empty_instead(whole, found, empty)
    assert "and " in torn.describe()


def test_a_held_out_record_that_is_torn_has_no_weight(copy):
    data = records.open_folder(copy)
    shard = data.index.splits["held_out"][0]
    os.truncate(copy / shard.file, (copy / shard.file).stat().st_size - 5)
    folder = records.open_folder(copy, torn=TornRecords("skip"))
    dataset = pipeline.evaluation_dataset(folder, batch_size=ROWS, length=LENGTH, seed=1)
    weights = np.concatenate([b["masked_lm_weights"] for b in dataset.as_numpy_iterator()])
    empty = np.flatnonzero(~weights[: folder.count("held_out")].any(axis=1))
    assert empty.tolist() == [shard.records - 1]


def test_what_is_no_policy_is_refused():
    with pytest.raises(InputError, match="torn_records must be one of stop, skip, was 'hope'"):
        TornRecords("hope")
    assert TornRecords().describe() == ""


# === Shards of others ===


def without_index(folder):
    """Makes it a folder that another program wrote: shards and a vocabulary."""
    for file in [*folder.glob("*.npy"), folder / "index.json"]:
        file.unlink()
    return folder


@pytest.mark.parametrize("damage", ["bytes", "end"])
def test_shards_of_others_with_torn_records(built, copy, damage):
    whole = records.open_folder(built)
    file, offset = spoil(copy, 41)
    if damage == "end":
        os.truncate(file, offset + 20)
    without_index(copy)
    with pytest.raises(InputError, match=rf"{file}: the record at byte {offset} is damaged"):
        records.open_folder(copy, progress=False)
    assert not (copy / "index.json").exists()
    torn = TornRecords("skip")
    data = records.open_folder(copy, progress=False, torn=torn)
    missing = whole.index.splits["train"][1].records - 2 if damage == "end" else 0
    assert data.count("train") == whole.count("train") - missing
    assert f"{file} at byte {offset}" in torn.describe()
    assert torn.rows == 0
    expected = whole.split("train").read(np.arange(whole.count("train")))
    found = data.split("train").read(np.arange(data.count("train")))
    assert found[41] == b""
    assert torn.rows == 1
    assert found[:41] == expected[:41]
    assert found[42:] == expected[42 + missing :]
    # The index holds for both policies.
    strict = records.open_folder(copy, progress=False)
    assert strict.split("train").read([40]) == [expected[40]]
    with pytest.raises(InputError, match=rf"{file}: the record at byte {offset} is damaged"):
        strict.split("train").read([41])


def test_only_torn_shards_are_no_data(tmp_path, tokenizer_folder):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(b"whatever")
    os.truncate(tmp_path / "a.tfrecord", 14)
    with pytest.raises(InputError, match="hold no record"):
        foreign.build_index(tmp_path, 0.1, progress=False, torn=TornRecords("skip"))
