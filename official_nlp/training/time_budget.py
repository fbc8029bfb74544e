"""Plan a run for a number of hours: measure its speed, and scale its steps."""

import dataclasses
import gc
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from official_nlp.training import distribution
from official_nlp.training.config import TrainingConfig
from official_nlp.training.evaluator import SetEvaluator
from official_nlp.training.phase import PhaseConfig, stages
from official_nlp.training.preflight import readable
from official_nlp.training.run_state import RunState
from official_nlp.training.task import Task
from official_nlp.training.tracing import plain_errors

# Measuring takes this fraction of the hours within these limits in seconds, and never more than the
# second fraction.
_FRACTION, _LEAST, _MOST = 0.01, 5.0, 120.0
_LARGEST_FRACTION = 0.1
# Seconds without a return to Python, which handles signals.
_AT_A_TIME = 1.0
# Fraction of the time for checkpoints, logs, and a speed that varies.
_MARGIN = 0.05


@dataclasses.dataclass(frozen=True)
class Speed:
    """Times of a run, in seconds.

    Attributes:
      steps: time of a step of each phase.
      evaluation: time of an evaluation of all sets; 0 where nothing is evaluated.
      preparation: time until the first step: to build the model and to trace the steps.
      elapsed: time that the measurement took.
    """

    steps: tuple[float, ...]
    evaluation: float
    preparation: float
    elapsed: float


def measure(
    task: Task, phases: Sequence[PhaseConfig], config: TrainingConfig, hours: float
) -> Speed:
    """Measure the speed of a run: train a while, evaluate some batches, and forget the result.

    Nothing is written. On several hosts all processes call it, and get the same result.

    Args:
      task: what to train.
      phases: phases in steps, with all loss weights.
      config: settings with a warm-up in steps.
      hours: duration of the whole run, which limits that of the measurement.
    """
    speed = _measured(task, phases, config, hours)
    # The model is part of reference cycles, and the run is about to build another.
    gc.collect()
    return speed


def _measured(task, phases, config, hours):
    start = time.perf_counter()
    strategy = distribution.create_strategy(config.strategy)
    state = RunState(task, phases, config, strategy)
    is_evaluated = config.evaluation_interval != 0
    timer = _Timer(strategy, _seconds(hours) / (len(phases) + is_evaluated))
    steps = []
    for stage in stages(phases):
        # Each phase on its own, because it has a batch size, a length and loss terms of its own.
        state.step.assign(stage.start)
        with plain_errors():
            steps.append(timer.seconds_of(state.trainer(stage).train))
    evaluation = 0.0
    sets = task.evaluation_sets() if is_evaluated else {}
    for dataset in sets.values():
        evaluator = _Unreported(task, state.model, dataset, strategy, config.seed)
        with plain_errors():
            seconds = timer.seconds_of(evaluator.evaluate, 1 / len(sets))
        evaluation += seconds * int(dataset.cardinality())
    elapsed = distribution.agreed(strategy, time.perf_counter() - start)
    return Speed(tuple(steps), evaluation, elapsed - timer.timed, elapsed)


def fit(
    phases: Sequence[PhaseConfig], config: TrainingConfig, hours: float, speed: Speed
) -> list[PhaseConfig]:
    """Return the phases with as many steps as fit into a time, in the same proportion.

    Args:
      phases: phases in steps.
      config: settings of the loop, whose evaluations take time, too.
      hours: duration of the run from the beginning of the measurement.
      speed: the speed of the run.
    """
    left = (3600 * hours - speed.elapsed - speed.preparation) * (1 - _MARGIN)
    number, per_step = 0, 0.0
    if config.evaluations is not None:
        number = config.evaluations
    elif config.evaluation_interval != 0:
        number = 1  # That at the end.
        per_step = speed.evaluation / (config.evaluation_interval or float("inf"))
    left -= number * speed.evaluation
    needed = sum((phase.steps or 0) * (step + per_step) for phase, step in zip(phases, speed.steps))
    scale = left / needed
    # Where the time is too short for anything, a step of each phase is a run still.
    return [
        dataclasses.replace(phase, steps=max(1, int((phase.steps or 0) * scale)))
        for phase in phases
    ]


def with_warmup(config: TrainingConfig, before: int, after: int) -> TrainingConfig:
    """Return settings whose warm-up is as much shorter as the run; it does not become longer.

    Args:
      config: settings of the optimizer, with a warm-up in steps or as a fraction.
      before: steps of all phases as a recipe states them.
      after: steps of all phases that fit into the time.
    """
    if config.warmup_fraction is not None or after >= before:
        return config
    warmup = config.for_steps(before).warmup_steps or 0
    return dataclasses.replace(config, warmup_steps=warmup * after // before)


def describe(hours: float, phases: Sequence[PhaseConfig], speed: Speed) -> str:
    """Return a line about the result of `fit`."""
    rates = " and ".join(readable(1 / seconds) for seconds in speed.steps)
    start = f"HOURS={hours:g}: {rates} steps a second"
    counts = [f"{phase.steps:,}" for phase in phases]
    if set(counts) == {"1"}:
        return (
            f"{start}; this is too short to train: measuring took {speed.elapsed:.0f} s, preparing "
            f"takes {speed.preparation:.0f} s and an evaluation {speed.evaluation:.0f} s, so each "
            "phase gets one step"
        )
    if len(phases) == 1:
        return f"{start}; the run gets {counts[0]} steps"
    others = "".join(f", phase {number} {count}" for number, count in enumerate(counts[1:], 2))
    return f"{start}; phase 1 gets {counts[0]} steps{others}"


def _seconds(hours: float) -> float:
    """Return how long to measure."""
    seconds = min(max(3600 * hours * _FRACTION, _LEAST), _MOST)
    return min(seconds, 3600 * hours * _LARGEST_FRACTION)


class _Timer:
    """Measures what repeats, without its first time, which is traced.

    Args:
      strategy: strategy whose processes must repeat it equally often.
      seconds: how long to measure.

    Attributes:
      timed: seconds that all measurements took, without what was traced.
    """

    def __init__(self, strategy: tf.distribute.Strategy, seconds: float):
        self._strategy = strategy
        self._seconds = seconds
        self.timed = 0.0

    def seconds_of(self, repeat: Callable[[tf.Tensor], object], fraction: float = 1.0) -> float:
        """Return the seconds of one repetition.

        Args:
          repeat: called with a number of repetitions.
          fraction: of the time of a measurement, which this one may take.
        """
        repeat(tf.constant(1))
        count, repetitions, spent = 1, 0, 0.0
        while not repetitions or spent < self._seconds * fraction:
            start = time.perf_counter()
            repeat(tf.constant(count))
            spent += distribution.agreed(self._strategy, time.perf_counter() - start)
            repetitions += count
            # A longer loop measures less of its own start and end.
            count = max(1, min(2 * count, int(_AT_A_TIME * repetitions / spent)))
        self.timed += spent
        return spent / repetitions


class _Unreported(SetEvaluator):
    """Evaluates batches without metrics, which some tasks compute from whole sets only."""

    def eval_end(self, state: list | None = None) -> dict[str, dict]:
        return {}
