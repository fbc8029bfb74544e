"""Trains a task through its phases, resuming where a former process stopped."""

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import rich.console
import tensorflow as tf
import tf_keras

from official_nlp.errors import Preempted
from official_nlp.training import checkpoints, curves, distribution, phase, precision, summaries
from official_nlp.training.adamw import AdamW
from official_nlp.training.config import FIXED, ROUNDING, TrainingConfig, fixed_of_phase
from official_nlp.training.evaluator import HeldOutEvaluator
from official_nlp.training.interruption import StopRequest
from official_nlp.training.metrics_log import MetricsLog
from official_nlp.training.progress import Progress
from official_nlp.training.run_folder import RunFolder
from official_nlp.training.schedule import WarmupDecay
from official_nlp.training.stopwatch import Stopwatch
from official_nlp.training.task import Task
from official_nlp.training.trainer import PhaseTrainer


def train(
    task: Task,
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    model_dir,
    *,
    fixed: Mapping[str, Any] | None = None,
    references: Mapping[str, float] | None = None,
    console: rich.console.Console | None = None,
    extend: bool = False,
    corrupt_rows: Callable[[], int] | None = None,
    monitor: Callable[[dict], str | None] | None = None,
    initialize: Callable[[tf_keras.Model], Mapping] | None = None,
    beginning: Mapping[str, Any] | None = None,
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
      extend: whether the last phase may have more steps than when the run began. The learning rate
        then is, from here on, that of a run of so many steps.
      corrupt_rows: returns how many rows were left empty so far for want of their record, for
        `timing.jsonl`; None where such a record ends the run.
      monitor: called with the metrics of each metric window; what it returns is shown as a warning.
      initialize: called with the model of a run that has no checkpoint yet, to give it other first
        values; optimizer and step are fresh. Returns what is to be added to `beginning`.
      beginning: what `run.json` is to say of how the run began, see `RunFolder.claim`.

    Returns:
      The last line of held-out metrics, named `held_out/...`, with its `step`; empty without any.

    Raises:
      InputError: the folder holds another run, or cannot be written.
      NotFiniteError: a term of the loss, or the gradient; nothing was updated or saved after.
      Preempted: at SIGTERM or Ctrl-C, once the loop was finished and the state saved.
      StorageError: the disk is full; the last checkpoint is whole.
    """
    strategy = distribution.create_strategy(config.strategy)
    folder = RunFolder(model_dir, writes=distribution.is_chief(strategy))
    described = fixed_fields(phases, config, fixed)
    stop = StopRequest()
    if not folder.writes:
        console = rich.console.Console(quiet=True)
    progress = Progress(phase.total_steps(phases), len(phases), console)
    watch = Stopwatch(0)
    run = None

    def answer():
        progress.message(_promise(watch, run))

    with folder.locked(), progress, stop.watched(answer):
        extended_from = folder.extended_from(described)
        rounding = config.of_kind(ROUNDING)
        for difference in folder.claim(described, rounding, extend, beginning):
            progress.message(f"not bit-identical to an uninterrupted run: {difference}")
        try:
            run = _Run(task, phases, config, folder, stop, progress, watch, corrupt_rows, monitor)
            folder.add_to_beginning(run.initialize(initialize))
            if extended_from is not None:
                progress.message(run.on_extension(extended_from))
            run.train()
            return run.metrics_log.last("held_out/") or {}
        finally:
            if folder.writes:
                _draw(folder, references, progress)


def _promise(watch: Stopwatch, run: "_Run | None") -> str:
    """Returns what a run that is asked to stop says at once."""
    seconds = watch.seconds_of_loop_left()
    if run is None or seconds is None:
        return "stopping after this loop and a checkpoint"
    saving = run.seconds_of_saving
    about = f"about {seconds:,.0f} s" + (f" + {saving:,.0f} s of saving" if saving else "")
    return f"stopping after this loop, {about}"


def _draw(folder: RunFolder, references, progress: Progress) -> None:
    try:
        curves.draw(folder.metrics, folder.curves, references)
    except OSError as error:
        # Not to hide what ended the run, a full disk perhaps.
        progress.message(f"{folder.curves} could not be drawn: {error.strerror}")


def fixed_fields(
    phases: Sequence[phase.PhaseConfig],
    config: TrainingConfig,
    others: Mapping[str, Any] | None = None,
) -> dict:
    """Returns what `run.json` keeps of a run, and a resumed one must have kept."""
    return {
        "training": config.of_kind(FIXED),
        "phases": [fixed_of_phase(each) for each in phases],
        **(others or {}),
    }


def evaluate(task: Task, config: TrainingConfig, model_dir) -> dict[str, float]:
    """Evaluates a run's newest checkpoint; returns the metrics of `Task.report`.

    Args:
      task: with evaluation data.
      config: of which strategy, policy and seed are used; with the run's they give its metrics.
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

    def __init__(self, task, phases, config, folder, stop, progress, watch, corrupt_rows, monitor):
        self._monitor = monitor
        self._task = task
        self._config = config
        self._stop = stop
        self._progress = progress
        self._phases = phases
        self._places = phase.places(phases)
        self._total = self._places[-1].end
        self.metrics_log = MetricsLog(folder.metrics, folder.timing, folder.writes)
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
            config.keep_every,
            config.keep_best,
            last_step=self._total,
            notify=progress.message,
            before=self.metrics_log.to_disk,
            half_window=self._half_window,
            writes=folder.writes,
        )
        with _quiet_orbit():
            self._controller = self._make_controller(folder)  # Restores.
        self._go_back(folder)
        self._watch = watch
        self._watch.start(self._now())
        self._corrupt_rows = corrupt_rows
        self._metrics: dict | None = None  # Of the window that just ended.
        self._tokens_per_second: float | None = None
        self._input_share: float | None = None

    @property
    def seconds_of_saving(self) -> float | None:
        """What the last checkpoint took, if there was one."""
        return self._checkpoints.last_seconds

    def initialize(self, assign: Callable[[tf_keras.Model], Mapping] | None) -> Mapping:
        """Has the variables of a model that was not restored assigned; returns what is said."""
        if assign is None or self._checkpoints.latest_checkpoint is not None:
            return {}
        with self._strategy.scope():
            return assign(self._model)

    def on_extension(self, old_steps: int) -> str:
        """Returns a line on what more steps of the last phase do to the schedule."""
        step, last = self._now(), self._places[-1]
        old_total = last.start + old_steps
        old, new = (float(_schedule(self._config, n)(step)) for n in (old_total, self._total))
        return (
            f"extended from {old_total} to {self._total} steps: from step {step} on the learning "
            f"rate is that of a run of {self._total} steps, {new:.3g} in place of {old:.3g}, and "
            f"ends at {self._total}. A run of so many steps from the start would end elsewhere"
        )

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
        schedule = _schedule(config, self._total)
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
            train_actions=[self._on_metrics],
            steps_per_loop=config.steps_per_loop,
            checkpoint_manager=self._checkpoints,
            summary_manager=summaries.Summaries(
                folder.summaries if folder.writes else None, self._step, interval, self._total
            ),
        )

    def _go_back(self, folder: RunFolder) -> None:
        """Takes back what was measured after the step that was restored, and tidies up."""
        step = self._now()
        self.metrics_log.cut(step)
        held_out = self.metrics_log.having("held_out/")
        self._checkpoints.tidy(held_out)
        if folder.writes:
            evaluated = bool(held_out) and held_out[-1]["step"] == step
            summaries.cut(folder.summaries / "train", step)
            summaries.cut(folder.summaries / "held_out", step if evaluated else step - 1)
        if self._checkpoints.half_window:
            index = phase.phase_at(self._phases, step).index
            self._trainers[index].continue_window(self._checkpoints.half_window)

    def _half_window(self) -> list[float]:
        """Returns the sums of the window that has not ended, none where one has."""
        return [] if self._metrics is not None else self._controller.trainer.half_window()

    def _train_loop(self, place: phase.Place) -> None:
        """Runs steps up to the next multiple of the loop, or to the phase's end."""
        start, loop = self._now(), self._config.steps_per_loop
        end = min(start // loop * loop + loop, place.end)
        self._metrics = None
        self._watch.loop()
        saving = self._checkpoints.seconds
        with self._watch.part("training"):
            self._controller.train(end, checkpoint_at_completion=False)
            self._watch.waited(self._trainers[place.index].waiting.take())
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
        if step == self._total:
            return False
        return distribution.any_process(self._strategy, self._stop.made)

    def _show(self, step: int, place: phase.Place) -> None:
        if self._metrics is not None:
            line = self._watch.window(step)
            if self._corrupt_rows is not None:
                line["corrupt_rows"] = self._corrupt_rows()
            self.metrics_log.write_timing(line)
            self._tokens_per_second = line["tokens_per_second"]
            self._input_share = line["input_share"]
        left = self._watch.seconds_left(step, self._total)
        self._progress.update(
            step, place.index, self._metrics, self._tokens_per_second, left, self._input_share
        )

    def _on_metrics(self, output: dict) -> None:
        """Writes the line of a full window, before the checkpoint."""
        if not output:
            return
        metrics = dict(output["train"])
        step = self._now()
        line = {name: metrics.pop(name) for name in ("learning_rate", "grad_norm")}
        line.update({f"train/{name}": value for name, value in metrics.items()})
        self.metrics_log.write(step, phase.phase_at(self._phases, step - 1).index, line)
        self._metrics = metrics
        advice = self._monitor(metrics) if self._monitor else None
        if advice:
            self._progress.message(f"warning: {advice}")

    def _on_held_out(self, output: dict) -> None:
        # After orbit has written them for TensorBoard: what is cut there goes by this line.
        step = self._now()
        metrics = {f"held_out/{name}": value for name, value in output["held_out"].items()}
        self.metrics_log.write(step, phase.phase_at(self._phases, step - 1).index, metrics)
        self._progress.evaluated(step, output["held_out"])
        self._checkpoints.tidy([{"step": step, **metrics}])

    def _evaluate_if_due(self) -> None:
        step, interval = self._now(), self._config.evaluation_interval
        due = step == self._total or (interval and step % interval == 0)
        if self._controller.evaluator is None or not due:
            return
        # A process killed while it evaluated has left a checkpoint of this step, but no line.
        if self.metrics_log.last("held_out/", step) is None:
            with self._watch.part("evaluation"), _quiet_orbit():
                output = self._controller.evaluate(-1)
            self._on_held_out(output)

    def _now(self) -> int:
        return int(self._step.numpy())


def _schedule(config: TrainingConfig, total: int) -> WarmupDecay:
    return WarmupDecay(
        config.learning_rate,
        total,
        config.warmup_steps,
        config.decay_power,
        config.reference_quirks.warmup_from_zero,
    )


def _optimizer(config: TrainingConfig, schedule: WarmupDecay) -> AdamW:
    return AdamW(
        schedule,
        weight_decay=config.weight_decay,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        global_clipnorm=config.clip,
        bias_correction=config.reference_quirks.bias_correction,
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
