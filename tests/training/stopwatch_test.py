import pytest

from official_nlp.training import stopwatch


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: Clock.now)
    return Clock


def test_a_window_says_where_its_time_went(clock):
    watch = stopwatch.Stopwatch(100)
    with watch.part("training"):
        clock.now += 6
    watch.trained(120, tokens=4000, checkpoint_seconds=2)
    with watch.part("evaluation"):
        clock.now += 3
    clock.now += 1
    assert watch.window(120) == {
        "step": 120,
        "wall_seconds": 10,
        "steps_per_second": 5,
        "tokens_per_second": 1000,
        "evaluation_share": 0.3,
        "checkpoint_share": 0.2,
    }
    assert watch.window(120)["tokens_per_second"] == 0


def test_the_first_loop_does_not_count_for_what_is_left(clock):
    watch = stopwatch.Stopwatch(0)
    clock.now += 50
    watch.trained(10, 1, 0)
    assert watch.seconds_left(10, 40) is None
    clock.now += 4
    watch.trained(20, 1, 0)
    assert watch.seconds_left(20, 40) == 8
