import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training import distribution
from official_nlp.training.evaluator import HeldOutEvaluator
from tests.training.toy import ToyTask


def _evaluator(strategy="one_device", seed=1, task=None):
    task = task or ToyTask()
    strategy = distribution.create_strategy(strategy)
    with strategy.scope():
        model = task.build()
    for variable in model.trainable_variables:
        variable.assign(np.linspace(-1, 1, variable.shape.num_elements()).reshape(variable.shape))
    return HeldOutEvaluator(task, model, task.evaluation_dataset(), strategy, seed)


def _evaluate(evaluator):
    return evaluator.evaluate(tf.constant(-1))["held_out"]


def test_each_evaluation_starts_from_zero_and_draws_the_same():
    evaluator = _evaluator()
    assert _evaluate(evaluator) == _evaluate(evaluator) == _evaluate(_evaluator())


def test_what_is_drawn_depends_on_the_seed():
    assert _evaluate(_evaluator(seed=1))["noise"] != _evaluate(_evaluator(seed=2))["noise"]


def test_two_replicas_evaluate_the_same_examples(two_devices):
    one, two = _evaluate(_evaluator()), _evaluate(_evaluator("mirrored"))
    assert two == pytest.approx(one, rel=1e-5)


def test_an_error_of_the_task_comes_out_as_it_is():
    class Wrong(ToyTask):
        def evaluate(self, model, batch):
            raise InputError("rows must be long")

    with pytest.raises(InputError, match=r"^rows must be long$"):
        _evaluate(_evaluator(task=Wrong()))
