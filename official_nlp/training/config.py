"""How a run trains, apart from what it trains and on what."""

import dataclasses

from official_nlp.errors import InputError
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.training import best, distribution, precision

# What a run that is continued must have kept, by the name of the field:
#   fixed    the same, or it is refused: it is what the run is
#   rounding free, and told: the same run computed in another order, to rounding
#   free     free: no variable depends on it
#   ignored  not looked at: it says where something lies, whose content is compared instead
FIXED, ROUNDING, FREE, IGNORED = "fixed", "rounding", "free", "ignored"
TRAINING_FIELDS = {
    "learning_rate": FIXED,
    "warmup_steps": FIXED,
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
    "keep": FREE,
    "keep_every": FREE,
    "keep_best": FREE,
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
    "steps": FIXED,  # Of the last phase they may grow when the run is extended.
    "batch_size": FIXED,
    "length": FIXED,
    "data": IGNORED,
    "generator_weight": FIXED,
    "discriminator_weight": FIXED,
    "mask_probability": FIXED,
    "epochs": IGNORED,  # The steps that they made are compared.
}
# What becomes of a record of the data that is damaged.
CORRUPT_RECORDS = ("stop", "skip")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Settings of the loop and of the optimizer. The defaults are ELECTRA-Small's.

    Steps are counted over all phases. Every interval is a multiple of `steps_per_loop`.

    Attributes:
      learning_rate: highest rate of the schedule.
      warmup_steps: steps until the rate is reached.
      decay_power: exponent of the decay to 0 at the last step of the last phase.
      weight_decay: rate of the decoupled weight decay.
      beta_1: decay rate of the mean of gradients.
      beta_2: decay rate of the mean of squared gradients.
      epsilon: added to the root of the second moment.
      clip: highest global norm of the gradients, or None.
      steps_per_loop: steps run without returning to Python.
      log_interval: steps of a metric window, one line of metrics.jsonl; None is the loop.
      summary_interval: steps between TensorBoard summaries, a multiple of the window, which is
        what None stands for.
      checkpoint_interval: steps between checkpoints, a multiple of the window; None is only at
        the end.
      evaluation_interval: steps between evaluations; None is only at the end, 0 is never.
      keep: number of the last checkpoints that are kept. From 2 on, there is one to go back to
        where the newest is damaged.
      keep_every: steps between checkpoints that are kept for ever, a multiple of
        `checkpoint_interval`; None for none.
      keep_best: a held-out figure whose best checkpoint is kept, as `rtd_auc`; see `best.parse`.
      corrupt_records: policy for corrupt records of the data: `stop` ends the run, `skip` leaves
        the example of the batch empty, without weight, and counts it.
      strategy: see `distribution.STRATEGIES`.
      seed: of initial values, order, masks, dropout and sampling.
      jit_compile: whether XLA compiles forward and backward pass.
      policy: the number format of the layers, see `precision.POLICIES`.
      accumulation: number of micro-batches that a replica's rows of a step are cut into; only one
        is in memory at a time, and the update is the same.
      recompute: whether the task computes activations again in the backward pass, to hold fewer.
      reference_quirks: which quirks of the original to reproduce.
    """

    learning_rate: float = 5e-4
    warmup_steps: int = 10_000
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
    keep: int = 3
    keep_every: int | None = None
    keep_best: str | None = None
    corrupt_records: str = "stop"
    strategy: str = "one_device"
    seed: int = 0
    jit_compile: bool = False
    policy: str = "float32"
    accumulation: int = 1
    recompute: bool = False
    reference_quirks: ReferenceQuirks = dataclasses.field(default_factory=ReferenceQuirks)

    def __post_init__(self):
        for name in ("steps_per_loop", "keep", "accumulation"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, was {getattr(self, name)}")
        self._require_multiple("log_interval", "steps_per_loop")
        self._require_multiple("summary_interval", "window")
        self._require_multiple("checkpoint_interval", "window")
        if self.evaluation_interval != 0:
            self._require_multiple("evaluation_interval", "steps_per_loop")
        self._require_multiple("keep_every", "checkpoint_interval")
        if self.keep_best is not None:
            best.parse(self.keep_best)
            if self.evaluation_interval == 0:
                raise InputError(
                    "keep_best needs held-out metrics: evaluation_interval must not be 0, or "
                    "keep_best must be None"
                )
        if self.corrupt_records not in CORRUPT_RECORDS:
            raise InputError(
                f"corrupt_records must be one of {', '.join(CORRUPT_RECORDS)}, "
                f"was {self.corrupt_records!r}"
            )
        distribution.require_known(self.strategy)
        precision.require_known(self.policy)

    @property
    def window(self) -> int:
        """Steps of a metric window."""
        return self.log_interval or self.steps_per_loop

    def of_kind(self, *kinds: str) -> dict:
        """Returns the fields of some kinds, see `TRAINING_FIELDS`."""
        return _of_kind(self, TRAINING_FIELDS, kinds)

    def _require_multiple(self, name: str, of: str) -> None:
        value, unit = getattr(self, name), getattr(self, of)
        if value is None:
            return
        if unit is None:
            raise InputError(f"{name} must be None where {of} is, was {value}")
        if value < 1 or value % unit:
            label = of
            if of == "window":
                label = "log_interval" if self.log_interval else "steps_per_loop"
            raise InputError(f"{name} must be a positive multiple of {label} ({unit}), was {value}")


def fixed_of_phase(phase) -> dict:
    """Returns the fixed fields of a `PhaseConfig`."""
    return _of_kind(phase, PHASE_FIELDS, (FIXED,))


def _of_kind(config, table: dict, kinds: tuple) -> dict:
    fields = dataclasses.asdict(config)
    # What nobody has thought about yet is fixed.
    return {name: value for name, value in fields.items() if table.get(name, FIXED) in kinds}
