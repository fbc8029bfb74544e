"""The metrics log: exact numbers, truncation, and a disk that is full."""

import json
import math
import resource

import pytest

from official_nlp.errors import InputError, StorageError
from official_nlp.training import metrics_log


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "metrics.jsonl", tmp_path / "timing.jsonl"


def test_floats_read_back_as_the_same_number(paths):
    numbers = [0.1, 1 / 3, 1e-300, 123456789.123456789, math.pi]
    metrics_log.MetricsLog(*paths).write(1, 0, {str(i): x for i, x in enumerate(numbers)})
    (line,) = metrics_log.read(paths[0])
    assert [line[str(i)] for i in range(len(numbers))] == numbers


def test_a_number_that_is_not_finite_is_null(paths):
    metrics_log.MetricsLog(*paths).write(1, 0, {"auc": float("nan"), "loss": float("inf")})
    assert json.loads(paths[0].read_text()) == {"step": 1, "phase": 0, "auc": None, "loss": None}


def test_truncating_removes_later_steps_and_an_unfinished_line(paths):
    one = metrics_log.MetricsLog(*paths)
    for step in (10, 20, 30):
        one.write(step, 0, {"train/loss": 1.0})
    complete = paths[0].read_bytes()
    with open(paths[0], "a") as file:
        file.write('{"step": 4')
    one.truncate(30)
    assert paths[0].read_bytes() == complete
    one.truncate(20)
    assert [line["step"] for line in metrics_log.read(paths[0])] == [10, 20]
    assert [path.name for path in paths[0].parent.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"garbage", "line 2 must be JSON"),
        (b"[" * 100_000, "line 2 must be JSON"),
        (b"[]", 'line 2 must be an object with an integer "step"'),
        (b'{"loss": 1.0}', 'line 2 must be an object with an integer "step"'),
        (b'{"step": "2"}', 'line 2 must be an object with an integer "step"'),
        (b'{"step": 2, "loss": "x"}', "line 2: 'loss' must be a number or null, was 'x'"),
        (b'{"step": 2, "loss": 1%s}' % (b"0" * 400), "'loss' must be a number or null"),
        (b"\xff", "must be UTF-8 text"),
    ],
)
def test_a_damaged_line_is_an_input_error(paths, line, message):
    paths[0].write_bytes(b'{"step": 1, "loss": null}\n' + line + b"\n")
    for read in (metrics_log.read, lambda path: metrics_log.MetricsLog(*paths).truncate(1)):
        with pytest.raises(InputError, match=rf"metrics\.jsonl.* {message}.*delete the damaged"):
            read(paths[0])


def test_a_line_after_an_unfinished_one_is_a_line_of_its_own(paths):
    paths[1].write_text('{"step": 1')
    metrics_log.MetricsLog(*paths).write_timing({"step": 2})
    assert paths[1].read_text().splitlines()[1] == '{"step": 2}'


def test_without_a_file_there_is_nothing_to_truncate_or_read(paths):
    one = metrics_log.MetricsLog(*paths)
    one.truncate(5)
    one.to_disk()
    assert metrics_log.read(paths[0]) == []
    assert one.evaluations() == []
    assert one.evaluation_at(5) is None


def test_evaluations_of_any_set_are_found(paths):
    one = metrics_log.MetricsLog(*paths)
    one.write(10, 0, {"dev/loss": 2.0, "test/loss": 3.0})
    one.write(20, 0, {"learning_rate": 0.1, "train/loss": 1.0})
    one.write(20, 0, {"dev/loss": 1.0})
    one.to_disk()
    assert [line["step"] for line in one.evaluations()] == [10, 20]
    assert one.evaluation_at(20)["dev/loss"] == 1.0
    assert one.evaluation_at(15) is None


def test_a_process_that_does_not_write_reads(paths):
    metrics_log.MetricsLog(*paths).write(10, 0, {"dev/loss": 2.0})
    reader = metrics_log.MetricsLog(*paths, writes=False)
    reader.write(20, 0, {"dev/loss": 1.0})
    reader.write_timing({"step": 20})
    reader.truncate(0)
    reader.to_disk()
    assert [line["step"] for line in reader.evaluations()] == [10]
    assert not paths[1].exists()


def test_a_full_disk_is_reported_and_earlier_lines_remain(paths):
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
        with pytest.raises(StorageError, match="the truncated metrics could not be written"):
            one.truncate(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    one.truncate(10)
    assert paths[0].read_bytes() == before
    assert [path.name for path in paths[0].parent.iterdir()] == ["metrics.jsonl"]
