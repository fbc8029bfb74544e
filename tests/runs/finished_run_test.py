import pytest

from official_nlp.runs import finetuned_card, finished_run
from official_nlp.runs.finished_run import best_seed, main_metric, summarize

RUNS = {seed: {"dev": {"accuracy": value, "loss": 1 - value}} for seed, value in
        enumerate([0.5, 0.9, 0.6, 0.8])}  # fmt: skip


def test_a_summary_has_median_and_quartiles_over_seeds_and_counts_failures():
    summary = summarize("dev/accuracy", {**RUNS, 4: None})
    assert summary["metric"] == "dev/accuracy"
    assert summary["failed"] == 1
    assert list(summary["seeds"]) == ["0", "1", "2", "3"]
    assert summary["median"]["dev"]["accuracy"] == pytest.approx(0.7)
    assert summary["lower_quartile"]["dev"]["accuracy"] == pytest.approx(0.575)
    assert summary["upper_quartile"]["dev"]["loss"] == pytest.approx(0.425)


def test_one_seed_is_its_own_median_and_quartile():
    summary = summarize("dev/accuracy", {3: RUNS[1]})
    assert summary["median"] == summary["lower_quartile"] == summary["upper_quartile"] == RUNS[1]


def test_without_a_run_there_is_nothing_to_summarize():
    summary = summarize(None, {0: None})
    assert (summary["median"], summary["failed"], summary["seeds"]) == ({}, 1, {})


@pytest.mark.parametrize(("metric", "seed"), [("dev/accuracy", 1), ("dev/loss", 1)])
def test_the_best_seed_follows_the_direction_of_the_metric(metric, seed):
    assert best_seed(metric, RUNS) == seed


@pytest.mark.parametrize(
    ("keep_best", "expected"),
    [("loss", "dev/loss"), ("dev/accuracy", "dev/accuracy"), (None, "dev/accuracy")],
)
def test_the_main_metric_is_that_of_the_checkpoint(keep_best, expected):
    assert main_metric(keep_best, RUNS[0]) == expected


@pytest.mark.parametrize(
    ("baselines", "failed"),
    [({}, False), ({"dev/accuracy": 0.4}, False), ({"dev/accuracy": 0.5}, True)],
)
def test_a_run_fails_that_is_no_better_than_a_constant_prediction(baselines, failed):
    reason = finished_run._failure("dev/accuracy", RUNS[0], baselines)
    assert bool(reason) == failed
    assert reason is None or "a constant prediction" in reason


def test_a_card_has_the_figures_the_seed_and_no_path_of_the_machine():
    described = {
        "task": {"class": "official_nlp.tasks.finetuning.a.TextClassificationConfig", "config": {}},
        "training": {"learning_rate": 1e-4, "warmup_steps": 3, "weight_decay": 0.0, "seed": 7,
                     "policy": "float32"},
        "phases": [{"steps": 30, "batch_size": 32, "length": 128}],
        "origin": {
            "data": {"name": "reviews.csv", "path": "/home/me/reviews.csv", "train": 90, "dev": 10},
            "warm_start": {"": {"path": "/home/me/small", "kind": "huggingface", "sha256": "ab"}},
        },
    }  # fmt: skip
    metrics = {"dev": {"accuracy": 0.875}, "test": {"accuracy": 0.75, "loss": 0.5}}
    card = finetuned_card.write_card(
        "ElectraForSequenceClassification", described, 20, metrics, 1234
    )
    assert "pipeline_tag: text-classification" in card
    assert "| dev | 0.8750 |  |" in card
    assert "| test | 0.7500 | 0.5000 |" in card
    assert "| seed | 7 |" in card
    assert "20 of 30" in card
    assert "`small`" in card
    assert "/home/me" not in card
    assert "more information needed" not in card.lower()
