"""Results of the checks before the first step of a run."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Devices:
    """Devices of a run.

    Attributes:
      strategy: name of the strategy.
      replicas: number of copies of the model, over all hosts.
      hosts: number of processes that read data.
      memory: bytes of this machine, where training runs in its memory; None elsewhere.
      slow_bfloat16: reason why bfloat16 would be slower than float32; None where it is not.
      fast_bfloat16: whether it is known to be faster, on a machine without accelerators.
      absent: reason why a dry run finds no such devices here; None where they are.
    """

    strategy: str = "one_device"
    replicas: int = 1
    hosts: int = 1
    memory: int | None = None
    slow_bfloat16: str | None = None
    fast_bfloat16: bool = False
    absent: str | None = None


@dataclasses.dataclass(frozen=True)
class Findings:
    """Result of the checks before the first step.

    Attributes:
      errors: reasons why the run cannot start. Each names a setting, its value and what to do.
      warnings: suspicious settings; training proceeds.
      lines: facts and estimates, such as the number of parameters.
      checkpoint_bytes: size of a checkpoint; 0 where it is not known.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    checkpoint_bytes: int = 0

    def __add__(self, other: "Findings") -> "Findings":
        """Return both findings together."""
        return Findings(
            self.errors + other.errors,
            self.warnings + other.warnings,
            self.lines + other.lines,
            self.checkpoint_bytes + other.checkpoint_bytes,
        )
