"""The parts of a run: what happens before its first step, between its loops, and at its end."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orbit
import tensorflow as tf

from official_nlp.errors import Preempted
from official_nlp.training import checkpoints, curves, distribution, phase
from official_nlp.training.config import ROUNDING, TrainingConfig
from official_nlp.training.early_stopping import EarlyStopping
from official_nlp.training.evaluator import Evaluator
from official_nlp.training.metrics_log import TRAIN, MetricsLog
from official_nlp.training.progress import TrainingProgress
from official_nlp.training.run_folder import RunFolder
from official_nlp.training.run_state import RunState, schedule
from official_nlp.training.stopwatch import Stopwatch
from official_nlp.training.summaries import Summaries
from official_nlp.training.task import DataByPath, Task
from official_nlp.training.tracing import plain_errors


class WarmStart(Protocol):
    """Pretrained weights for a run that has no checkpoint yet."""

    def describe(self) -> dict[str, Any]:
        """Return what `run.json` records of the sources."""

    def assign(self, model: Any, report: Callable[[str], None]) -> dict[str, Any]:
        """Assign the weights to a model; call `report` with lines; return the final record."""


@dataclasses.dataclass
class _Window:
    """Rates of the last metric window, for the progress line."""

    tokens_per_second: float | None = None
    input_fraction: float | None = None


class Run:
    """The parts of a run, and the work between its loops of steps.

    `loop.train` states the order in which the methods are called.

    Args:
      task: what to train.
      phases: phases in steps, with all loss weights.
      config: settings as `loop.resolved` returns them.
      strategy: strategy of the settings.
      folder: the run folder.
      progress: where to print.
    """

    def __init__(
        self,
        task: Task,
        phases: Sequence[phase.PhaseConfig],
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
        folder: RunFolder,
        progress: TrainingProgress,
    ):
        self._task = task
        self._phases = phases
        self._config = config
        self._strategy = strategy
        self._folder = folder
        self._progress = progress
        self._total = phase.total_steps(phases)
        self._log = MetricsLog(folder.metrics, folder.timing, folder.writes)
        interval = config.summary_interval or config.window
        summaries = folder.summaries if folder.writes else None
        self._summaries = Summaries(summaries, interval, self._total)
        self._watch = Stopwatch(0)
        self._monitor = task.monitor()
        self._window = _Window()
        self._extended_from: int | None = None
        self._baselines: Mapping[str, float] = {}
        self._metrics: dict | None = None  # Those of the window that just ended.
        self._early_stopping = EarlyStopping(config.keep_best, config.patience)

    @property
    def step(self) -> int:
        """Number of finished updates."""
        return int(self._state.step.numpy())

    @property
    def stopped_early(self) -> str | None:
        """A line that says why the run has ended before its last step; None where it has not."""
        return self._early_stopping.reason if self.step != self._total else None

    # === Before the first step ===

    def claim(
        self,
        run_identity: Mapping[str, Any],
        data: DataByPath | None,
        warm_start: WarmStart | None,
        recipe: str,
        extend: bool,
    ) -> None:
        """Write the files of a new run, or check that this is the run of the folder."""
        folder = self._folder
        self._extended_from = folder.extended_from(run_identity)
        origin = {
            "data": data[None].describe() if data else {},
            "warm_start": warm_start.describe() if warm_start else {},
        }
        rounding = self._config.of_kind(ROUNDING)
        for difference in folder.claim(run_identity, rounding, extend, origin):
            self._progress.message(f"not bit-identical to an uninterrupted run: {difference}")
        folder.prepare(self._task.write_files, recipe, self._extended_from is not None)

    def build(self, data: DataByPath | None) -> None:
        """Create model, optimizer, evaluator and checkpoints."""
        config, task = self._config, self._task
        self._data = list((data or {}).values())
        self._baselines = task.baselines()
        self._state = RunState(task, self._phases, config, self._strategy)
        self._evaluator = None
        if config.evaluation_interval != 0:
            self._evaluator = Evaluator(task, self._state.model, self._strategy, config.seed)
        self._checkpoints = checkpoints.Checkpoints(
            self._state.checkpoint_items(),
            self._folder.checkpoints,
            self._state.step,
            config.checkpoint_interval,
            config.keep,
            config.keep_every,
            config.keep_best,
            last_step=self._total,
            notify=self._progress.message,
            writes=self._folder.writes,
        )

    def restore(self, warm_start: WarmStart | None) -> None:
        """Restore the newest checkpoint, or assign pretrained weights where there is none."""
        restored = self._checkpoints.restore_latest()
        if restored is None and warm_start is not None:
            with self._strategy.scope():
                record = warm_start.assign(self._state.model, self._progress.message)
            self._folder.add_to_origin({"warm_start": record})
        # Metrics after the checkpoint are removed; the steps are run again.
        self._log.truncate(self.step)
        # Derived from the truncated log, not from best.json, which may name an evaluation that was
        # just removed: after setting aside a damaged checkpoint, a run continues from an earlier
        # one.
        evaluations = self._log.evaluations()
        self._checkpoints.tidy(evaluations)
        for line in evaluations:
            # The first of several hosts may not have truncated the log yet.
            if line["step"] <= self.step:
                self._early_stopping.update(line["step"], line)
        self._watch.start(self.step)
        if self._extended_from is not None:
            self._progress.message(self._extension(self._extended_from))
        if self.step:
            self._progress.message(f"continuing after step {self.step} of {self._total}")
            self._evaluate_if_due()
        self._note_early_stop()

    def _note_early_stop(self) -> None:
        """Print and record whether the run has ended early."""
        if self.stopped_early:
            self._progress.message(self.stopped_early)
        self._folder.record_early_stop(self.stopped_early)

    def _extension(self, old_steps: int) -> str:
        """Return a line on the effect of more steps of the last phase on the schedule."""
        last = phase.stages(self._phases)[-1]
        old_total = last.start + old_steps
        totals = (old_total, self._total)
        old, new = (float(schedule(self._config, n)(self.step)) for n in totals)
        return (
            f"extended from {old_total} to {self._total} steps: from step {self.step} on, the "
            f"learning rate is that of a run of {self._total} steps, {new:.3g} instead of "
            f"{old:.3g}, and reaches 0 at step {self._total}. A run that had so many steps from "
            "the start would end with other weights"
        )

    # === Loops of steps ===

    def open_stage(self, stage: phase.Stage) -> orbit.Controller:
        """Return the controller of the steps of a phase."""
        self._trainer = self._state.trainer(stage)
        return orbit.Controller(
            global_step=self._state.step,
            trainer=self._trainer,
            strategy=self._strategy,
            train_actions=[lambda output: self._end_window(output.get(TRAIN))],
            steps_per_loop=self._config.steps_per_loop,
        )

    def begin_loop(self, stage: phase.Stage) -> int:
        """Begin a loop; return its last step: a multiple of the loop, or the end of the phase."""
        self._metrics = None
        self._loop_start = self.step
        self._watch.loop()
        per_loop = self._config.steps_per_loop
        # A run may continue at a step that is no multiple, since `steps_per_loop` may change. Loops
        # return to multiples, so that windows, checkpoints and evaluations stay at their steps.
        return min(self._loop_start // per_loop * per_loop + per_loop, stage.end)

    def end_loop(self, stage: phase.Stage, asked_to_stop: bool) -> None:
        """Save, evaluate and report, each where it is due.

        Raises:
          Preempted: the run was asked to stop, and is saved.
        """
        step = self.step
        self._watch.waited(self._trainer.waiting.take())
        # All processes of the strategy agree on it, as all of them must stop at the same step.
        stopping = distribution.any_process(self._strategy, asked_to_stop) and step != self._total
        saving = self._checkpoints.seconds
        if stopping or step == self._total or self._checkpoints.is_due(step):
            self._save()
        tokens = (step - self._loop_start) * stage.phase.batch_size * stage.phase.length
        self._watch.trained(step, tokens, self._checkpoints.seconds - saving)
        if stopping:
            # An evaluation that is due at this step is left to the run that continues; see
            # `restore`.
            raise Preempted(f"asked to stop: the run is saved at step {step} of {self._total}")
        self._evaluate_if_due()
        self._show(stage)
        if self.stopped_early:
            self._note_early_stop()

    def _save(self) -> None:
        if self._metrics is None:
            # The checkpoint is out of turn: the window ends here, so that it need not be saved.
            self._end_window(self._trainer.end_window())
        # Before the checkpoint: its lines then always exist, while lines without a checkpoint are
        # removed when the run continues.
        self._summaries.flush()
        self._log.to_disk()
        self._checkpoints.save()

    def _end_window(self, metrics: Mapping[str, float] | None) -> None:
        """Write the line of a window; None stands for a loop within one."""
        if metrics is None:
            return
        self._summaries.write(TRAIN, self.step, metrics)
        rest = dict(metrics)
        line = {name: rest.pop(name) for name in ("learning_rate", "grad_norm")}
        line.update({f"{TRAIN}/{name}": value for name, value in rest.items()})
        self._write(line)
        self._metrics = rest
        warning = self._monitor(rest) if self._monitor else None
        if warning:
            self._progress.message(f"warning: {warning}")

    def _evaluate_if_due(self) -> None:
        step, interval = self.step, self._config.evaluation_interval
        due = step == self._total or (interval and step % interval == 0)
        if self._evaluator is None or not self._evaluator.sets or not due:
            return
        # A process that was killed while evaluating left a checkpoint of this step, but no line.
        # On several hosts all read the same file and decide alike: evaluating is collective, so
        # the first host cannot write the line before the others have begun.
        if self._log.evaluation_at(step) is not None:
            return
        with self._watch.part("evaluation"), plain_errors():
            by_set = self._evaluator.evaluate(tf.constant(-1))
        line = {}
        for name, metrics in by_set.items():
            line.update({f"{name}/{metric}": value for metric, value in metrics.items()})
        self._write(line)
        for name, metrics in by_set.items():
            self._summaries.write(name, step, metrics)
            self._progress.evaluated(step, name, metrics)
        self._summaries.flush()
        self._checkpoints.tidy([{"step": step, **line}])
        self._early_stopping.update(step, line)

    def _write(self, line: Mapping[str, float]) -> None:
        # Minus 1: the line at the last step of a phase belongs to that phase, not to the next.
        index = phase.stage_at(self._phases, self.step - 1).index
        self._log.write(self.step, index, line)

    def _show(self, stage: phase.Stage) -> None:
        step = self.step
        if self._metrics is not None:
            line = self._watch.window(step)
            if self._config.corrupt_records == "skip":
                line["corrupt_rows"] = sum(data.corrupt_rows for data in self._data)
            self._log.write_timing(line)
            self._window = _Window(line["tokens_per_second"], line["input_fraction"])
        self._progress.show(
            step,
            stage.index,
            self._metrics,
            self._window.tokens_per_second,
            self._watch.seconds_left(step, self._total),
            self._window.input_fraction,
        )

    # === At the end ===

    def last_evaluation(self) -> dict[str, float]:
        """Return the last line of evaluation metrics, {} without one."""
        lines = self._log.evaluations()
        return lines[-1] if lines else {}

    def draw_curves(self) -> None:
        """Draw the curves; a failure to do so must not hide what ended the run."""
        if not self._folder.writes:
            return
        try:
            curves.draw(self._folder.metrics, self._folder.curves, self._baselines)
        except Exception as error:
            reason = getattr(error, "strerror", None) or error
            self._progress.message(f"{self._folder.curves} could not be drawn: {reason}")

    def promise(self) -> str:
        """Return the immediate answer to a request to stop."""
        seconds = self._watch.seconds_of_loop_left()
        if seconds is None:
            return "stopping after this loop and a checkpoint"
        saving = self._checkpoints.last_seconds
        about = f"about {seconds:,.0f} s" + (f" + {saving:,.0f} s of saving" if saving else "")
        return f"stopping after this loop, {about}"
