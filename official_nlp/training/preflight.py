"""Checks of a run before its first step that hold for every objective.

The `preflight` of a task config checks what depends on the objective, such as the number of
parameters. Sizes and counts in, text out: nothing is built.
"""

import os
import pathlib
import shutil
from collections.abc import Sequence

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.output import counted
from official_nlp.training import best, distribution, processor
from official_nlp.training.config import TrainingConfig
from official_nlp.training.findings import Devices, Findings
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.run_folder import RunFolder
from official_nlp.training.task import DataByPath


def check(
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    data: DataByPath,
    devices: Devices,
    metric_names: Sequence[str] | None = None,
) -> Findings:
    """Check batches, data, schedule and evaluation against each other.

    Args:
      phases: phases in steps, with all loss weights.
      training: settings of loop and optimizer.
      data: opened data by the path of a phase; that of the run under None.
      devices: where the run runs.
      metric_names: those of `Task.metric_names`.
    """
    errors = [*_best_errors(training, metric_names)]
    warnings: list[str] = []
    lines = [
        f"devices: {devices.strategy}, replicas {devices.replicas}, hosts {devices.hosts}",
    ]
    if training.policy == "mixed_bfloat16" and devices.slow_bfloat16:
        errors.append(
            "policy must be float32 on this machine, was mixed_bfloat16, which is slower here: "
            f"{devices.slow_bfloat16}; use POLICY=float32"
        )
    if training.policy == "float32" and devices.fast_bfloat16:
        lines.append("this processor computes bfloat16: POLICY=mixed_bfloat16 is faster")
    for number, phase in enumerate(phases, start=1):
        examples = data[phase.data].examples
        errors += _phase_errors(number, phase, training, examples, devices)
        if 0 < examples < phase.batch_size:
            warnings.append(
                f"a batch of phase {number} has {phase.batch_size} examples, but the data has only "
                f"{examples:,}: each batch repeats some"
            )
        lines += _phase_lines(number, phase, training, examples, devices)
    steps, warmup = sum(phase.steps or 0 for phase in phases), training.warmup_steps
    assert warmup is not None  # See `loop.resolved`.
    if warmup > steps:
        errors.append(
            f"warmup_steps must be at most {steps:,}, the steps of the run, was {warmup:,}: the "
            "learning rate would not reach its peak; use a tenth of the steps "
            f"(WARMUP_STEPS={steps // 10}) or fewer"
        )
    elif warmup == steps:
        warnings.append(
            f"the warm-up of {warmup:,} steps does not end before the last of "
            f"{steps:,} steps: the learning rate never reaches its peak"
        )
    if devices.absent:
        warnings.append(f"{devices.absent}; estimates are for one replica")
    return Findings(tuple(errors), tuple(warnings), tuple(lines))


def check_folder(
    model_dir: str | os.PathLike, checkpoint_bytes: int, training: TrainingConfig
) -> Findings:
    """Check whether a run can write its folder; write nothing.

    Args:
      model_dir: the run folder, which may not exist yet.
      checkpoint_bytes: size of a checkpoint; 0 where it is not known.
      training: settings of the loop: how many checkpoints are retained.
    """
    folder = RunFolder(model_dir)
    try:
        existing = _nearest_existing(folder.path)
        reason = _refusal(existing)
        free = 0 if reason else shutil.disk_usage(existing).free
    except OSError as error:  # The path is too long.
        reason = error.strerror or str(error)
    if reason:
        return Findings((f"the run folder must be writable, {folder.path} is not: {reason}",))
    if folder.in_use():
        return Findings((f"another process is training in {folder.path}",))
    # While one is written, the others are still there.
    needed = checkpoint_bytes * (1 if folder.has_checkpoint else training.keep + 1)
    room = f"{existing} has room for {readable_bytes(free)}"
    if checkpoint_bytes > free:
        return Findings((f"a checkpoint takes {readable_bytes(checkpoint_bytes)}, but {room}",))
    if needed > free:
        return Findings(
            warnings=(
                f"{training.keep + 1} checkpoints take {readable_bytes(needed)}, but {room}: make "
                "room, or use a smaller KEEP",
            )
        )
    return Findings()


def _nearest_existing(path: pathlib.Path) -> pathlib.Path:
    """Return a path, or the first of its parents, that exists."""
    while True:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            path = path.parent
        else:
            return path


def _refusal(existing: pathlib.Path) -> str | None:
    """Return why nothing can be written into an existing path; None if it can."""
    if not existing.is_dir():
        return "Not a directory"
    return None if os.access(existing, os.W_OK | os.X_OK) else "Permission denied"


def find_devices(strategy: str, dry_run: bool = False) -> Devices:
    """Return the devices of a strategy.

    Args:
      strategy: one of `distribution.STRATEGIES`.
      dry_run: report absent devices in the result instead of raising an error.

    Raises:
      InputError: the strategy is unknown, or its devices are absent.
    """
    distribution.require_known(strategy)
    try:
        replicas, hosts = distribution.replicas_and_hosts(strategy)
    except InputError as error:
        if not dry_run:
            raise
        return Devices(strategy, absent=str(error))
    memory = _host_memory()
    if memory is None:
        return Devices(strategy, replicas, hosts)
    slow, fast = processor.slow_bfloat16(), processor.has_bfloat16()
    return Devices(strategy, replicas, hosts, memory, slow, fast)


def passes(phase: PhaseConfig, examples: int) -> float:
    """Return the number of passes of a phase over its examples."""
    return (phase.steps or 0) * phase.batch_size / max(examples, 1)


def readable(value: float) -> str:
    """Return a number with three significant digits, or with thousands separators."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def readable_bytes(count: int) -> str:
    """Return a number of bytes in megabytes or gigabytes."""
    gigabytes = count / 1e9
    if gigabytes >= 10:
        return f"{gigabytes:,.0f} GB"
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{count / 1e6:.0f} MB"


def _phase_errors(number, phase, training, examples, devices):
    if not examples:
        yield f"the data of phase {number} has no training examples"
    parts = devices.replicas * training.accumulation
    if phase.batch_size % parts:
        of = f"{devices.replicas} replicas"
        if training.accumulation > 1:
            of += f" x {training.accumulation} micro-batches"
        yield (
            f"batch_size of phase {number} must be a multiple of {parts} ({of}), was "
            f"{phase.batch_size}"
        )


def _best_errors(training, metric_names):
    if training.keep_best is None or metric_names is None:
        return
    if not metric_names:
        yield f"keep_best={training.keep_best} needs an evaluation set, but the data has none"
        return
    try:
        best.find(best.parse(training.keep_best)[0], metric_names)
    except InputError as error:
        yield str(error)


def _phase_lines(number, phase, training, examples, devices):
    size = f"{phase.batch_size} x {phase.length} tokens"
    if phase.length == 1:
        size = counted(phase.batch_size, "example")
    weights = ", ".join(f"{name} {weight:g}" for name, weight in phase.loss_weights.items())
    yield (
        f"phase {number}: {counted(phase.steps, 'step')} of {size}, "
        f"{readable(passes(phase, examples))} passes over {counted(examples, 'example')}"
        + (f"; loss weights: {weights}" if weights else "")
    )
    parts = f" in {training.accumulation} micro-batches" if training.accumulation > 1 else ""
    yield (
        f"  global batch {phase.batch_size}: "
        f"{counted(phase.batch_size // devices.replicas, 'example')} per replica{parts}"
    )


def _host_memory() -> int | None:
    """Return the bytes of this machine's memory; None where models are in a device's memory."""
    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
