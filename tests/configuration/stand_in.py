"""Configuration classes for tests of the resolver, which knows none of the package's own."""

import dataclasses

from official_nlp.errors import InputError


@dataclasses.dataclass(frozen=True)
class Phase:
    steps: int
    weights: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Sizes:
    width: int = 64

    def __post_init__(self):
        if self.width < 1:
            raise InputError(f"width must be positive, was {self.width}")


@dataclasses.dataclass(frozen=True)
class Run:
    model_dir: str
    data: str
    phases: tuple = ()
    sizes: Sizes | None = None
    rate: float | None = None
    extend: bool = False
    seed: int = 0
    init: dict = dataclasses.field(default_factory=dict)
