"""Tests of the batches for training and evaluation."""

import itertools
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.pretraining import masking, pipeline
from official_nlp.data.storage import data_folder, features
from official_nlp.errors import InputError

SIGNATURE = {
    "input_word_ids": tf.TensorSpec([4, 32], tf.int32),
    "input_mask": tf.TensorSpec([4, 32], tf.int32),
    "input_type_ids": tf.TensorSpec([4, 32], tf.int32),
    "masked_lm_positions": tf.TensorSpec([4, 4], tf.int32),
    "masked_lm_ids": tf.TensorSpec([4, 4], tf.int32),
    "masked_lm_weights": tf.TensorSpec([4, 4], tf.float32),
    "stream_position": tf.TensorSpec([4], tf.int64),
}


def training(folder, steps, **options):
    options = {"batch_size": 4, "length": 32, "seed": 1} | options
    dataset = pipeline.pretraining_dataset(folder, **options)
    return [{k: v.numpy() for k, v in batch.items()} for batch in itertools.islice(dataset, steps)]


def evaluation(folder, **options):
    options = {"batch_size": 4, "length": 32, "seed": 1} | options
    dataset = pipeline.evaluation_dataset(folder, **options)
    return [{k: v.numpy() for k, v in batch.items()} for batch in dataset]


@pytest.fixture(scope="module")
def stream(built):
    """The training batches of two epochs; every other way to read them must agree."""
    folder = data_folder.open_folder(built)
    return training(folder, 2 * folder.count("train") // 4)


@pytest.fixture(scope="module")
def held_out(built):
    """The batches of one pass over the held-out split."""
    return evaluation(data_folder.open_folder(built))


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for key in SIGNATURE:
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def rows(batches) -> dict[str, np.ndarray]:
    return {key: np.concatenate([batch[key] for batch in batches]) for key in SIGNATURE}


def unmasked(batches) -> np.ndarray:
    """Return the ids before masking."""
    joined = rows(batches)
    ids = joined["input_word_ids"].copy()
    row, slot = np.nonzero(joined["masked_lm_weights"])
    ids[row, joined["masked_lm_positions"][row, slot]] = joined["masked_lm_ids"][row, slot]
    return ids


def stored(folder, name) -> np.ndarray:
    split = folder.split(name)
    data = split.read(np.arange(split.count))
    parsed = [tf.train.Example.FromString(example) for example in data]
    return np.array([e.features.feature["input_ids"].int64_list.value for e in parsed])


@pytest.mark.parametrize("make", [pipeline.pretraining_dataset, pipeline.evaluation_dataset])
def test_batches_have_static_shapes(folder, make):
    assert make(folder, batch_size=4, length=32, seed=1).element_spec == SIGNATURE


def test_batches_have_the_shapes_of_their_specification(stream, held_out):
    for batch in (stream[0], held_out[0]):
        assert {key: (x.shape, x.dtype) for key, x in batch.items()} == {
            key: (tuple(spec.shape), spec.dtype.as_numpy_dtype) for key, spec in SIGNATURE.items()
        }


def test_an_epoch_holds_every_example_once(folder, stream):
    count = folder.count("train")
    joined, ids = rows(stream), unmasked(stream)
    np.testing.assert_array_equal(joined["stream_position"], np.arange(2 * count // 4 * 4))
    expected = sorted(stored(folder, "train").tolist())
    first, second = ids[:count], ids[count : 2 * count]
    assert sorted(first.tolist()) == expected
    assert first.tolist() != stored(folder, "train").tolist()
    assert first[:20].tolist() != second[:20].tolist()


def test_a_batch_is_read_as_it_was_written(folder, stream):
    batch = stream[0]
    ids, sep = unmasked([batch]), folder.tokenizer.sep_token_id
    for row in range(4):
        real = batch["input_mask"][row].sum()
        assert ids[row, 0] == folder.tokenizer.cls_token_id
        assert ids[row, real - 1] == sep
        assert not ids[row, real:].any()
        second = np.flatnonzero(batch["input_type_ids"][row])
        if len(second):
            assert ids[row, second[0] - 1] == ids[row, second[-1]] == sep
            assert second[-1] == real - 1


def test_special_tokens_are_never_masked(folder, stream):
    joined = rows(stream)
    chosen = joined["masked_lm_ids"][joined["masked_lm_weights"] > 0]
    assert not np.isin(chosen, folder.tokenizer.special_ids).any()


@pytest.mark.parametrize("step", [1, 80])
def test_a_step_is_found_without_those_before(folder, stream, step):
    assert_equal(training(folder, 3, first_step=step), stream[step : step + 3])


def test_an_example_does_not_depend_on_the_batch_size(folder, stream):
    assert_equal([rows(stream[:9])], [rows(training(folder, 3, batch_size=12))])


def test_hosts_divide_a_step(folder, stream):
    parts = [training(folder, 3, batch_size=8, host=host, hosts=2) for host in (0, 1)]
    joined = rows([batch for step in zip(*parts, strict=True) for batch in step])
    assert_equal([rows(stream[:6])], [joined])


@pytest.mark.parametrize("hosts", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_host_reads_only_its_own_records(folder, monkeypatch, hosts):
    read = []

    def pread(descriptor, size, start):
        read[-1].append((os.readlink(f"/proc/self/fd/{descriptor}"), start, size))
        return original(descriptor, size, start)

    original = os.pread
    monkeypatch.setattr(os, "pread", pread)
    steps = 3
    for host in range(hosts):
        read.append([])
        training(folder, steps, batch_size=8, host=host, hosts=hosts)
        # Some batches are read ahead.
        del read[-1][steps * 8 // hosts :]
    whole = read.copy()
    read.append([])
    training(folder, steps, batch_size=8)
    alone = read[-1][: steps * 8]
    # Each record once, by one host, and nothing but its bytes.
    assert sorted(record for host in whole for record in host) == sorted(alone)
    assert len(set(alone)) == steps * 8
    sizes = [sum(size for _, _, size in host) for host in whole]
    assert sum(sizes) == sum(size for _, _, size in alone)
    assert max(sizes) < 1.3 * min(sizes)


@pytest.mark.parametrize("max_ngram", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_words_are_masked_as_a_whole(folder, max_ngram):
    config = masking.MaskingConfig(0.3, 1.0, whole_word=True, max_ngram=max_ngram)
    batches = training(folder, 30, masking=config)
    joined, ids = rows(batches), unmasked(batches)
    joins = folder.tokenizer.word_joins
    assert joined["masked_lm_weights"].any(1).all()
    for before, after in zip(ids, joined["input_word_ids"]):
        hidden = after != before
        continues = joins.continues(before)
        # A piece that continues a word is hidden if and only if the piece before it is.
        np.testing.assert_array_equal(hidden[1:][continues[1:]], hidden[:-1][continues[1:]])
    with pytest.raises(InputError, match=r"whole_word=True.* cannot be drawn with replacement"):
        training(folder, 1, masking=config, with_replacement=True)


def test_replicas_get_consecutive_examples_of_one_batch(folder, two_devices):
    strategy = tf.distribute.MirroredStrategy(two_devices)
    dataset = pipeline.pretraining_dataset(folder, batch_size=8, length=32, seed=1)
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    for step in range(3):
        parts = strategy.experimental_local_results(next(batches)["stream_position"])
        assert [part.numpy().tolist() for part in parts] == [
            list(range(8 * step, 8 * step + 4)),
            list(range(8 * step + 4, 8 * step + 8)),
        ]


@pytest.mark.parametrize("option", [{"seed": 2}, {"phase": 1}])
def test_seed_and_phase_change_order_and_masks(folder, stream, option):
    one, other = stream[:4], training(folder, 4, **option)
    assert unmasked(one).tolist() != unmasked(other).tolist()
    assert rows(one)["masked_lm_positions"].tolist() != rows(other)["masked_lm_positions"].tolist()


def test_epochs_are_masked_differently(folder, stream):
    count = folder.count("train")
    ids, positions = unmasked(stream), rows(stream)["masked_lm_positions"]
    number_of = {tuple(row): number for number, row in enumerate(ids[:count].tolist())}
    same = [
        positions[n].tolist() == positions[number_of[tuple(ids[n].tolist())]].tolist()
        for n in range(count, len(ids))
    ]
    assert np.mean(same) < 0.05


def test_drawing_with_replacement_draws_some_twice(folder, stream):
    def repeats(batches) -> int:
        joined = rows(batches)
        used = joined["masked_lm_weights"] > 0
        drawn = zip(joined["masked_lm_positions"], used, strict=True)
        return sum(len(set(positions[u])) < u.sum() for positions, u in drawn)

    masks = masking.MaskingConfig(0.3)
    assert repeats(stream) == 0
    assert repeats(training(folder, 20, masking=masks, with_replacement=True)) > 20


def test_shorter_examples_are_padded(folder, stream):
    (batch,) = training(folder, 1, length=40)
    assert batch["input_word_ids"].shape == (4, 40)
    assert not batch["input_mask"][:, 32:].any()
    np.testing.assert_array_equal(unmasked([batch])[:, :32], unmasked(stream[:1]))


@pytest.mark.parametrize("make", [pipeline.pretraining_dataset, pipeline.evaluation_dataset])
def test_a_length_below_that_of_the_examples_is_refused(folder, make):
    with pytest.raises(
        InputError, match=r"length must be at least 32, the longest example .* was 16"
    ):
        make(folder, batch_size=4, length=16, seed=1)


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"batch_size": 5, "hosts": 2}])
def test_a_batch_that_the_hosts_cannot_divide_is_refused(folder, option):
    with pytest.raises(InputError, match=r"batch_size must be a positive multiple .* was [05]"):
        training(folder, 1, **option)


def test_evaluation_is_one_pass_in_order_and_always_the_same(folder, held_out):
    joined, ids = rows(held_out), unmasked(held_out)
    count = folder.count("held_out")
    assert len(held_out) == -(-count // 4)
    np.testing.assert_array_equal(ids[:count], stored(folder, "held_out"))
    np.testing.assert_array_equal(joined["stream_position"], np.arange(4 * len(held_out)))
    for key in ("input_word_ids", "input_mask", "masked_lm_weights"):
        assert not joined[key][count:].any()
    assert joined["masked_lm_weights"][:count].any(1).all()
    # Neither another call nor another batch size changes an example.
    other = rows(evaluation(folder, batch_size=7))
    assert_equal(
        [{k: v[:count] for k, v in joined.items()}], [{k: v[:count] for k, v in other.items()}]
    )


def test_evaluation_masks_differ_from_those_of_training(folder, stream):
    def positions(batches) -> dict:
        ids = map(tuple, unmasked(batches).tolist())
        return dict(zip(ids, rows(batches)["masked_lm_positions"].tolist(), strict=True))

    one = positions(stream[:60])
    other = positions(evaluation(folder, split=features.TRAIN))
    assert np.mean([one[ids] == other[ids] for ids in one]) < 0.05


def test_evaluation_can_be_limited(folder, held_out):
    batches = evaluation(folder, limit=6)
    assert len(batches) == 2
    np.testing.assert_array_equal(rows(batches)["input_mask"].any(1), [True] * 6 + [False] * 2)
    assert_equal(batches[:1], held_out[:1])


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"limit": 0}])
def test_an_empty_evaluation_is_refused(folder, option):
    with pytest.raises(InputError, match=r"batch_size and limit must be at least 1"):
        evaluation(folder, **option)
    with pytest.raises(InputError, match=r"holds no 'nothing' examples"):
        evaluation(folder, split="nothing")


def test_a_corrupt_record_is_named_in_the_error_of_the_dataset(built, tmp_path):
    shutil.copytree(built, tmp_path / "copy")
    data = data_folder.open_folder(tmp_path / "copy")
    for file in (tmp_path / "copy").glob("train-*.tfrecord"):
        file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(tf.errors.OpError, match=r"is corrupt") as caught:
        training(data, 1)
    assert re.search(r"\bInputError: .*tfrecord: the record at byte", caught.value.message)
