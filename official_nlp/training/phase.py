"""A run is a sequence of phases over one global step."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.ranges import ByName, Integer, Number, OrNone, Path

_RANGES = {
    "steps": OrNone(Integer(1, ranges.MOST_STEPS)),
    "batch_size": Integer(1, 1_000_000),
    "length": Integer(1, 1_000_000),
    "data": OrNone(Path()),
    "loss_weights": ByName(Number(0, 1e6)),
    "epochs": OrNone(Number(1e-9, 1e9)),
}


@dataclasses.dataclass(frozen=True)
class PhaseConfig:
    """Settings that hold for a number of steps or of epochs; give exactly one of the two.

    Attributes:
      steps: number of updates, at least 1; None where `epochs` is given.
      batch_size: examples of a batch, over all replicas and hosts.
      length: tokens of an example, padding included; 1 where examples are no sequences. Where
        batches have several lengths, it is the largest.
      data: data folder of this phase; None for that of the run.
      loss_weights: weights of loss terms by name, which replace those of the task. A term of
        weight 0 is not computed.
      epochs: passes over the phase's examples; `in_steps` converts them to steps.
    """

    steps: int | None
    batch_size: int
    length: int = 1
    data: str | None = None
    loss_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    epochs: float | None = None

    def __post_init__(self):
        if (self.steps is None) == (self.epochs is None):
            raise InputError(
                f"a phase needs either steps or epochs: steps was {self.steps}, epochs was "
                f"{self.epochs}"
            )
        ranges.check(self, _RANGES)

    def in_steps(self, examples: int) -> "PhaseConfig":
        """Return this phase with a number of steps.

        An epoch that ends within a batch is completed by examples of the next one, so that every
        example is seen.

        Args:
          examples: number of training examples of the phase.
        """
        if self.epochs is None:
            return self
        steps = max(1, math.ceil(self.epochs * examples / self.batch_size))
        if steps > ranges.MOST_STEPS:
            raise InputError(
                f"epochs of a phase must result in at most {ranges.MOST_STEPS:,} steps, was "
                f"{self.epochs:g}, which are {steps:,} steps of {examples:,} examples: use fewer"
            )
        return dataclasses.replace(self, steps=steps, epochs=None)

    def with_loss_weights(self, defaults: Mapping[str, float]) -> "PhaseConfig":
        """Return this phase with the weights of all terms.

        Args:
          defaults: weights of the task by term; this phase's replace them.

        Raises:
          InputError: this phase names a term that the task does not have, or trains none.
        """
        unknown = [name for name in self.loss_weights if defaults and name not in defaults]
        if unknown:
            raise InputError(
                f"loss_weights of a phase must name terms among {', '.join(defaults)}, had "
                f"{', '.join(unknown)}"
            )
        weights = {**defaults, **self.loss_weights}
        if weights and not any(weights.values()):
            raise InputError(
                f"a phase must train something: the loss weights of {', '.join(weights)} are all 0"
            )
        return dataclasses.replace(self, loss_weights=weights)

    def trains(self, term: str) -> bool:
        """Return whether a loss term has a weight above 0 in this phase."""
        return self.loss_weights.get(term, 1.0) != 0


@dataclasses.dataclass(frozen=True)
class Stage:
    """A phase within a run.

    Attributes:
      index: number of the phase, from 0.
      phase: the phase.
      start: finished global steps when the phase begins.
      end: finished global steps when it ends.
    """

    index: int
    phase: PhaseConfig
    start: int
    end: int


def stages(phases: Sequence[PhaseConfig]) -> list[Stage]:
    """Return the phases with the global steps at which they start and end.

    Raises:
      InputError: there is no phase, or one is in epochs.
    """
    if not phases:
        raise InputError("phases must hold at least one phase, was empty")
    result: list[Stage] = []
    start = 0
    for index, phase in enumerate(phases):
        if phase.steps is None:
            raise InputError(
                f"phase {index + 1} is given in epochs ({phase.epochs}): convert them with "
                "in_steps(number of examples)"
            )
        result.append(Stage(index, phase, start, start + phase.steps))
        start += phase.steps
    return result


def stage_at(phases: Sequence[PhaseConfig], step: int) -> Stage:
    """Return the stage of the update that follows `step` finished updates.

    A finished run is in its last stage.
    """
    candidates = stages(phases)
    return next((stage for stage in candidates if step < stage.end), candidates[-1])


def total_steps(phases: Sequence[PhaseConfig]) -> int:
    """Return the number of updates of all phases."""
    return stages(phases)[-1].end
