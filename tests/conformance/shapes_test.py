"""A graph for any number of examples and tokens agrees with eager execution."""

import numpy as np

from tests.conformance import objects, outputs
from tests.conformance.table import TABLE


@objects.keep("dynamic shapes", run="classes")
def test_dynamic_shapes_give_the_outputs_of_static_ones(name):
    line = TABLE[name]
    eager = objects.call(objects.made(name), line)
    outputs.assert_close(objects.graph(name)(objects.arrays_of(line)), eager)


@objects.keep("batch of one", run="classes")
def test_a_batch_of_one_gives_its_part_of_the_batch(name):
    line = TABLE[name]
    whole = objects.call(objects.made(name), line)
    alone = objects.call(objects.made(name), line, arrays=objects.rows_of(line, slice(1)))
    for key, value in alone.items():
        assert value.shape[0] == 1
        np.testing.assert_allclose(value, whole[key][:1], rtol=1e-4, atol=5e-5, err_msg=key)
