"""Checks of the training of a language model before its first step, and estimates of its cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from official_nlp.tasks.language_modeling.task import (
    MASKED,
    CausalLanguageModel,
    MaskedLanguageModel,
)
from official_nlp.tasks.pretraining import checks, cost
from official_nlp.tasks.pretraining_data import PretrainingData
from official_nlp.training import Devices, Findings, PhaseConfig, TrainingConfig
from official_nlp.training.phase import stages
from official_nlp.training.task import DataByPath

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.language_modeling.config import LanguageModelConfig


def check(
    config: "LanguageModelConfig",
    data: DataByPath,
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    devices: Devices,
) -> Findings:
    """Check a run.

    Args:
      config: the configuration, with a network.
      data: opened `PretrainingData` by the path of a phase; that of the run under None.
      phases: phases in steps.
      training: settings of loop and optimizer.
      devices: where the run runs.
    """
    own = data[None]
    assert isinstance(own, PretrainingData)
    network = config.for_tokenizer(own.folder.tokenizer).require_network()
    masked = config.objective == MASKED
    kind = MaskedLanguageModel if masked else CausalLanguageModel
    parameters = cost.language_model_parameters(network)
    errors: list[str] = []
    warnings = [
        *checks.vocabulary_warnings(network.vocab_size, own),
        *checks.rate_warnings(network.hidden_size, training),
        *checks.evaluation_warnings(own),
    ]
    lines = [
        f"model: {parameters:,} trainable parameters; vocabulary of "
        f"{own.folder.tokenizer.vocab_size:,} tokens, word table of {network.vocab_size:,} rows"
    ]
    networks, total = [], 0
    for stage in stages(phases):
        phase, number = stage.phase, stage.index + 1
        found = data[phase.data]
        assert isinstance(found, PretrainingData)
        scored = kind.scored_positions(phase.length, config.masking)
        errors += checks.length_errors(stage, network.max_position_embeddings, found)
        if masked:
            errors += checks.prediction_errors(stage, scored)
            warnings += checks.prediction_warnings(number, phase, scored)
        warnings += checks.phase_warnings(number, phase, found)
        forward = cost.language_model_flops(network, phase.length, scored)
        flops = cost.training_flops(forward, phase.batch_size)
        networks.append([cost.TrainedNetwork(network, scored)])
        total += flops * (stage.end - stage.start)
        lines.append(
            f"phase {number}: {scored} predictions per example; {flops:.3g} FLOPs per step"
        )
    lines.append(f"compute: {total:.3g} FLOPs; the time is known after the first steps")
    batch = config.evaluation_batch_size
    errors += checks.evaluation_errors(batch, training, own, devices)
    if not errors and all(phase.batch_size >= devices.replicas for phase in phases):
        longest = max(phase.length for phase in phases)
        scores = batch * kind.scored_positions(longest, config.masking) * network.vocab_size
        needed = cost.memory_of(phases, networks, parameters, scores, training, devices.replicas)
        memory = checks.memory_findings(needed, devices)
        errors += memory.errors
        warnings += memory.warnings
        lines += memory.lines
    size = cost.checkpoint_bytes(parameters)
    return Findings(tuple(errors), tuple(warnings), tuple(lines), size)
