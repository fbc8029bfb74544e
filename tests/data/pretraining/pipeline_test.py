import itertools
import os
import re
import shutil
import time

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


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for key in SIGNATURE:
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def rows(batches) -> dict[str, np.ndarray]:
    return {key: np.concatenate([batch[key] for batch in batches]) for key in SIGNATURE}


def unmasked(batches) -> np.ndarray:
    """The ids before masking."""
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
    dataset = make(folder, batch_size=4, length=32, seed=1)
    assert dataset.element_spec == SIGNATURE
    batch = next(iter(dataset))
    assert {key: (x.shape, x.dtype) for key, x in batch.items()} == {
        key: (spec.shape, spec.dtype) for key, spec in SIGNATURE.items()
    }


def test_an_epoch_holds_every_example_once(folder):
    count = folder.count("train")
    batches = training(folder, 2 * count // 4)
    joined, ids = rows(batches), unmasked(batches)
    np.testing.assert_array_equal(joined["stream_position"], np.arange(2 * count // 4 * 4))
    expected = sorted(stored(folder, "train").tolist())
    first, second = ids[:count], ids[count : 2 * count]
    assert sorted(first.tolist()) == expected
    assert first.tolist() != stored(folder, "train").tolist()
    assert first[:20].tolist() != second[:20].tolist()


def test_a_batch_is_read_as_it_was_written(folder):
    (batch,) = training(folder, 1)
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


def test_special_tokens_are_never_masked(folder):
    joined = rows(training(folder, 30))
    chosen = joined["masked_lm_ids"][joined["masked_lm_weights"] > 0]
    assert not np.isin(chosen, folder.tokenizer.special_ids).any()


def test_a_step_is_found_without_those_before(folder):
    whole = training(folder, 90)
    for step in (1, 37, 80):
        assert_equal(training(folder, 3, first_step=step), whole[step : step + 3])


def test_a_row_depends_on_its_place_alone(folder):
    assert_equal([rows(training(folder, 9))], [rows(training(folder, 3, batch_size=12))])


def test_hosts_share_a_step(folder):
    whole = rows(training(folder, 3, batch_size=8))
    parts = [training(folder, 3, batch_size=8, host=host, hosts=2) for host in (0, 1)]
    joined = rows([batch for step in zip(*parts, strict=True) for batch in step])
    assert_equal([whole], [joined])


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_a_host_reads_its_own_rows_and_no_others(folder, monkeypatch, hosts):
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
    # Each record once, by one host, and of each record its bytes alone.
    assert sorted(record for host in whole for record in host) == sorted(alone)
    assert len(set(alone)) == steps * 8
    shares = [sum(size for _, _, size in host) for host in whole]
    assert sum(shares) == sum(size for _, _, size in alone)
    assert max(shares) < 1.3 * min(shares)


@pytest.mark.parametrize("max_ngram", [1, 3])
def test_words_are_masked_as_wholes(folder, max_ngram):
    config = masking.MaskingConfig(0.3, 1.0, whole_word=True, max_ngram=max_ngram)
    batches = training(folder, 30, masking=config)
    joined, ids = rows(batches), unmasked(batches)
    joins = folder.tokenizer.word_joins
    assert joined["masked_lm_weights"].any(1).all()
    for before, after in zip(ids, joined["input_word_ids"]):
        hidden = after != before
        goes_on = joins.continues(before)
        # A piece that goes on with a word is hidden if and only if what it goes on with is.
        np.testing.assert_array_equal(hidden[1:][goes_on[1:]], hidden[:-1][goes_on[1:]])
    with pytest.raises(InputError, match=r"whole_word=True.* cannot be drawn with replacement"):
        training(folder, 1, masking=config, with_replacement=True)


def test_replicas_have_consecutive_rows_of_one_batch(folder, two_devices):
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
def test_seed_and_phase_change_order_and_masks(folder, option):
    one, other = training(folder, 4), training(folder, 4, **option)
    assert unmasked(one).tolist() != unmasked(other).tolist()
    assert rows(one)["masked_lm_positions"].tolist() != rows(other)["masked_lm_positions"].tolist()


def test_epochs_are_masked_differently(folder):
    count = folder.count("train")
    batches = training(folder, 2 * count // 4)
    ids, positions = unmasked(batches), rows(batches)["masked_lm_positions"]
    place = {tuple(row): number for number, row in enumerate(ids[:count].tolist())}
    same = [
        positions[n].tolist() == positions[place[tuple(ids[n].tolist())]].tolist()
        for n in range(count, len(ids))
    ]
    assert np.mean(same) < 0.05


def test_drawing_with_replacement_draws_some_twice(folder):
    masking_config = masking.MaskingConfig(0.3)
    twice = {}
    for with_replacement in (False, True):
        joined = rows(
            training(folder, 20, masking=masking_config, with_replacement=with_replacement)
        )
        used = joined["masked_lm_weights"] > 0
        twice[with_replacement] = sum(
            len(set(p[u])) < u.sum() for p, u in zip(joined["masked_lm_positions"], used)
        )
    assert twice[False] == 0
    assert twice[True] > 20


def test_longer_rows_are_padded(folder):
    (batch,) = training(folder, 1, length=40)
    assert batch["input_word_ids"].shape == (4, 40)
    assert not batch["input_mask"][:, 32:].any()
    np.testing.assert_array_equal(unmasked([batch])[:, :32], unmasked(training(folder, 1)))


@pytest.mark.parametrize("make", [pipeline.pretraining_dataset, pipeline.evaluation_dataset])
def test_shorter_rows_than_the_examples_are_refused(folder, make):
    with pytest.raises(InputError, match=r"length must be at least 32, the longest row .* was 16"):
        make(folder, batch_size=4, length=16, seed=1)


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"batch_size": 5, "hosts": 2}])
def test_a_batch_that_cannot_be_dealt_out_is_refused(folder, option):
    with pytest.raises(InputError, match=r"batch_size must be a positive multiple .* was [05]"):
        training(folder, 1, **option)


def test_evaluation_is_one_pass_in_order_and_always_the_same(folder):
    batches = evaluation(folder)
    joined, ids = rows(batches), unmasked(batches)
    count = folder.count("held_out")
    assert len(batches) == -(-count // 4)
    np.testing.assert_array_equal(ids[:count], stored(folder, "held_out"))
    np.testing.assert_array_equal(joined["stream_position"], np.arange(4 * len(batches)))
    for key in ("input_word_ids", "input_mask", "masked_lm_weights"):
        assert not joined[key][count:].any()
    assert joined["masked_lm_weights"][:count].any(1).all()
    assert_equal(batches, evaluation(folder))
    other = {k: v[: len(joined[k])] for k, v in rows(evaluation(folder, batch_size=7)).items()}
    assert_equal(
        [{k: v[:count] for k, v in joined.items()}], [{k: v[:count] for k, v in other.items()}]
    )


def test_evaluation_masks_are_not_those_of_training(folder):
    def positions(batches) -> dict:
        ids = map(tuple, unmasked(batches).tolist())
        return dict(zip(ids, rows(batches)["masked_lm_positions"].tolist(), strict=True))

    one = positions(training(folder, 60))
    other = positions(evaluation(folder, split=features.TRAIN))
    assert np.mean([one[ids] == other[ids] for ids in one]) < 0.05


def test_evaluation_may_be_limited(folder):
    batches = evaluation(folder, limit=6)
    assert len(batches) == 2
    np.testing.assert_array_equal(rows(batches)["input_mask"].any(1), [True] * 6 + [False] * 2)
    assert_equal(batches[:1], evaluation(folder)[:1])


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"limit": 0}])
def test_an_empty_evaluation_is_refused(folder, option):
    with pytest.raises(InputError, match=r"batch_size and limit must be at least 1"):
        evaluation(folder, **option)
    with pytest.raises(InputError, match=r"holds no 'nothing' examples"):
        evaluation(folder, split="nothing")


def test_damage_met_while_training_is_named_in_what_is_raised(built, tmp_path):
    shutil.copytree(built, tmp_path / "copy")
    data = data_folder.open_folder(tmp_path / "copy")
    for file in (tmp_path / "copy").glob("train-*.tfrecord"):
        file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(tf.errors.OpError, match=r"is corrupt") as caught:
        training(data, 1)
    assert re.search(r"\bInputError: .*tfrecord: the record at byte", caught.value.message)


def test_it_is_fast_enough(folder):
    """Hundreds of rows of 32 tokens a second at least, whatever else the machine does."""
    dataset = iter(pipeline.pretraining_dataset(folder, batch_size=128, length=32, seed=0))
    next(dataset)
    start = time.monotonic()
    for _ in range(20):
        next(dataset)
    assert 20 * 128 / (time.monotonic() - start) > 500
