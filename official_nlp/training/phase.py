"""A run is a sequence of phases over one global step."""

import dataclasses
import math
from collections.abc import Sequence

from official_nlp.errors import InputError


@dataclasses.dataclass(frozen=True)
class PhaseConfig:
    """What holds for a number of steps, or of times through the data: one of the two is given.

    Attributes:
      steps: number of updates, at least 1; or None where `epochs` says it.
      batch_size: rows of a batch, over all replicas and hosts.
      length: tokens of a row.
      data: data folder, or None for the run's.
      generator_weight: coefficient of the loss term `mlm`; 0 leaves the generator out.
      discriminator_weight: coefficient of the loss term `rtd`; 0 leaves the discriminator out.
      mask_probability: share of the tokens to predict, or None for the run's.
      epochs: times through the phase's examples, which `in_steps` makes steps of.
    """

    steps: int | None
    batch_size: int
    length: int
    data: str | None = None
    generator_weight: float = 1.0
    discriminator_weight: float = 50.0
    mask_probability: float | None = None
    epochs: float | None = None

    def __post_init__(self):
        if (self.steps is None) == (self.epochs is None):
            raise InputError(
                f"a phase is given steps or epochs, one of the two: steps was {self.steps}, epochs "
                f"{self.epochs}"
            )
        for name in ("steps", "batch_size", "length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} of a phase must be at least 1, was {value}")
        if self.epochs is not None and not _positive(self.epochs):
            raise InputError(f"epochs of a phase must be a number above 0, was {self.epochs!r}")
        for name in ("generator_weight", "discriminator_weight"):
            if getattr(self, name) < 0:
                raise InputError(
                    f"{name} of a phase must not be negative, was {getattr(self, name)}"
                )
        if self.generator_weight == 0 and self.discriminator_weight == 0:
            raise InputError(
                "a phase must train something: generator_weight and discriminator_weight are both 0"
            )
        if self.mask_probability is not None and not 0 < self.mask_probability < 1:
            raise InputError(
                f"mask_probability of a phase must lie between 0 and 1, was {self.mask_probability}"
            )

    def in_steps(self, examples: int) -> "PhaseConfig":
        """Returns this phase with a number of steps.

        An epoch that ends within a batch is filled up from the next, so that every example is seen.

        Args:
          examples: of the phase's training data.
        """
        if self.epochs is None:
            return self
        steps = max(1, math.ceil(self.epochs * examples / self.batch_size))
        return dataclasses.replace(self, steps=steps, epochs=None)

    def coefficient(self, term: str) -> float:
        """Returns what a term of the loss is multiplied with in this phase."""
        weights = {"mlm": self.generator_weight, "rtd": self.discriminator_weight}
        return float(weights.get(term, 1.0))


def _positive(value) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < math.inf


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a step lies: the phase's index, the phase, its first and its last step's end."""

    index: int
    phase: PhaseConfig
    start: int
    end: int


def places(phases: Sequence[PhaseConfig]) -> list[Place]:
    """Returns the phases with the global steps at which they start and end."""
    if not phases:
        raise InputError("phases must hold at least one phase, was empty")
    result, start = [], 0
    for index, phase in enumerate(phases):
        if phase.steps is None:
            raise InputError(
                f"phase {index + 1} is given in epochs ({phase.epochs}): make steps of them by "
                "in_steps(number of examples)"
            )
        result.append(Place(index, phase, start, start + phase.steps))
        start += phase.steps
    return result


def phase_at(phases: Sequence[PhaseConfig], step: int) -> Place:
    """Returns the phase that the update after `step` finished updates belongs to.

    A finished run is in its last phase.
    """
    candidates = places(phases)
    return next((place for place in candidates if step < place.end), candidates[-1])


def total_steps(phases: Sequence[PhaseConfig]) -> int:
    """Returns the number of updates of all phases."""
    return places(phases)[-1].end
