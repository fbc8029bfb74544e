"""All settings of a training run."""

import dataclasses
from collections.abc import Mapping

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.ranges import ByName, Flag, Instance, ListOf, Number, OrNone, Path, Text
from official_nlp.training.config import TrainingConfig
from official_nlp.training.phase import PhaseConfig
from official_nlp.training.task import TaskConfig

_RANGES = {
    "task": Instance(TaskConfig),
    "phases": ListOf(Instance(PhaseConfig), least=1),
    "data": Path(),
    "model_dir": Path(),
    "training": Instance(TrainingConfig),
    "epochs": OrNone(Number(1e-9, 1e9)),
    "hours": OrNone(Number(1e-6, 1e6)),
    "original": Flag(),
    "extend": Flag(),
    "init": ByName(OrNone(Path())),
    "init_shared": OrNone(Text()),
}


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of `electra train`. A recipe binds these fields.

    Attributes:
      task: the objective.
      phases: phases of training, in order.
      training: settings of the loop and of the optimizer.
      data: path of the data folder or file.
      model_dir: the run folder. A run that exists there is continued.
      epochs: number of passes over the data, which replaces the steps of the only phase.
      hours: duration of the run, about. The speed is measured before the first step, and the
        steps of the phases become as many as fit, in their proportion; a warm-up in steps becomes
        shorter with them. A run that is continued retains its steps.
      original: reproduce every quirk of google-research/electra, `ReferenceQuirks.original()`,
        whatever `training` says.
      extend: allow the last phase more steps than when the run began.
      init: sources of pretrained weights by network of the task; those that are None start from
        random values. Any format that `electra convert` reads. Optimizer and step start anew.
      init_shared: the network whose weights win where two networks share variables and their
        sources differ; None raises an error.
    """

    task: TaskConfig
    phases: tuple[PhaseConfig, ...]
    data: str
    model_dir: str
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    epochs: float | None = None
    hours: float | None = None
    original: bool = False
    extend: bool = False
    init: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    init_shared: str | None = None

    def __post_init__(self):
        ranges.check(self, _RANGES)
        if self.hours is None:
            return
        if self.epochs is not None:
            raise InputError(
                f"give epochs or hours, not both: they were {self.epochs:g} and {self.hours:g}"
            )
        if self.extend:
            raise InputError(
                f"extend needs a number of steps, but hours was {self.hours:g}: give HOURS=None "
                "and the steps"
            )
