"""Strategies by name, and the division of batches among replicas and hosts."""

import types

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training import distribution


def _batches(host, hosts):
    assert (host, hosts) == (0, 1)
    rows = tf.data.Dataset.range(24).batch(2, drop_remainder=True).batch(4, drop_remainder=True)
    return rows.map(lambda rows: {"rows": rows})


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_replicas_get_consecutive_examples_of_each_batch(name, two_devices):
    strategy = distribution.create_strategy(name)
    seen, batches = [], iter(distribution.distribute(strategy, _batches))
    for _ in range(3):
        batch = next(batches)
        parts = strategy.experimental_local_results(batch["rows"])
        assert all(part.shape == [4 // strategy.num_replicas_in_sync, 2] for part in parts)
        seen.append(np.concatenate(parts))
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(24).reshape(12, 2))


def test_a_batch_that_cannot_be_divided_is_refused(two_devices):
    strategy = distribution.create_strategy("mirrored")
    odd = tf.data.Dataset.from_tensors({"rows": tf.zeros([3, 2])})
    with pytest.raises(InputError, match=r"multiple of the number of replicas \(2\), rows has"):
        distribution.distribute(strategy, lambda host, hosts: odd)


def _two_lengths(host=0, hosts=1):
    def batch(number):
        rows = tf.reshape(tf.range(4 * (1 + number % 2)), [4, -1])
        return {"rows": tf.ensure_shape(tf.cast(rows, tf.int64), [4, None])}

    return tf.data.Dataset.range(4).map(batch)


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_batches_may_have_several_lengths(name, two_devices):
    strategy = distribution.create_strategy(name)
    batches = iter(distribution.distribute(strategy, _two_lengths))
    for length in (1, 2, 1):
        parts = strategy.experimental_local_results(next(batches)["rows"])
        assert all(part.shape == [4 // len(parts), length] for part in parts)
        np.testing.assert_array_equal(np.concatenate(parts).ravel(), np.arange(4 * length))


def test_hosts_share_batches_of_several_lengths():
    parts = [list(distribution.share_of_host(_two_lengths(), host, 2)) for host in (0, 1)]
    assert [part["rows"].numpy().tolist() for part in parts[1][:2]] == [
        [[2], [3]],
        [[4, 5], [6, 7]],
    ]
    assert parts[0][0]["rows"].shape == [2, 1]


def test_on_a_tpu_several_lengths_are_refused(two_devices, monkeypatch):
    # There is no TPU here, so that another strategy stands in.
    monkeypatch.setattr(tf.distribute, "TPUStrategy", tf.distribute.MirroredStrategy)
    strategy = distribution.create_strategy("mirrored")
    with pytest.raises(InputError, match=r"same shape, rows has shape \(4, None\); pad all"):
        distribution.distribute(strategy, _two_lengths)
    distribution.distribute(strategy, _batches)


def test_hosts_get_consecutive_examples_of_each_batch():
    rows = tf.data.Dataset.from_tensors({"rows": tf.range(8)})
    parts = [
        next(iter(distribution.share_of_host(rows, host, 2)))["rows"].numpy() for host in (0, 1)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(8))
    assert distribution.share_of_host(rows, 0, 1) is rows
    with pytest.raises(InputError, match=r"multiple of the number of hosts \(3\), rows has shape"):
        distribution.share_of_host(rows, 0, 3)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match=r"strategy must be one of one_device, .*, was 'gpu'"):
        distribution.create_strategy("gpu")


@pytest.mark.parametrize("value", [None, "{}", "not json"])
def test_several_processes_need_tf_config(value, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(InputError, match=r"needs TF_CONFIG .*tools/workers.py sets it"):
        distribution.create_strategy("multi_worker")


def test_an_index_beyond_the_list_of_workers_is_refused(monkeypatch):
    config = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}'
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match="one of its 2 workers, was 2"):
        distribution.create_strategy("multi_worker")


def test_without_a_tpu_the_error_names_two_ways_to_one():
    with pytest.raises(InputError, match=r"finds no TPU named 'local'.*run it on a TPU VM"):
        distribution.create_strategy("tpu")


@pytest.mark.parametrize(
    ("job", "index", "chief_job", "writes"),
    [
        ("worker", 0, False, True),
        ("worker", 1, False, False),
        ("worker", 0, True, False),
        ("chief", 0, True, True),
        ("tpu_worker", 0, False, True),
    ],
)
def test_one_process_of_a_cluster_writes_the_run_folder(job, index, chief_job, writes):
    cluster = {"worker": ["a:1", "b:1"], **({"chief": ["c:1"]} if chief_job else {})}
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=job, task_id=index
    )
    strategy = types.SimpleNamespace(cluster_resolver=resolver)
    assert distribution.is_chief(strategy) is writes
