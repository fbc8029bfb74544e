"""Stands in for `official_nlp.cli.runs` in tests of the command: remembers calls."""

import dataclasses

from official_nlp.errors import InputError

calls = []
failure = None


@dataclasses.dataclass(frozen=True)
class Phase:
    steps: int
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Sizes:
    width: int = 64

    def __post_init__(self):
        if self.width < 1:
            raise InputError(f"width must be positive, was {self.width}")


def train(
    *,
    model_dir,
    data=None,
    phases=(),
    sizes=None,
    rate=None,
    extend=False,
    seed=0,
    dry_run,
    configuration_text,
):
    _remember("train", locals())


def evaluate(*, model_dir, limit, dry_run, configuration_text):
    _remember("evaluate", locals())


def vocab(**given):
    _remember("vocab", given)


def examples(**given):
    _remember("examples", given)


def info(**given):
    _remember("info", given)


def predict(**given):
    _remember("predict", given)


def convert(**given):
    _remember("convert", given)


def _remember(verb, given):
    calls.append((verb, given))
    if failure is not None:
        raise failure
