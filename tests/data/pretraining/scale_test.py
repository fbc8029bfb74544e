"""Tests that any step is found in seconds, in data folders of up to a hundred million examples."""

import dataclasses
import os
import shutil
import time

import numpy as np
import pytest

from official_nlp.data import example_order
from official_nlp.data.pretraining import pipeline
from official_nlp.data.storage import data_folder, framing, index, parsing

SHARD = 100_000
LENGTH = 32
BATCH = 64


@pytest.fixture(params=[10**6, pytest.param(10**8, marks=pytest.mark.slow)])
def large(request, built, tmp_path):
    """A data folder and its distinct records; its many shards are links to one file."""
    small = data_folder.open_folder(built)
    different = small.split("train").read(np.arange(small.count("train")))
    framed = [framing.frame(different[i % len(different)]) for i in range(SHARD)]
    sizes = np.array([len(record) for record in framed], np.int64)
    (tmp_path / "one").write_bytes(b"".join(framed))
    folder = tmp_path / "large"
    folder.mkdir()
    shards = []
    offsets = index.OffsetsWriter(folder, "train")
    for number in range(request.param // SHARD):
        name = f"train-{number:05}.tfrecord"
        os.link(tmp_path / "one", folder / name)
        shards.append(index.Shard(name, int(sizes.sum()), SHARD, int(sizes.sum())))
        offsets.append(np.cumsum(sizes) - sizes)
    offsets.finish()
    shutil.copytree(built / "tokenizer", folder / "tokenizer")
    content = dataclasses.replace(small.index, splits={"train": shards, "held_out": []})
    index.write_offsets(folder, "held_out", np.empty(0, np.int64))
    index.write(folder, content, small.unigram_counts())
    yield folder, different
    # A hundred million offsets are most of a gigabyte.
    shutil.rmtree(folder)


@pytest.mark.timeout(300)
def test_any_step_is_found_in_seconds(large):
    folder, different = large
    start = time.monotonic()
    opened = data_folder.open_folder(folder)
    opening = time.monotonic() - start
    count = opened.count("train")
    epoch, step_in_epoch = 3, count // BATCH * 2 // 3
    first_step = (epoch * count) // BATCH + step_in_epoch
    start = time.monotonic()
    dataset = pipeline.pretraining_dataset(
        opened, batch_size=BATCH, length=LENGTH, seed=5, first_step=first_step
    )
    batch = {name: values.numpy() for name, values in next(iter(dataset)).items()}
    reading = time.monotonic() - start
    print(f"{count:,} examples: opened in {opening:.2f} s, step {first_step:,} in {reading:.2f} s")
    assert opening + reading < 20

    positions = first_step * BATCH + np.arange(BATCH)
    np.testing.assert_array_equal(batch["stream_position"], positions)
    examples = example_order.position_to_example(
        5 << 16, positions // count, positions % count, count
    )
    assert len(set(examples // SHARD)) > 5
    expected = [different[example % SHARD % len(different)] for example in examples]
    ids = parsing.parse(expected, opened.tokenizer.vocab_size).tables(LENGTH)[0]
    used = batch["masked_lm_weights"] > 0
    row = np.broadcast_to(np.arange(BATCH)[:, None], used.shape)
    found = batch["input_word_ids"]
    found[row[used], batch["masked_lm_positions"][used]] = batch["masked_lm_ids"][used]
    np.testing.assert_array_equal(found, ids)
