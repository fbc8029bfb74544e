"""The curves of a run: panels by names of metrics, and baselines."""

import json

import pytest

from official_nlp.training import curves


def _write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


LINES = [
    {"step": 10, "phase": 0, "learning_rate": 1e-3, "train/loss": 9.0, "train/mlm_accuracy": 0.1},
    {"step": 20, "phase": 1, "learning_rate": 5e-4, "train/loss": 5.0, "train/rtd_auc": None},
    {"step": 20, "phase": 1, "held_out/rtd_auc": 0.6, "held_out/mlm_loss": 6.0},
    {"step": 30, "phase": 1, "learning_rate": 0.0, "train/loss": -1.0, "train/rtd_auc": 0.7},
]


def test_an_image_is_drawn_with_each_baseline_in_its_panel(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        curves, "draw_baseline", lambda axes, name, value: drawn.append((axes.get_title(), name))
    )
    _write(tmp_path / "metrics.jsonl", LINES)
    baselines = {"unigram": 6.86, "accuracy of the most frequent word": 0.07, "auc of chance": 0.5}
    curves.draw(tmp_path / "metrics.jsonl", tmp_path / "curves.png", baselines)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "curves.png"}
    # A baseline of no metric's kind goes to the first panel.
    assert drawn == [
        ("mlm loss", "unigram"),
        ("accuracy", "accuracy of the most frequent word"),
        ("area under the ROC curve", "auc of chance"),
    ]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("train/loss", "total loss"),
        ("held_out/mlm_mask_loss", "mlm loss"),
        ("train/rtd_loss", "rtd loss"),
        ("train/rtd_loss_below_entropy", "distance from a baseline"),
        ("held_out/rtd_auc", "area under the ROC curve"),
        ("held_out/mlm_accuracy", "accuracy"),
        ("learning_rate", "learning rate"),
        ("dev/spearman", "other metrics"),
        ("train/spearman", None),
        ("train/loss_scale", None),
        ("unigram", None),
        ("step", None),
    ],
)
def test_the_panel_of_a_metric_follows_from_its_name(name, title):
    assert curves.panel(name) == title


@pytest.mark.parametrize("lines", [None, [], LINES[:1]])
def test_a_log_without_or_with_one_line_is_no_error(tmp_path, lines):
    if lines is not None:
        _write(tmp_path / "metrics.jsonl", lines)
    curves.draw(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists() == bool(lines)
