import json
import math
import resource

import pytest

from official_nlp.errors import StorageError
from official_nlp.training import metrics_log


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "metrics.jsonl", tmp_path / "timing.jsonl"


def test_floats_read_back_as_the_same_number(paths):
    numbers = [0.1, 1 / 3, 1e-300, 123456789.123456789, math.pi]
    metrics_log.MetricsLog(*paths).write(1, 0, {str(i): x for i, x in enumerate(numbers)})
    (line,) = metrics_log.read(paths[0])
    assert [line[str(i)] for i in range(len(numbers))] == numbers


def test_what_is_not_a_number_is_null(paths):
    metrics_log.MetricsLog(*paths).write(1, 0, {"auc": float("nan"), "loss": float("inf")})
    assert json.loads(paths[0].read_text()) == {"step": 1, "phase": 0, "auc": None, "loss": None}


def test_cutting_removes_later_steps_and_half_a_line(paths):
    one = metrics_log.MetricsLog(*paths)
    for step in (10, 20, 30):
        one.write(step, 0, {"train/loss": 1.0})
    whole = paths[0].read_bytes()
    with open(paths[0], "a") as file:
        file.write('{"step": 4')
    one.cut(30)
    assert paths[0].read_bytes() == whole
    one.cut(20)
    assert [line["step"] for line in metrics_log.read(paths[0])] == [10, 20]
    assert [path.name for path in paths[0].parent.iterdir()] == ["metrics.jsonl"]


def test_a_line_after_half_a_line_stands_alone(paths):
    paths[1].write_text('{"step": 1')
    metrics_log.MetricsLog(*paths).write_timing({"step": 2})
    assert paths[1].read_text().splitlines()[1] == '{"step": 2}'


def test_without_a_file_there_is_nothing_to_cut_or_read(paths):
    one = metrics_log.MetricsLog(*paths)
    one.cut(5)
    one.to_disk()
    assert metrics_log.read(paths[0]) == []
    assert one.last("train/") is None


def test_the_last_line_of_a_kind_is_found(paths):
    one = metrics_log.MetricsLog(*paths)
    one.write(10, 0, {"held_out/loss": 2.0})
    one.write(20, 0, {"held_out/loss": 1.0})
    one.write(20, 0, {"train/loss": 1.0})
    one.to_disk()
    assert one.last("held_out/")["step"] == 20
    assert one.last("held_out/", 10)["held_out/loss"] == 2.0
    assert one.last("held_out/", 15) is None


def test_a_full_disk_is_named_and_what_was_written_stays(paths):
    one = metrics_log.MetricsLog(*paths)
    one.write(10, 0, {"train/loss": 1.0})
    before = paths[0].read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
        with pytest.raises(
            StorageError,
            match=r"a line could not be written to .*metrics.jsonl: File too large; .* MB free",
        ):
            one.write(20, 0, {"train/loss": 1.0})
        assert metrics_log.read(paths[0]) == [{"step": 10, "phase": 0, "train/loss": 1.0}]
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        with pytest.raises(StorageError, match="what is left of the metrics could not be written"):
            one.cut(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    one.cut(10)
    assert paths[0].read_bytes() == before
    assert [path.name for path in paths[0].parent.iterdir()] == ["metrics.jsonl"]
