"""Trains a task through its phases, and resumes exactly where an earlier process stopped."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orbit
import rich.console
import tensorflow as tf

from official_nlp.training import checkpoints, distribution, phase, precision
from official_nlp.training.config import FIXED, TrainingConfig, fixed_of_phase
from official_nlp.training.evaluator import Evaluator, SetEvaluator
from official_nlp.training.interruption import StopRequest
from official_nlp.training.progress import TrainingProgress
from official_nlp.training.run import Run, WarmStart
from official_nlp.training.run_folder import RunFolder
from official_nlp.training.task import DataByPath, Task
from official_nlp.training.tracing import plain_errors


def train(
    task: Task,
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    model_dir: str | os.PathLike,
    *,
    data: DataByPath | None = None,
    warm_start: WarmStart | None = None,
    recipe: str = "",
    extend: bool = False,
    console: rich.console.Console | None = None,
) -> dict[str, float]:
    """Train until the last phase ends, from the newest checkpoint if there is one.

    Resuming relies on the order of events at a step: update, line of metrics, checkpoint,
    evaluation.

    Args:
      task: what to train.
      phases: phases in steps, over one global step, optimizer and schedule.
      config: settings of loop and optimizer; see `resolved`.
      model_dir: the run folder, created if absent.
      data: opened data of the task, whose content a resumed run must have unchanged.
      warm_start: pretrained weights for a run that has no checkpoint yet. Optimizer and step start
        anew.
      recipe: text of the recipe, written as `config.gin`.
      extend: allow the last phase more steps than when the run began. From here on, the learning
        rate is that of a run with so many steps.
      console: where to print progress; None for standard output.

    Returns:
      The last evaluation metrics, named `SET/NAME`, with their `step`; empty without any.

    Raises:
      InputError: the folder holds another run, or cannot be written.
      NotFiniteError: a loss term or the gradient is not finite; nothing was updated or saved since.
      Preempted: SIGTERM or Ctrl-C was received; the loop was finished and the state saved.
      StorageError: the disk is full; the last checkpoint is complete.
    """
    phases = [each.with_loss_weights(task.loss_weights) for each in phases]
    config = resolved(config, phases, model_dir)
    strategy = distribution.create_strategy(config.strategy)
    folder = RunFolder(model_dir, writes=distribution.is_chief(strategy))
    stop = StopRequest()
    if not folder.writes:
        console = rich.console.Console(quiet=True)
    progress = TrainingProgress(phase.total_steps(phases), len(phases), console)
    run = Run(task, phases, config, strategy, folder, progress)

    with folder.locked(), progress, stop.watched(lambda: progress.message(run.promise())):
        # Outside the `try`: a refused folder holds another run, whose curves must not be redrawn.
        run.claim(identity(task, phases, config, data), data, warm_start, recipe, extend)
        try:
            run.build(data)
            run.restore(warm_start)
            for stage in phase.stages(phases):
                if run.step >= stage.end or run.stopped_early:
                    continue
                controller = run.open_stage(stage)
                while run.step < stage.end and not run.stopped_early:
                    end = run.begin_loop(stage)
                    with _quiet_orbit(), plain_errors():
                        # Exactly one loop, because `begin_loop` returns a step at most
                        # `steps_per_loop` ahead. Orbit's own checkpoints are off; `end_loop` saves.
                        controller.train(end, checkpoint_at_completion=False)
                    run.end_loop(stage, stop.made)
            return run.last_evaluation()
        finally:
            run.draw_curves()


def evaluate(
    task: Task, config: TrainingConfig, model_dir: str | os.PathLike, which: int | str = "newest"
) -> dict[str, dict[str, float]]:
    """Evaluate a checkpoint of a run; return the metrics by evaluation set.

    Args:
      task: the task of the run, with evaluation data.
      config: strategy, policy and seed are used; those of the run reproduce its metrics.
      model_dir: the run folder.
      which: `newest`, `best` or the number of a step.
    """
    model, strategy = _restored(task, config, model_dir, which)
    evaluator = Evaluator(task, model, strategy, config.seed)
    with plain_errors():
        return evaluator.evaluate(tf.constant(-1))


def predict(
    task: Task, config: TrainingConfig, model_dir: str | os.PathLike, which: int | str = "newest"
) -> dict[str, dict[str, np.ndarray]]:
    """Predict the examples of a task's evaluation sets with a checkpoint of a run.

    Args:
      task: the task of the run; its evaluation sets hold the examples.
      config: see `evaluate`.
      model_dir: the run folder.
      which: `newest`, `best` or the number of a step.

    Returns:
      The rows of `Task.predict` of each set, in the order of its examples.
    """
    model, strategy = _restored(task, config, model_dir, which)
    rows = {}
    for name, dataset in task.evaluation_sets().items():
        evaluator = SetEvaluator(task, model, dataset, strategy, config.seed, predicting=True)
        with plain_errors():
            rows[name] = evaluator.evaluate(tf.constant(-1))["rows"]
    return rows


def resolved(
    config: TrainingConfig, phases: Sequence[phase.PhaseConfig], model_dir: str | os.PathLike
) -> TrainingConfig:
    """Return settings with a warm-up and intervals in steps, see `TrainingConfig.for_steps`.

    Args:
      config: settings of loop and optimizer.
      phases: phases in steps.
      model_dir: the run folder. A run that exists there retains what it began with.
    """
    return config.for_steps(RunFolder(model_dir).begun_with(phase.total_steps(phases)))


def identity(
    task: Task,
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    data: DataByPath | None = None,
) -> dict[str, Any]:
    """Return what `run.json` records of a run and a resumed run must have unchanged.

    Data is compared by content, not by path: a data folder may move.

    Args:
      task: what is trained.
      phases: phases in steps.
      config: settings as `resolved` returns them.
      data: opened data of the task.
    """
    hashes = {path: each.fingerprint() for path, each in (data or {}).items()}
    kind = type(task.config)
    return {
        "task": {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "config": task.config.to_dict(),
        },
        "training": config.of_kind(FIXED),
        "phases": [fixed_of_phase(each.with_loss_weights(task.loss_weights)) for each in phases],
        "data": hashes.get(None),
        "phase_data": [hashes.get(each.data) if each.data else None for each in phases],
    }


def _restored(task, config, model_dir, which):
    strategy = distribution.create_strategy(config.strategy)
    with strategy.scope(), precision.policy(config.policy):
        model = task.build()
        folder = RunFolder(model_dir).checkpoints
        checkpoints.restore_items(task.checkpoint_items(model), folder, which)
    return model, strategy


@contextlib.contextmanager
def _quiet_orbit() -> Iterator[None]:
    """Silence orbit's Controller, which prints two lines a loop beside our progress line.

    It prints through a private function of its module and offers no option. Redirecting standard
    output instead would swallow the progress line, too.
    """
    module: Any = sys.modules[orbit.Controller.__module__]
    original = module._log
    module._log = logging.getLogger(__name__).debug
    try:
        yield
    finally:
        module._log = original
