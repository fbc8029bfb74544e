"""Tests of writing shards."""

import numpy as np
import pytest

from official_nlp.data.storage.framing import frame, records
from official_nlp.data.storage.shards import ShardWriter


@pytest.mark.parametrize("blocks", [[0], [5], [3, 4, 0, 2], [1] * 9, [20]])
def test_records_are_distributed_to_shards_in_order(tmp_path, blocks):
    data = [bytes([number]) * number for number in range(sum(blocks))]
    with ShardWriter(tmp_path, "train", 4) as writer:
        done = 0
        for size in blocks:
            framed = [frame(record) for record in data[done : done + size]]
            writer.write(b"".join(framed), np.array([len(record) for record in framed], np.int64))
            done += size
        shards = writer.finish()
    count = -(-len(data) // 4)
    assert [shard.file for shard in shards] == [
        f"train-{number:05}-of-{count:05}.tfrecord" for number in range(count)
    ]
    assert [shard.records for shard in shards] == [min(4, len(data) - 4 * n) for n in range(count)]
    found, offsets = [], []
    for shard in shards:
        assert shard.bytes == shard.end == (tmp_path / shard.file).stat().st_size
        for offset, record in records(tmp_path / shard.file):
            found.append(record)
            offsets.append(offset)
    assert found == data
    np.testing.assert_array_equal(np.load(tmp_path / "offsets-train.npy"), offsets)
    assert len(list(tmp_path.iterdir())) == count + 1


def test_an_unfinished_shard_is_closed(tmp_path):
    with ShardWriter(tmp_path, "train", 4) as writer:
        writer.write(frame(b"a"), np.array([17]))
    with pytest.raises(ValueError, match=r"closed file"):
        writer.write(frame(b"a"), np.array([17]))
