"""Trains a task through its phases, resuming where a former process stopped."""

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orbit
import rich.console
import tensorflow as tf
import tf_keras

from official_nlp.errors import Preempted
from official_nlp.training import checkpoints, curves, distribution, phase, precision
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import TrainingConfig
from official_nlp.training.evaluator import HeldOutEvaluator
from official_nlp.training.interruption import StopRequest
from official_nlp.training.journal import Journal
from official_nlp.training.progress import Progress
from official_nlp.training.run_folder import RunFolder
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.stopwatch import Stopwatch
from official_nlp.training.summaries import Summaries
from official_nlp.training.task import Task
from official_nlp.training.trainer import PhaseTrainer


def train(
    task: Task,
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    model_dir,
    *,
    fixed: "Mapping[str, Any] | None" = None,
    references: "Mapping[str, float] | None" = None,
    console: "rich.console.Console | None" = None,
) -> dict[str, float]:
    """Trains until the last phase ends; goes on from the newest checkpoint if there is one.

    The order at a step, on which resuming relies: update, line of metrics, checkpoint, evaluation.

    Args:
      task: what to train.
      phases: one after the other, over one global step, optimizer and schedule.
      config: of loop and optimizer.
      model_dir: the run's folder, made if absent.
      fixed: what else a resumed run must have kept, beside phases and configuration: the model,
        the hash of the data.
      references: horizontal lines for `curves.png`, see `curves.draw`.
      console: where progress goes; None is standard output.

    Returns:
      The last line of held-out figures, named `held_out/...`, with its `step`; empty without any.

    Raises:
      InputError: the folder holds another run, or cannot be written.
      NotFiniteError: a term of the loss, or the gradient; nothing was updated or saved after.
      Preempted: at SIGTERM or Ctrl-C, once the window was finished and the state saved.
    """
    strategy = distribution.create_strategy(config.strategy)
    folder = RunFolder(model_dir, writes=distribution.is_chief(strategy))
    described = fixed_fields(phases, config, fixed)
    stop = StopRequest()
    if not folder.writes:
        console = rich.console.Console(quiet=True)
    progress = Progress(phase.total_steps(phases), len(phases), console)
    with folder.locked(), stop.watched(), progress:
        for difference in folder.claim(described):
            progress.message(f"not bit-identical to an uninterrupted run: {difference}")
        try:
            run = _Run(task, phases, config, folder, stop, progress)
            run.train()
            return run.journal.last("held_out/") or {}
        finally:
            if folder.writes:
                curves.draw(folder.metrics, folder.curves, references)


def fixed_fields(
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    others: "Mapping[str, Any] | None" = None,
) -> dict:
    """Returns what `run.json` keeps of a run, and a resumed one must have kept."""
    return {
        "training": config.fixed(),
        "phases": [dataclasses.asdict(each) for each in phases],
        **(others or {}),
    }


def evaluate(task: Task, config: TrainingConfig, model_dir) -> dict[str, float]:
    """Evaluates a run's newest checkpoint; returns the figures of `Task.report`.

    Args:
      task: with evaluation data.
      config: of which strategy, policy and seed are used; with the run's they give its figures.
      model_dir: the run's folder.
    """
    strategy = distribution.create_strategy(config.strategy)
    with strategy.scope(), precision.policy(config.policy):
        model = task.build()
        checkpoints.restore_items(task.checkpoint_items(model), RunFolder(model_dir).checkpoints)
    evaluator = HeldOutEvaluator(task, model, task.evaluation_dataset(), strategy, config.seed)
    return evaluator.evaluate(tf.constant(-1))["held_out"]


class _Run:
    """The parts of a run, and the loop that moves them."""

    def __init__(self, task, phases, config, folder, stop, progress):
        self._task = task
        self._config = config
        self._stop = stop
        self._progress = progress
        self._phases = phases
        self._places = phase.places(phases)
        self._total = self._places[-1].end
        self.journal = Journal(folder.metrics, folder.timing, folder.writes)
        self._build()
        self._checkpoints = checkpoints.Checkpoints(
            {
                **task.checkpoint_items(self._model),
                "optimizer": self._optimizer,
                "step": self._step,
                **({"loss_scale": self._loss_scale} if self._loss_scale else {}),
            },
            folder.checkpoints,
            self._step,
            config.checkpoint_interval,
            config.keep,
            notify=progress.message,
            before=self.journal.to_disk,
        )
        with _quiet_orbit():
            self._controller = self._make_controller(folder)  # Restores.
        self.journal.cut(self._now())
        self._watch = Stopwatch(self._now())
        self._figures: dict | None = None  # Of the window that just ended.
        self._tokens_per_second: float | None = None

    def train(self) -> None:
        """Runs what is left of the phases."""
        if self._now():
            self._progress.message(f"continuing after step {self._now()} of {self._total}")
            self._evaluate_if_due()
        with _quiet_orbit():
            for place in self._places:
                self._controller.trainer = self._trainers[place.index]
                while self._now() < place.end:
                    self._train_loop(place)
                self._trainers[place.index] = None  # Frees its graph and data.

    def _build(self) -> None:
        # Initial values are drawn from Keras' own generators.
        tf_keras.utils.set_random_seed(self._config.seed)
        config, task = self._config, self._task
        self._strategy = distribution.create_strategy(config.strategy)
        schedule = WarmupDecay(
            config.learning_rate,
            self._total,
            config.warmup_steps,
            config.decay_power,
            config.numerics.warmup_from_zero,
        )
        self._loss_scale = None
        with self._strategy.scope():
            with precision.policy(config.policy):
                self._model = task.build()
            if config.policy == "mixed_float16":
                self._loss_scale = precision.LossScale()
            self._step = orbit.utils.create_global_step()
            self._optimizer = _optimizer(config, schedule)
            self._optimizer.build(self._all_variables())
        self._trainers = [
            PhaseTrainer(
                task,
                self._model,
                self._optimizer,
                schedule,
                self._step,
                place,
                config,
                self._strategy,
                self._loss_scale,
            )
            for place in self._places
        ]

    def _all_variables(self) -> list[tf.Variable]:
        every = [
            v for each in self._phases for v in self._task.trainable_variables(self._model, each)
        ]
        return list({variable.ref(): variable for variable in every}.values())

    def _make_controller(self, folder) -> orbit.Controller:
        config, dataset = self._config, None
        if config.evaluation_interval != 0:
            dataset = self._task.evaluation_dataset()
        evaluator = None
        if dataset is not None:
            evaluator = HeldOutEvaluator(
                self._task, self._model, dataset, self._strategy, config.seed
            )
        interval = config.summary_interval or config.window
        return orbit.Controller(
            global_step=self._step,
            trainer=self._trainers[0],
            evaluator=evaluator,
            strategy=self._strategy,
            train_actions=[self._on_figures],
            eval_actions=[self._on_held_out],
            steps_per_loop=config.steps_per_loop,
            checkpoint_manager=self._checkpoints,
            summary_manager=Summaries(
                folder.summaries if folder.writes else None, self._step, interval, self._total
            ),
        )

    def _train_loop(self, place: phase.Place) -> None:
        """Runs steps up to the next multiple of the loop, or to the phase's end."""
        start, loop = self._now(), self._config.steps_per_loop
        end = min(start // loop * loop + loop, place.end)
        self._figures = None
        saving = self._checkpoints.seconds
        with self._watch.part("training"):
            self._controller.train(end, checkpoint_at_completion=False)
            stopping = self._must_stop(end)
            if end == self._total or stopping:
                self._controller.save_checkpoint()
        tokens = (end - start) * place.phase.batch_size * place.phase.length
        self._watch.trained(end, tokens, self._checkpoints.seconds - saving)
        if stopping:
            raise Preempted(f"asked to stop: the run is saved at step {end} of {self._total}")
        self._evaluate_if_due()
        self._show(end, place)

    def _must_stop(self, step: int) -> bool:
        # Only where a window ends: a checkpoint holds no half window.
        if self._figures is None or step == self._total:
            return False
        return distribution.any_process(self._strategy, self._stop.made)

    def _show(self, step: int, place: phase.Place) -> None:
        if self._figures is not None:
            line = self._watch.window(step)
            self.journal.write_timing(line)
            self._tokens_per_second = line["tokens_per_second"]
        left = self._watch.seconds_left(step, self._total)
        self._progress.update(step, place.index, self._figures, self._tokens_per_second, left)

    def _on_figures(self, output: dict) -> None:
        """Writes the line of a full window, before the checkpoint."""
        if not output:
            return
        figures = dict(output["train"])
        step = self._now()
        line = {name: figures.pop(name) for name in ("learning_rate", "grad_norm")}
        line.update({f"train/{name}": value for name, value in figures.items()})
        self.journal.write(step, phase.phase_at(self._phases, step - 1).index, line)
        self._figures = figures

    def _on_held_out(self, output: dict) -> None:
        step = self._now()
        figures = {f"held_out/{name}": value for name, value in output["held_out"].items()}
        self.journal.write(step, phase.phase_at(self._phases, step - 1).index, figures)
        self._progress.evaluated(step, output["held_out"])

    def _evaluate_if_due(self) -> None:
        step, interval = self._now(), self._config.evaluation_interval
        due = step == self._total or (interval and step % interval == 0)
        if self._controller.evaluator is None or not due:
            return
        # A process killed while it evaluated has left a checkpoint of this step, but no line.
        if self.journal.last("held_out/", step) is None:
            with self._watch.part("evaluation"), _quiet_orbit():
                self._controller.evaluate(-1)

    def _now(self) -> int:
        return int(self._step.numpy())


def _optimizer(config: TrainingConfig, schedule: WarmupDecay) -> AdamW:
    return AdamW(
        schedule,
        weight_decay=config.weight_decay,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        global_clipnorm=config.clip,
        bias_correction=config.numerics.bias_correction,
    )


@contextlib.contextmanager
def _quiet_orbit():
    """Keeps orbit's Controller from printing a line a loop: the progress line says it better."""
    module = sys.modules[orbit.Controller.__module__]
    original = module._log
    module._log = logging.getLogger(__name__).debug
    try:
        yield
    finally:
        module._log = original
