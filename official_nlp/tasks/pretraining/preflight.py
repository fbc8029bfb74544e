"""What can be known of a run before its first step: what it costs, what is wrong, what is odd.

Pure: sizes and counts in, text out.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from official_nlp.tasks.pretraining import cost
from official_nlp.tasks.pretraining.task import PretrainingConfig
from official_nlp.training import PhaseConfig, TrainingConfig

# Paper, section 3.2: generators of a quarter to half of the discriminator's width work best.
WIDEST_GENERATOR = 0.5
# The generator learns from the predicted tokens alone. `demo` has this many in a step, and no
# recipe here fewer.
FEWEST_PREDICTIONS = 256
# BERT's, and more than any of the paper's models.
MOST_EPOCHS = 40
# The paper's rate for networks wider than ELECTRA-Small; twice as high, they are known to diverge.
WIDE, RATE_OF_WIDE = 512, 2e-4
# Shares of the word table, under which a vocabulary looks like another's.
UNUSED_ROWS, SMALLEST_LARGEST_ID = 0.05, 0.5


@dataclasses.dataclass(frozen=True)
class Data:
    """What preflight wants to know of a data folder.

    Attributes:
      examples: for training.
      held_out: for evaluation.
      shards: files with examples for training.
      longest_row: tokens of the longest.
      largest_id: of any token.
      vocabulary: tokens of the vocabulary.
    """

    examples: int
    held_out: int
    shards: int
    longest_row: int
    largest_id: int
    vocabulary: int


@dataclasses.dataclass(frozen=True)
class Devices:
    """Where a run runs.

    Attributes:
      strategy: its name.
      replicas: copies of the model, over all hosts.
      hosts: processes that read data.
      memory: bytes that this machine has, where training runs in it; None elsewhere.
      absent: why the strategy cannot be had here, of a dry run elsewhere; None where it can.
    """

    strategy: str = "one_device"
    replicas: int = 1
    hosts: int = 1
    memory: int | None = None
    absent: str | None = None


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
      errors: why the run cannot be; each names a setting, what it must be and what it was.
      warnings: why it may disappoint.
      lines: what it is and costs.
    """

    errors: list[str]
    warnings: list[str]
    lines: list[str]


def inspect(
    task: PretrainingConfig,
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    data: "Mapping[str | None, Data]",
    devices: Devices,
) -> Findings:
    """Looks at a run.

    Args:
      task: with the sizes of the word table filled in.
      phases: in steps.
      training: of loop and optimizer.
      data: by the name a phase has for it; that of the run under None.
      devices: where it runs.
    """
    errors = [
        line
        for number, phase in enumerate(phases, start=1)
        for line in _phase_errors(number, phase, task, training, data[phase.data], devices)
    ]
    warnings = [
        *_vocabulary_warnings(task, data[None]),
        *_size_warnings(task, training),
        *_schedule_warnings(phases, training),
    ]
    for number, phase in enumerate(phases, start=1):
        warnings += _phase_warnings(number, phase, task, data[phase.data])
    if devices.absent:
        warnings.append(f"{devices.absent}; all is counted as for one replica")
    if not data[None].held_out:
        warnings.append("no held-out examples: nothing is evaluated while training")
    lines = _lines(task, phases, training, data, devices)
    if not errors:
        needed = cost.memory(task, phases, training, devices.replicas)
        lines.append(_memory_line(needed))
        if devices.memory and needed.total > devices.memory:
            warnings.append(
                f"the run needs about {_bytes(needed.total)} of memory, this machine has "
                f"{_bytes(devices.memory)}: use a smaller BATCH_SIZE, or a larger ACCUMULATION"
            )
    return Findings(errors, warnings, lines)


# === Errors ===


def _phase_errors(number, phase, task, training, data, devices):
    longest = task.longest_row
    if phase.length > longest:
        yield (
            f"length of phase {number} must be at most max_position_embeddings={longest}, was "
            f"{phase.length}"
        )
    if data.longest_row > phase.length:
        yield (
            f"length of phase {number} must be at least {data.longest_row}, the longest row of its "
            f"data, was {phase.length}; build examples with --length {phase.length}"
        )
    if not data.examples:
        yield f"the data of phase {number} must have training examples, had none"
    slots = cost.predictions(task, phase)
    if slots > phase.length - 2:
        yield (
            f"predictions a row of phase {number} must be at most {phase.length - 2}, its tokens "
            f"without [CLS] and [SEP], were {slots}; mask a smaller share"
        )
    parts = devices.replicas * training.accumulation
    if phase.batch_size % parts:
        of = f"{devices.replicas} replicas"
        if training.accumulation > 1:
            of += f" x {training.accumulation} micro-batches"
        yield (
            f"batch_size of phase {number} must be a multiple of {parts} ({of}), was "
            f"{phase.batch_size}"
        )


# === Warnings ===


def _vocabulary_warnings(task, data):
    unused = task.vocab_size - data.vocabulary
    if unused > UNUSED_ROWS * task.vocab_size:
        yield (
            f"the word table has {task.vocab_size:,} rows for a vocabulary of "
            f"{data.vocabulary:,}: {unused:,} of them are never trained"
        )
    if data.largest_id < SMALLEST_LARGEST_ID * data.vocabulary:
        yield (
            f"the largest id in the data is {data.largest_id:,} of a vocabulary of "
            f"{data.vocabulary:,}: were the examples made with another vocabulary?"
        )


def _size_warnings(task, training):
    generator, discriminator = task.generator.hidden_size, task.discriminator.hidden_size
    ratio = generator / discriminator
    if task.sharing != "whole" and ratio > WIDEST_GENERATOR:
        released = ", though ELECTRA-Small++ was released with 1" if ratio == 1 else ""
        yield (
            f"the generator is {ratio:.2g} times as wide as the discriminator; a quarter to half "
            "works best (paper, section 3.2): a stronger one leaves the discriminator too little "
            f"to find{released}"
        )
    if discriminator > WIDE and training.learning_rate > 2 * RATE_OF_WIDE:
        yield (
            f"the learning rate of {training.learning_rate:g} is high for a width of "
            f"{discriminator}: the paper has {RATE_OF_WIDE:g}, and wide networks diverge above"
        )


def _schedule_warnings(phases, training):
    steps = sum(phase.steps for phase in phases)
    if training.warmup_steps >= steps:
        yield (
            f"the warm-up of {training.warmup_steps:,} steps is not over at the last of {steps:,}: "
            "the learning rate never reaches its highest"
        )


def _phase_warnings(number, phase, task, data):
    predicted = phase.batch_size * cost.predictions(task, phase)
    if phase.generator_weight and predicted < FEWEST_PREDICTIONS:
        yield (
            f"a step of phase {number} predicts only {predicted} tokens, which is all the "
            f"generator learns from; with fewer than {FEWEST_PREDICTIONS} it is not known to get "
            "past word frequencies: use a larger BATCH_SIZE"
        )
    epochs = _epochs(phase, data)
    if epochs > MOST_EPOCHS:
        yield (
            f"phase {number} goes {_number(epochs)} times through {data.examples:,} examples; "
            f"above {MOST_EPOCHS} the model learns them by heart: use more text or fewer steps"
        )
    elif 0 < data.examples < phase.batch_size:
        yield (
            f"a batch of phase {number} has {phase.batch_size} rows, and there are only "
            f"{data.examples:,} examples: it holds some twice"
        )


# === Lines ===


def _lines(task, phases, training, data, devices):
    parameters = cost.parameters(task)
    run = data[None]
    lines = [
        f"model: {parameters.joint:,} trainable parameters, sharing {task.sharing}: generator "
        f"{parameters.generator:,}, discriminator {parameters.discriminator:,}",
        f"vocabulary: {run.vocabulary:,} tokens, word table of {task.vocab_size:,} rows, largest "
        f"id in the data {run.largest_id:,}",
        f"devices: {devices.strategy}, replicas {devices.replicas}, hosts {devices.hosts}",
    ]
    total = 0
    for number, phase in enumerate(phases, start=1):
        mine = data[phase.data]
        flops = cost.step_flops(task, phase)
        total += flops * phase.steps
        lines.append(
            f"phase {number}: {phase.steps:,} steps of {phase.batch_size} x {phase.length} tokens, "
            f"{_number(_epochs(phase, mine))} times through {mine.examples:,} examples in "
            f"{mine.shards:,} {'file' if mine.shards == 1 else 'files'}; "
            f"{cost.predictions(task, phase)} predictions a row; weights: generator "
            f"{phase.generator_weight:g}, discriminator {phase.discriminator_weight:g}"
        )
        rows = phase.batch_size // devices.replicas
        parts = f" in {training.accumulation} micro-batches" if training.accumulation > 1 else ""
        lines.append(
            f"  global batch {phase.batch_size}: {rows} rows a replica{parts}; "
            f"{flops:.3g} FLOPs a step"
        )
    lines.append(f"compute: {total:.3g} FLOPs; time is known once some steps have run")
    return lines


def _memory_line(needed):
    return (
        f"memory: about {_bytes(needed.total)} at the peak: {_bytes(needed.program)} program, "
        f"{_bytes(needed.state)} weights, gradients and slots, {_bytes(needed.activations)} "
        f"activations, {_bytes(needed.vocabulary)} scores over the vocabulary; "
        f"{_bytes(needed.evaluation)} while evaluating"
    )


def _epochs(phase, data) -> float:
    return phase.steps * phase.batch_size / max(data.examples, 1)


def _number(value) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bytes(count) -> str:
    gigabytes = count / 1e9
    if gigabytes >= 10:
        return f"{gigabytes:,.0f} GB"
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{count / 1e6:.0f} MB"
