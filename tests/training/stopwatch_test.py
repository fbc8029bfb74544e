"""Where the time of a run goes, by a clock that the test sets."""

import pytest

from official_nlp.training import stopwatch


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: Clock.now)
    return Clock


def test_a_window_reports_where_its_time_went(clock):
    watch = stopwatch.Stopwatch(100)
    watch.loop()
    clock.now += 6
    watch.waited(1)
    watch.trained(120, tokens=4000, checkpoint_seconds=2)
    with watch.part("evaluation"):
        clock.now += 3
    clock.now += 1
    assert watch.window(120) == {
        "step": 120,
        "wall_seconds": 10,
        "steps_per_second": 5,
        "tokens_per_second": 1000,
        "input_fraction": 0.25,
        "evaluation_fraction": 0.3,
        "checkpoint_fraction": 0.2,
    }
    next_window = watch.window(120)
    assert (next_window["tokens_per_second"], next_window["input_fraction"]) == (0, 0)


def test_the_first_loop_is_left_out_of_the_estimate(clock):
    watch = stopwatch.Stopwatch(0)
    clock.now += 50
    watch.trained(10, 1, 0)
    assert watch.seconds_left(10, 40) is None
    clock.now += 4
    watch.trained(20, 1, 0)
    assert watch.seconds_left(20, 40) == 8


def test_the_rest_of_a_loop_is_estimated_from_the_one_before(clock):
    watch = stopwatch.Stopwatch(0)
    assert watch.seconds_of_loop_left() is None
    watch.loop()
    clock.now += 10
    watch.trained(10, 1, checkpoint_seconds=2)
    watch.loop()
    clock.now += 5
    assert watch.seconds_of_loop_left() == 3
    clock.now += 5
    assert watch.seconds_of_loop_left() == 0
