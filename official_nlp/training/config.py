"""Settings of the loop and of the optimizer, which hold for every objective."""

import dataclasses
import math
from typing import Any

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.ranges import Choice, Flag, Instance, Integer, Number, OrNone, Text
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.training import best, distribution, precision
from official_nlp.training.phase import PhaseConfig

# What may change when a run is resumed, by field:
#   fixed     must be equal, else the run is refused: it would be another run
#   rounding  may change; the change is reported, as results then agree only to rounding
#   free      may change; no variable depends on it
#   ignored   not compared: it names a location, whose content is compared instead, or determines
#             other fields, which are compared
FIXED, ROUNDING, FREE, IGNORED = "fixed", "rounding", "free", "ignored"
TRAINING_FIELDS = {
    "learning_rate": FIXED,
    "warmup_steps": FIXED,
    "warmup_fraction": IGNORED,  # The resulting steps are compared.
    "decay_power": FIXED,
    "weight_decay": FIXED,
    "beta_1": FIXED,
    "beta_2": FIXED,
    "epsilon": FIXED,
    "clip": FIXED,
    "steps_per_loop": FREE,
    "log_interval": FREE,
    "summary_interval": FREE,
    "checkpoint_interval": FREE,
    "evaluation_interval": FREE,
    "evaluations": FREE,
    "keep": FREE,
    "keep_every": FREE,
    "keep_best": FREE,
    "patience": FREE,
    "corrupt_records": FREE,
    "strategy": ROUNDING,
    "seed": FIXED,
    "jit_compile": ROUNDING,
    "policy": FIXED,
    "accumulation": ROUNDING,
    "recompute": ROUNDING,
    "reference_quirks": FIXED,
}
PHASE_FIELDS = {
    "steps": FIXED,  # Those of the last phase may grow when the run is extended.
    "batch_size": FIXED,
    "length": FIXED,
    "data": IGNORED,
    "loss_weights": FIXED,
    "epochs": IGNORED,  # The resulting steps are compared.
}
# Policies for a corrupt record of the data.
CORRUPT_RECORDS = ("stop", "skip")
# That of the paper, for all sizes.
_WARMUP_STEPS = 10_000
# A loop of more steps would save little, and a request to stop is answered at its end only.
_LONGEST_LOOP = 100
_STEPS = Integer(1, ranges.MOST_STEPS)
# Numbers below the least are 0 in float32, or change no weight.
_RANGES = {
    "learning_rate": Number(1e-12, 100),
    "warmup_steps": OrNone(Integer(0, ranges.MOST_STEPS)),
    "warmup_fraction": OrNone(Number(0, 1)),
    "decay_power": Number(0, 100),
    "weight_decay": Number(0, 100),
    "beta_1": Number(0, 1, below=True),
    "beta_2": Number(0, 1, below=True),
    "epsilon": Number(1e-30, 1),
    "clip": OrNone(Number(1e-12, 1e12)),
    "steps_per_loop": _STEPS,
    "log_interval": OrNone(_STEPS),
    "summary_interval": OrNone(_STEPS),
    "checkpoint_interval": OrNone(_STEPS),
    "evaluation_interval": OrNone(Integer(0, ranges.MOST_STEPS)),
    "evaluations": OrNone(_STEPS),
    "keep": Integer(1, 1_000_000),
    "keep_every": OrNone(_STEPS),
    "keep_best": OrNone(Text()),
    "patience": OrNone(Integer(1, 1_000_000)),
    "corrupt_records": Choice(CORRUPT_RECORDS),
    "strategy": Choice(tuple(distribution.STRATEGIES)),
    "seed": Integer(0, ranges.LARGEST_SEED),
    "jit_compile": Flag(),
    "policy": Choice(precision.POLICIES),
    "accumulation": Integer(1, 1_000_000),
    "recompute": Flag(),
    "reference_quirks": Instance(ReferenceQuirks),
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Settings of the loop and of the optimizer. The defaults are those of ELECTRA-Small.

    Steps are counted over all phases. Every interval is a multiple of `steps_per_loop`. Warm-up and
    intervals can also depend on the number of all steps, which may be known only when the data is:
    `for_steps` resolves them.

    Attributes:
      learning_rate: peak learning rate of the schedule.
      warmup_steps: steps of linear warm-up; None for `warmup_fraction`, or without it for 10,000,
        as in the paper.
      warmup_fraction: fraction of all steps that are warm-up, in place of `warmup_steps`.
      decay_power: exponent of the decay to 0 at the last step of the last phase.
      weight_decay: rate of the decoupled weight decay.
      beta_1: decay rate of the mean of gradients.
      beta_2: decay rate of the mean of squared gradients.
      epsilon: added to the root of the second moment.
      clip: maximum global norm of the gradients; None for no clipping.
      steps_per_loop: steps that run on the device without returning to Python.
      log_interval: steps of a metric window, one line of metrics.jsonl; None for one loop.
      summary_interval: steps between TensorBoard summaries, a multiple of the window; None for
        every window.
      checkpoint_interval: steps between checkpoints, a multiple of the window; None for one at
        the end only.
      evaluation_interval: steps between evaluations; None for one at the end only, 0 for none.
      keep: number of the latest checkpoints to retain. With 2 or more there is another one where
        the newest is damaged.
      keep_every: steps between checkpoints that are retained forever, a multiple of
        `checkpoint_interval`; None for none.
      keep_best: evaluation metric whose best checkpoint is retained, such as `rtd_auc`; see
        `best.parse`.
      patience: number of evaluations after which training ends if the metric of `keep_best` did
        not improve in them; None for never. Each evaluation then needs a checkpoint.
      corrupt_records: policy for corrupt records of the data: `stop` ends the run, `skip` leaves
        the example of the batch empty, without weight, and counts it.
      strategy: see `distribution.STRATEGIES`.
      seed: seed of initial values, example order, masks, dropout and sampling.
      jit_compile: compile forward and backward pass with XLA.
      policy: number format of the layers, see `precision.POLICIES`.
      accumulation: number of micro-batches into which a replica's examples of a step are divided.
        One at a time is in memory; the update is the same.
      recompute: compute activations again in the backward pass instead of storing them.
      reference_quirks: deviations of the reference implementation to reproduce.
    """

    learning_rate: float = 5e-4
    warmup_steps: int | None = None
    warmup_fraction: float | None = None
    decay_power: float = 1.0
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip: float | None = 1.0
    steps_per_loop: int = 100
    log_interval: int | None = None
    summary_interval: int | None = None
    checkpoint_interval: int | None = 10_000
    evaluation_interval: int | None = 10_000
    evaluations: int | None = None
    keep: int = 3
    keep_every: int | None = None
    keep_best: str | None = None
    patience: int | None = None
    corrupt_records: str = "stop"
    strategy: str = "one_device"
    seed: int = 0
    jit_compile: bool = False
    policy: str = "float32"
    accumulation: int = 1
    recompute: bool = False
    reference_quirks: ReferenceQuirks = dataclasses.field(default_factory=ReferenceQuirks)

    def __post_init__(self):
        ranges.check(self, _RANGES)
        if self.warmup_steps is not None and self.warmup_fraction is not None:
            raise InputError(
                f"give warmup_steps or warmup_fraction, not both: they were {self.warmup_steps} "
                f"and {self.warmup_fraction}"
            )
        self._check_intervals()
        if self.keep_best is not None:
            best.parse(self.keep_best)
            if self.evaluation_interval == 0:
                raise InputError(
                    "keep_best needs evaluation metrics: evaluation_interval must not be 0, or "
                    "keep_best must be None"
                )
        elif self.patience is not None:
            raise InputError(
                f"patience={self.patience} needs keep_best, the metric that shall improve"
            )

    def _check_intervals(self) -> None:
        if self.evaluations is not None:
            for name in ("log_interval", "summary_interval", "keep_every"):
                if getattr(self, name) is not None:
                    raise InputError(
                        f"{name} must be None where evaluations={self.evaluations} determines the "
                        f"intervals, was {getattr(self, name)}"
                    )
            return
        self._require_multiple("log_interval", "steps_per_loop")
        self._require_multiple("summary_interval", "window")
        self._require_multiple("checkpoint_interval", "window")
        if self.evaluation_interval != 0:
            self._require_multiple("evaluation_interval", "steps_per_loop")
        self._require_multiple("keep_every", "checkpoint_interval")
        if self.patience is not None:
            # Training may end after any evaluation, and ends at a checkpoint.
            self._require_multiple("evaluation_interval", "checkpoint_interval")

    def for_steps(self, total: int) -> "TrainingConfig":
        """Return these settings with a warm-up and with intervals in steps.

        Args:
          total: steps of all phases with which the run began. A run that is extended retains its
            warm-up, which belongs to its identity, and its intervals, so that its checkpoints
            remain candidates for the best.
        """
        changes: dict[str, int | None] = {}
        if self.warmup_steps is None:
            steps = _WARMUP_STEPS
            if self.warmup_fraction is not None:
                steps = int(self.warmup_fraction * total)
            changes.update(warmup_steps=steps, warmup_fraction=None)
        if self.evaluations is not None:
            # Rounded up: an interval that is a little shorter would add an evaluation right before
            # the one at the end.
            interval = math.ceil(total / self.evaluations)
            loops = math.ceil(interval / _LONGEST_LOOP)
            loop = math.ceil(interval / loops)
            interval = loops * loop
            changes.update(
                steps_per_loop=loop,
                checkpoint_interval=interval,
                evaluation_interval=interval,
                evaluations=None,
            )
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    @property
    def window(self) -> int:
        """Steps of a metric window."""
        return self.log_interval or self.steps_per_loop

    def of_kind(self, *kinds: str) -> dict[str, Any]:
        """Return the fields of some kinds, see `TRAINING_FIELDS`."""
        return _of_kind(self, TRAINING_FIELDS, kinds)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Return the configuration of fields as `of_kind` returns them, the others by default."""
        quirks = ReferenceQuirks(**values.get("reference_quirks", {}))
        return cls(**{**values, "reference_quirks": quirks})

    def _require_multiple(self, name: str, of: str) -> None:
        value, unit = getattr(self, name), getattr(self, of)
        if value is None:
            return
        if unit is None:
            raise InputError(f"{name} must be None where {of} is, was {value}")
        if value % unit:
            label = of
            if of == "window":
                label = "log_interval" if self.log_interval else "steps_per_loop"
            raise InputError(f"{name} must be a multiple of {label} ({unit}), was {value}")


def fixed_of_phase(phase: PhaseConfig) -> dict[str, Any]:
    """Return the fixed fields of a phase, see `PHASE_FIELDS`."""
    return _of_kind(phase, PHASE_FIELDS, (FIXED,))


def _of_kind(config, table: dict, kinds: tuple) -> dict[str, Any]:
    fields = dataclasses.asdict(config)
    # A field that is missing in the table is fixed, which is the safe choice.
    return {name: value for name, value in fields.items() if table.get(name, FIXED) in kinds}
