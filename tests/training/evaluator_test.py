"""Evaluation sets: sums, rows in order, replicas, and padding."""

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.training import distribution
from official_nlp.training.evaluator import Evaluator, SetEvaluator
from official_nlp.training.task import ORDER, VALID
from official_nlp.training.tracing import plain_errors
from tests.training.toy import ToyTask, TwoLengths

SETS = {"long": 20, "short": 8}


def _built(strategy, task):
    strategy = distribution.create_strategy(strategy)
    with strategy.scope():
        model = task.build()
    for variable in model.trainable_variables:
        variable.assign(np.linspace(-1, 1, variable.shape.num_elements()).reshape(variable.shape))
    return model, strategy


def _evaluator(strategy="one_device", seed=1, task=None):
    task = task or ToyTask(sets=SETS)
    return Evaluator(task, *_built(strategy, task), seed)


def _rows(strategy="one_device", task=None, predicting=True):
    """Return the metrics and rows of the longer set."""
    task = task or ToyTask(sets=SETS)
    model, strategy = _built(strategy, task)
    dataset = task.evaluation_sets()["long"]
    return SetEvaluator(task, model, dataset, strategy, 1, predicting).evaluate(tf.constant(-1))


def _evaluate(evaluator):
    return evaluator.evaluate(tf.constant(-1))


@pytest.fixture(scope="module")
def evaluator():
    return _evaluator()


@pytest.fixture(scope="module")
def metrics(evaluator):
    return _evaluate(evaluator)


def test_each_set_has_its_metrics_over_its_own_examples(metrics):
    assert list(metrics) == ["long", "short"]
    assert [metrics[name]["examples"] for name in SETS] == [20, 8]
    assert metrics["long"]["loss_error"] != metrics["short"]["loss_error"]


def test_each_evaluation_starts_from_zero_and_draws_the_same(evaluator, metrics):
    assert _evaluate(evaluator) == metrics


def test_draws_depend_on_the_seed(metrics):
    other = _evaluate(_evaluator(seed=2))["short"]
    assert other["noise"] != metrics["short"]["noise"]
    assert other["loss_error"] == metrics["short"]["loss_error"]


def test_some_batches_can_be_evaluated(evaluator):
    found = evaluator.evaluate(tf.constant(1))
    assert [found[name]["examples"] for name in SETS] == [8, 8]


def test_two_replicas_evaluate_the_same_examples(metrics, two_devices):
    for name, found in _evaluate(_evaluator("mirrored")).items():
        assert found == pytest.approx(metrics[name], rel=1e-5)


@pytest.fixture(scope="module")
def rows():
    return _rows()["rows"]


def test_rows_are_in_the_order_of_the_set_without_padding(rows):
    np.testing.assert_array_equal(rows["position"], np.arange(20))
    assert rows["position"].dtype == np.int64
    assert rows["output"].shape == (20,)
    assert set(rows) == {"position", "output"}


def test_two_replicas_return_the_rows_in_the_same_order(rows, two_devices):
    result = _rows("mirrored")["rows"]
    np.testing.assert_array_equal(result["position"], rows["position"])
    np.testing.assert_allclose(result["output"], rows["output"], rtol=1e-5)


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_rows_are_sorted_by_the_number_of_their_example(strategy, two_devices):
    class Numbered(ToyTask):
        def evaluate(self, model, batch):
            sums, rows = super().evaluate(model, batch)
            # Two examples of each number, the last numbers first.
            return sums, {**rows, ORDER: 9 - rows["position"] // 2}

        def report(self, sums, rows):
            return {"last": float(rows["position"][-1])}

    result = _rows(strategy, Numbered(sets=SETS), predicting=False)
    rows = result["rows"]
    np.testing.assert_array_equal(rows[ORDER], np.repeat(np.arange(10), 2))
    # Examples of equal numbers stay in their order.
    assert rows["position"].tolist()[:4] == [18, 19, 16, 17]
    assert result["metrics"] == {"last": 1.0}


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_batches_of_several_lengths_are_evaluated(strategy, two_devices):
    result = _rows(strategy, TwoLengths(sets=SETS), predicting=False)
    np.testing.assert_array_equal(result["rows"]["position"], np.arange(20))
    assert result["metrics"]["examples"] == 20


def test_rows_of_several_lengths_are_refused():
    class Unpadded(TwoLengths):
        def predict(self, model, batch):
            return {"all": batch["rows"]}

    message = r"equal shapes in all batches, all had examples of shapes \(2, 8\) and \(3, 8\); pad"
    with pytest.raises(InputError, match=message):
        _rows(task=Unpadded(sets=SETS))


def test_predicting_computes_rows_of_its_own_and_no_metrics(two_devices):
    class Predicting(ToyTask):
        def evaluate(self, model, batch):
            raise AssertionError("predicting needs no evaluation")

        def predict(self, model, batch):
            output = model(batch["rows"])["loss"]
            return {"pair": tf.stack([output, -output], -1), "positive": output > 0}

    result = _rows("mirrored", Predicting(sets=SETS))
    assert result["metrics"] == {}
    pair, positive = result["rows"]["pair"], result["rows"]["positive"]
    # Without a row `valid`, the examples that pad the last batch are returned, too.
    assert pair.shape == (24, 2)
    np.testing.assert_array_equal(pair[:, 0], -pair[:, 1])
    np.testing.assert_array_equal(positive, pair[:, 0] > 0)


def test_report_gets_sums_and_rows_of_the_valid_examples():
    class Reporting(ToyTask):
        def report(self, sums, rows):
            assert VALID not in rows
            return {"mean": rows["output"].mean(), "weight": sums["loss"][1]}

    metrics = _rows(task=Reporting(sets=SETS), predicting=False)["metrics"]
    assert metrics["weight"] == sum(1 + position % 3 for position in range(20))


def test_a_task_without_sets_has_no_metrics():
    assert _evaluate(_evaluator(task=ToyTask(sets={}))) == {}


def test_an_error_of_the_task_is_reported_without_the_traced_code():
    class Wrong(ToyTask):
        def evaluate(self, model, batch):
            raise InputError("rows must be long")

    with pytest.raises(InputError, match=r"^rows must be long$"), plain_errors():
        _evaluate(_evaluator(task=Wrong()))
