"""Micro-batches: one update, whatever the batch is cut into."""

import dataclasses

import numpy as np
import pytest

from official_nlp.errors import InputError
from tests.training import trainer_test

CONFIG = trainer_test.CONFIG


@pytest.fixture(scope="module")
def whole():
    """A trainer and its metrics after ten steps of eight rows."""
    trainer = trainer_test._trainer()
    return trainer, trainer_test._train(trainer, 10)["train"]


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation": 2},
        {"accumulation": 8},
        {"accumulation": 2, "jit_compile": True},
        {"accumulation": 4, "strategy": "mirrored"},
        {"accumulation": 2, "strategy": "mirrored", "jit_compile": True},
    ],
    ids=str,
)
def test_ten_steps_of_micro_batches_equal_ten_of_the_whole_batch(whole, changes, two_devices):
    trainer = trainer_test._trainer(config=dataclasses.replace(CONFIG, **changes))
    metrics = trainer_test._train(trainer, 10)["train"]
    for one, other in zip(whole[0]._model.get_weights(), trainer._model.get_weights()):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    for name, value in whole[1].items():
        assert metrics[name] == pytest.approx(value, rel=1e-5), name


def test_rows_that_cannot_be_cut_are_refused():
    trainer = trainer_test._trainer(config=dataclasses.replace(CONFIG, accumulation=3))
    with pytest.raises(InputError, match=r"a multiple of accumulation=3, \w+ had 8; change batch"):
        trainer_test._train(trainer, 1)
