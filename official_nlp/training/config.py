"""How a run trains, apart from what it trains and on what."""

import dataclasses

from official_nlp.errors import InputError
from official_nlp.numerics import Numerics
from official_nlp.training import distribution, precision

# What may differ when a run is resumed: none of it changes a variable.
CHANGEABLE = (
    "steps_per_loop",
    "log_interval",
    "summary_interval",
    "checkpoint_interval",
    "evaluation_interval",
    "keep",
)


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
      keep: number of checkpoints kept.
      strategy: see `distribution.STRATEGIES`.
      seed: of initial values, order, masks, dropout and sampling.
      jit_compile: whether XLA compiles forward and backward pass.
      policy: the number format of the layers, see `precision.POLICIES`.
      accumulation: number of micro-batches that a replica's rows of a step are cut into; only one
        is in memory at a time, and the update is the same.
      numerics: which quirks of the original to reproduce.
    """

    learning_rate: float = 5e-4
    warmup_steps: int = 10_000
    decay_power: float = 1.0
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip: "float | None" = 1.0
    steps_per_loop: int = 100
    log_interval: "int | None" = None
    summary_interval: "int | None" = None
    checkpoint_interval: "int | None" = 10_000
    evaluation_interval: "int | None" = 10_000
    keep: int = 3
    strategy: str = "one_device"
    seed: int = 0
    jit_compile: bool = False
    policy: str = "float32"
    accumulation: int = 1
    numerics: Numerics = dataclasses.field(default_factory=Numerics)

    def __post_init__(self):
        for name in ("steps_per_loop", "keep", "accumulation"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, was {getattr(self, name)}")
        self._require_multiple("log_interval", "steps_per_loop")
        self._require_multiple("summary_interval", "window")
        self._require_multiple("checkpoint_interval", "window")
        if self.evaluation_interval != 0:
            self._require_multiple("evaluation_interval", "steps_per_loop")
        distribution.require_known(self.strategy)
        precision.require_known(self.policy)

    @property
    def window(self) -> int:
        """Steps of a metric window."""
        return self.log_interval or self.steps_per_loop

    def fixed(self) -> dict:
        """Returns the fields that a resumed run must have kept."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if name not in CHANGEABLE}

    def _require_multiple(self, name: str, of: str) -> None:
        value, unit = getattr(self, name), getattr(self, of)
        if value is None:
            return
        if value < 1 or value % unit:
            label = "log_interval" if of == "window" and self.log_interval else "steps_per_loop"
            raise InputError(f"{name} must be a positive multiple of {label} ({unit}), was {value}")
