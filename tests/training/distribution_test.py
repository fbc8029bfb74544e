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
def test_replicas_see_consecutive_rows_of_each_batch(name, two_devices):
    strategy = distribution.create_strategy(name)
    seen = []
    for batch in distribution.distribute(strategy, _batches):
        parts = strategy.experimental_local_results(batch["rows"])
        assert all(part.shape == [4 // strategy.num_replicas_in_sync, 2] for part in parts)
        seen.append(np.concatenate(parts))
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(24).reshape(12, 2))


def test_a_batch_that_cannot_be_divided_is_refused(two_devices):
    strategy = distribution.create_strategy("mirrored")
    odd = tf.data.Dataset.from_tensors({"rows": tf.zeros([3, 2])})
    with pytest.raises(InputError, match=r"multiple of the number of replicas \(2\), rows has"):
        distribution.distribute(strategy, lambda host, hosts: odd)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="strategy must be one of one_device, mirrored, was 'tpu'"):
        distribution.create_strategy("tpu")
