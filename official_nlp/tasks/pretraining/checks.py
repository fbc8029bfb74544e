"""Checks that the objectives on data folders share: pre-training and language models.

Pure functions: sizes and counts in, text out.
"""

from collections.abc import Iterator
from typing import NamedTuple

from official_nlp.data.pretraining.examples import unknown_tokens_warning
from official_nlp.tasks.pretraining import cost
from official_nlp.tasks.pretraining_data import PretrainingData
from official_nlp.training import Devices, PhaseConfig, TrainingConfig
from official_nlp.training.phase import Stage
from official_nlp.training.preflight import passes, readable, readable_bytes

# A network learns from the predicted tokens alone. `demo` has this many per step, and no recipe
# here fewer.
FEWEST_PREDICTIONS = 256
# The paper's rate for networks wider than ELECTRA-Small; at twice this rate they may diverge.
WIDE, RATE_OF_WIDE = 512, 2e-4
# Number of passes of BERT over its data, and more than of any model of the paper.
MOST_PASSES = 40
# Fraction of padding above which shorter sequences would train faster. Examples of whole documents
# of different lengths have a little.
MOST_PADDING = 0.3
# The estimate of the memory is within 25 %; with swap space a run may need a little more than there
# is. Above this multiple of the machine's memory it would only be killed, or swap without end.
MOST_MEMORY = 2
# Fractions of the word table beyond which the vocabulary is probably the wrong one.
UNUSED_ROWS, SMALLEST_LARGEST_ID = 0.05, 0.5


# === Errors ===


def length_errors(stage: Stage, positions: int, data: PretrainingData) -> Iterator[str]:
    """Compare the length of a phase with the positions of the network and with its data."""
    number, length = stage.index + 1, stage.phase.length
    if length > positions:
        yield (
            f"length of phase {number} must be at most max_position_embeddings={positions}, was "
            f"{length}"
        )
    longest = data.folder.index.longest_row
    if longest > length:
        yield (
            f"length of phase {number} must be at least {longest}, the longest example of its "
            f"data, was {length}; build examples with --length {length}"
        )


def prediction_errors(stage: Stage, slots: int) -> Iterator[str]:
    """Compare the predictions per example of a phase with its tokens."""
    number, length = stage.index + 1, stage.phase.length
    if slots > length - 2:
        yield (
            f"predictions per example of phase {number} must be at most {length - 2}, its tokens "
            f"without [CLS] and [SEP], were {slots}; use a lower mask probability"
        )


def evaluation_errors(
    batch_size: int, training: TrainingConfig, data: PretrainingData, devices: Devices
) -> Iterator[str]:
    """Compare the batches of the evaluation, if there is one, with the replicas."""
    is_evaluated = training.evaluation_interval != 0 and data.folder.count("held_out")
    if is_evaluated and batch_size % devices.replicas:
        yield (
            f"evaluation_batch_size must be a multiple of {devices.replicas} replicas, was "
            f"{batch_size}"
        )


# === Warnings ===


def vocabulary_warnings(rows: int, data: PretrainingData) -> Iterator[str]:
    """Compare the rows of the word table with the vocabulary and the tokens of the data."""
    tokens = data.folder.tokenizer.vocab_size
    largest = data.folder.index.largest_id
    unused = rows - tokens
    unknown = data.folder.index.settings.get("unknown_fraction")
    if isinstance(unknown, float):
        warning = unknown_tokens_warning(unknown, data.folder.tokenizer)
        if warning:
            yield warning
    if unused > UNUSED_ROWS * rows:
        yield (
            f"the word table has {rows:,} rows for a vocabulary of {tokens:,}: {unused:,} of them "
            "are never trained"
        )
    if largest < SMALLEST_LARGEST_ID * tokens:
        yield (
            f"the largest id in the data is {largest:,} of a vocabulary of {tokens:,}: were the "
            "examples built with another vocabulary?"
        )


def rate_warnings(width: int, training: TrainingConfig) -> Iterator[str]:
    """Compare the learning rate with the width of the network."""
    if width > WIDE and training.learning_rate > 2 * RATE_OF_WIDE:
        yield (
            f"the learning rate of {training.learning_rate:g} is high for a width of {width}: the "
            f"paper uses {RATE_OF_WIDE:g}, and wide networks diverge at higher rates"
        )


def prediction_warnings(number: int, phase: PhaseConfig, slots: int) -> Iterator[str]:
    """Compare the masked tokens of a step with what networks are known to learn from."""
    predicted = phase.batch_size * slots
    if predicted < FEWEST_PREDICTIONS:
        yield (
            f"a step of phase {number} predicts only {predicted} tokens, which is all that the "
            f"generator learns from. With fewer than {FEWEST_PREDICTIONS}, no run is known to "
            "learn more than word frequencies: use a larger BATCH_SIZE"
        )


def evaluation_warnings(data: PretrainingData) -> Iterator[str]:
    """Warn of data without an evaluation set."""
    if not data.folder.count("held_out"):
        yield (
            "no held-out examples: nothing is evaluated during training; build the data with "
            "--held-out 1%"
        )


def phase_warnings(number: int, phase: PhaseConfig, data: PretrainingData) -> Iterator[str]:
    """Return warnings on much padding, and on many passes over the data."""
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


# === Memory ===


class MemoryFindings(NamedTuple):
    """What an estimate of the memory results in: lines, warnings and errors."""

    errors: list[str]
    warnings: list[str]
    lines: list[str]


def memory_findings(needed: cost.Memory, devices: Devices) -> MemoryFindings:
    """Compare an estimate of the memory with that of the machine."""
    found = MemoryFindings([], [], [_memory_line(needed)])
    if devices.memory and needed.total > devices.memory:
        too_much = needed.total > MOST_MEMORY * devices.memory
        (found.errors if too_much else found.warnings).append(
            f"the run needs about {readable_bytes(needed.total)} of memory, this machine has "
            f"{readable_bytes(devices.memory)}: use a smaller BATCH_SIZE, or a larger ACCUMULATION"
        )
    return found


def _memory_line(needed: cost.Memory) -> str:
    return (
        f"memory: about {readable_bytes(needed.total)} at the peak: "
        f"{readable_bytes(needed.program)} program, "
        f"{readable_bytes(needed.state)} weights, gradients and slots, "
        f"{readable_bytes(needed.activations)} activations, "
        f"{readable_bytes(needed.vocabulary)} scores over the vocabulary; "
        f"{readable_bytes(needed.evaluation)} during evaluation"
    )
