"""Tests of the index of a data folder."""

import numpy as np
import pytest

from official_nlp.data.storage import index

SHARD = index.Shard("train-00000-of-00001.tfrecord", 200, 7, 200)
INDEX = index.Index({"train": [SHARD], "held_out": []}, 12, 99, 16, "def", 100, "abc", {"seed": 1})


def test_an_index_is_read_as_it_was_written(tmp_path):
    index.write(tmp_path, INDEX, np.arange(3))
    assert index.read(tmp_path) == INDEX
    assert np.load(tmp_path / index.UNIGRAM_FILE).tolist() == [0, 1, 2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.json", "unigram.npy"]


@pytest.mark.parametrize(("split", "records"), [("train", 7), ("held_out", 0), ("other", 0)])
def test_records_are_counted(split, records):
    assert INDEX.records(split) == records


@pytest.mark.parametrize("parts", [[], [0], [3, 0, 1000]])
def test_offsets_written_in_parts_equal_those_written_at_once(tmp_path, parts):
    offsets = [np.arange(size) * 7 for size in parts]
    writer = index.OffsetsWriter(tmp_path, "train")
    for part in offsets:
        writer.append(part)
    writer.finish()
    index.write_offsets(tmp_path, "other", np.concatenate([np.empty(0, np.int64), *offsets]))
    one, other = (np.load(tmp_path / f"offsets-{name}.npy") for name in ("train", "other"))
    assert one.dtype == other.dtype == np.int64
    np.testing.assert_array_equal(one, other)
