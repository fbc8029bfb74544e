"""Checks of a pre-training run before its first step, and estimates of what it costs.

Pure functions: sizes and counts in, text out. Checks that hold for every objective are in
`training.preflight`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from official_nlp.data.pretraining.examples import unknown_tokens_warning
from official_nlp.tasks.pretraining import cost
from official_nlp.tasks.pretraining.data import PretrainingData
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig
from official_nlp.training.phase import Stage, stages
from official_nlp.training.preflight import passes, readable, readable_bytes
from official_nlp.training.task import DataByPath

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.pretraining.config import PretrainingConfig

# Paper, section 3.2: generators of a quarter to half of the discriminator's width work best.
WIDEST_GENERATOR = 0.5
# The generator learns from the predicted tokens alone. `demo` has this many per step, and no recipe
# here fewer.
FEWEST_PREDICTIONS = 256
# Number of passes of BERT over its data, and more than of any model of the paper.
MOST_PASSES = 40
# The paper's rate for networks wider than ELECTRA-Small; at twice this rate they may diverge.
WIDE, RATE_OF_WIDE = 512, 2e-4
# Fraction of padding above which shorter sequences would train faster. Examples of whole documents
# of different lengths have a little.
MOST_PADDING = 0.3
# The estimate of the memory is within 25 %; with swap space a run may need a little more than there
# is. Above this multiple of the machine's memory it would only be killed, or swap without end.
MOST_MEMORY = 2
# Fractions of the word table beyond which the vocabulary is probably the wrong one.
UNUSED_ROWS, SMALLEST_LARGEST_ID = 0.05, 0.5


def check(
    config: "PretrainingConfig",
    data: DataByPath,
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    devices: Devices,
) -> Findings:
    """Check a run.

    Args:
      config: the configuration; sizes of the word table are filled in from the data.
      data: opened `PretrainingData` by the path of a phase; that of the run under None.
      phases: phases in steps, with all loss weights.
      training: settings of loop and optimizer.
      devices: where the run runs.
    """
    own = data[None]
    assert isinstance(own, PretrainingData)
    config = config.for_vocabulary(own.folder.tokenizer.vocab_size)
    errors: list[str] = []
    warnings = [*_vocabulary_warnings(config, own), *_size_warnings(config, training)]
    for stage in stages(phases):
        errors += _stage_errors(stage, config, data[stage.phase.data])
        warnings += _stage_warnings(stage, config, data[stage.phase.data])
    if len(config.phase_mask_probabilities) > len(phases):
        errors.append(
            f"phase_mask_probabilities must have at most {len(phases)} entries, one for each "
            f"phase, had {len(config.phase_mask_probabilities)}"
        )
    batch = config.evaluation_batch_size
    if training.evaluation_interval != 0 and own.folder.count("held_out"):
        if batch % devices.replicas:
            errors.append(
                f"evaluation_batch_size must be a multiple of {devices.replicas} replicas, was "
                f"{batch}"
            )
    if not own.folder.count("held_out"):
        warnings.append(
            "no held-out examples: nothing is evaluated during training; build the data with "
            "--held-out 1%"
        )
    lines = _lines(config, phases, own)
    if not errors and all(phase.batch_size >= devices.replicas for phase in phases):
        needed = cost.memory(config, phases, training, devices.replicas)
        lines.append(_memory_line(needed))
        if devices.memory and needed.total > devices.memory:
            found = errors if needed.total > MOST_MEMORY * devices.memory else warnings
            found.append(
                f"the run needs about {readable_bytes(needed.total)} of memory, this machine has "
                f"{readable_bytes(devices.memory)}: use a smaller BATCH_SIZE, or a larger "
                "ACCUMULATION"
            )
    size = cost.checkpoint_bytes(config)
    return Findings(tuple(errors), tuple(warnings), tuple(lines), size)


# === Errors ===


def _stage_errors(stage: Stage, config, data) -> Iterator[str]:
    number, length = stage.index + 1, stage.phase.length
    if length > config.longest_row:
        yield (
            f"length of phase {number} must be at most max_position_embeddings="
            f"{config.longest_row}, was {length}"
        )
    longest = data.folder.index.longest_row
    if longest > length:
        yield (
            f"length of phase {number} must be at least {longest}, the longest example of its "
            f"data, was {length}; build examples with --length {length}"
        )
    slots = cost.predictions(config, stage)
    if slots > length - 2:
        yield (
            f"predictions per example of phase {number} must be at most {length - 2}, its tokens "
            f"without [CLS] and [SEP], were {slots}; use a lower mask probability"
        )


# === Warnings ===


def _vocabulary_warnings(config, data) -> Iterator[str]:
    tokens = data.folder.tokenizer.vocab_size
    largest = data.folder.index.largest_id
    unused = config.vocab_size - tokens
    unknown = data.folder.index.settings.get("unknown_fraction")
    if isinstance(unknown, float):
        warning = unknown_tokens_warning(unknown, data.folder.tokenizer)
        if warning:
            yield warning
    if unused > UNUSED_ROWS * config.vocab_size:
        yield (
            f"the word table has {config.vocab_size:,} rows for a vocabulary of {tokens:,}: "
            f"{unused:,} of them are never trained"
        )
    if largest < SMALLEST_LARGEST_ID * tokens:
        yield (
            f"the largest id in the data is {largest:,} of a vocabulary of {tokens:,}: were the "
            "examples built with another vocabulary?"
        )


def _size_warnings(config, training) -> Iterator[str]:
    generator, discriminator = config.generator.hidden_size, config.discriminator.hidden_size
    ratio = generator / discriminator
    if config.sharing != "whole" and ratio > WIDEST_GENERATOR:
        released = ", though ELECTRA-Small++ was released with 1" if ratio == 1 else ""
        yield (
            f"the generator is {ratio:.2g} times as wide as the discriminator; a quarter to half "
            "works best (paper, section 3.2): a stronger generator leaves the discriminator too "
            f"little to find{released}"
        )
    if discriminator > WIDE and training.learning_rate > 2 * RATE_OF_WIDE:
        yield (
            f"the learning rate of {training.learning_rate:g} is high for a width of "
            f"{discriminator}: the paper uses {RATE_OF_WIDE:g}, and wide networks diverge at "
            "higher rates"
        )


def _stage_warnings(stage: Stage, config, data) -> Iterator[str]:
    number, phase = stage.index + 1, stage.phase
    predicted = phase.batch_size * cost.predictions(config, stage)
    if phase.trains("mlm") and predicted < FEWEST_PREDICTIONS:
        yield (
            f"a step of phase {number} predicts only {predicted} tokens, which is all that the "
            f"generator learns from. With fewer than {FEWEST_PREDICTIONS}, no run is known to "
            "learn more than word frequencies: use a larger BATCH_SIZE"
        )
    yield from _padding_warnings(number, phase, data)
    count = passes(phase, data.examples)
    if count > MOST_PASSES:
        yield (
            f"phase {number} passes {readable(count)} times over {data.examples:,} examples; "
            f"beyond {MOST_PASSES} passes the model memorizes them: use more text or fewer steps"
        )


def _padding_warnings(number, phase, data) -> Iterator[str]:
    tokens = data.folder.unigram_counts().sum() / max(data.examples, 1)
    padding = 1 - tokens / phase.length
    if padding <= MOST_PADDING or not tokens:
        return
    longest = data.folder.index.longest_row
    advice = f"use LENGTH={longest}, or build examples with --length {phase.length}"
    if longest >= phase.length:
        advice = "its documents are short: build examples with a smaller --length"
    yield (
        f"{padding:.0%} of each batch of phase {number} is padding: examples have {tokens:.0f} "
        f"tokens on average and {longest} at most, sequences {phase.length}; {advice}"
    )


# === Lines ===


def _lines(config, phases, data) -> list[str]:
    parameters = cost.parameters(config)
    lines = [
        f"model: {parameters.joint:,} trainable parameters, sharing {config.sharing}: generator "
        f"{parameters.generator:,}, discriminator {parameters.discriminator:,}",
        f"vocabulary: {data.folder.tokenizer.vocab_size:,} tokens, word table of "
        f"{config.vocab_size:,} rows, largest id in the data {data.folder.index.largest_id:,}",
    ]
    total = 0
    for stage in stages(phases):
        flops = cost.step_flops(config, stage)
        total += flops * (stage.end - stage.start)
        lines.append(
            f"phase {stage.index + 1}: {cost.predictions(config, stage)} predictions per example; "
            f"{flops:.3g} FLOPs per step"
        )
    lines.append(f"compute: {total:.3g} FLOPs; the time is known after the first steps")
    return lines


def _memory_line(needed: cost.Memory) -> str:
    return (
        f"memory: about {readable_bytes(needed.total)} at the peak: "
        f"{readable_bytes(needed.program)} program, "
        f"{readable_bytes(needed.state)} weights, gradients and slots, "
        f"{readable_bytes(needed.activations)} activations, "
        f"{readable_bytes(needed.vocabulary)} scores over the vocabulary; "
        f"{readable_bytes(needed.evaluation)} during evaluation"
    )
