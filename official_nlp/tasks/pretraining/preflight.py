"""Checks of a pre-training run before its first step, and estimates of what it costs.

Pure functions: sizes and counts in, text out. Checks that hold for every objective are in
`training.preflight`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from official_nlp.tasks.pretraining import checks, cost
from official_nlp.tasks.pretraining_data import PretrainingData
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig
from official_nlp.training.phase import Stage, stages
from official_nlp.training.task import DataByPath

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.pretraining.config import PretrainingConfig

# Paper, section 3.2: generators of a quarter to half of the discriminator's width work best.
WIDEST_GENERATOR = 0.5


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
    warnings = [
        *checks.vocabulary_warnings(config.discriminator.vocab_size, own),
        *_size_warnings(config, training),
    ]
    for stage in stages(phases):
        found = data[stage.phase.data]
        assert isinstance(found, PretrainingData)
        errors += checks.length_errors(stage, config.longest_row, found)
        errors += checks.prediction_errors(stage, cost.predictions(config, stage))
        warnings += _stage_warnings(stage, config, found)
    if len(config.phase_mask_probabilities) > len(phases):
        errors.append(
            f"phase_mask_probabilities must have at most {len(phases)} entries, one for each "
            f"phase, had {len(config.phase_mask_probabilities)}"
        )
    batch = config.evaluation_batch_size
    errors += checks.evaluation_errors(batch, training, own, devices)
    warnings += checks.evaluation_warnings(own)
    lines = _lines(config, phases, own)
    if not errors and all(phase.batch_size >= devices.replicas for phase in phases):
        needed = cost.memory(config, phases, training, devices.replicas)
        memory = checks.memory_findings(needed, devices)
        errors += memory.errors
        warnings += memory.warnings
        lines += memory.lines
    size = cost.checkpoint_bytes(cost.parameters(config).joint)
    return Findings(tuple(errors), tuple(warnings), tuple(lines), size)


# === Warnings ===


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
    yield from checks.rate_warnings(discriminator, training)


def _stage_warnings(stage: Stage, config, data) -> Iterator[str]:
    number, phase = stage.index + 1, stage.phase
    if phase.trains("mlm"):
        yield from checks.prediction_warnings(number, phase, cost.predictions(config, stage))
    yield from checks.phase_warnings(number, phase, data)


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
