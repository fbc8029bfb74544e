"""What the processor of this machine computes fast."""

import os
import pathlib
import platform

_PROCESSOR = pathlib.Path("/proc/cpuinfo")
_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def slow_bfloat16() -> str | None:
    """Return why layers compute slower in bfloat16 than in float32 on this machine's processor.

    Without oneDNN, or without instructions for bfloat16, TensorFlow converts every operand: a step
    takes about twice the time of float32.

    Returns:
      The reason; None where bfloat16 is fast, or the processor does not tell.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return "oneDNN is off (TF_ENABLE_ONEDNN_OPTS=0)"
    flags = _flags()
    if flags and not flags.intersection(_BFLOAT16):
        return f"the processor has no instructions for it ({' or '.join(_BFLOAT16)})"
    return None


def has_bfloat16() -> bool:
    """Return whether the processor is known to have instructions for bfloat16."""
    return bool(_flags().intersection(_BFLOAT16)) and slow_bfloat16() is None


def _flags() -> set[str]:
    """Return the features of an x86 processor that Linux lists; none elsewhere."""
    if platform.machine() != "x86_64":
        return set()
    try:
        text = _PROCESSOR.read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    lines = (line.partition(":") for line in text.splitlines())
    return next((set(value.split()) for name, _, value in lines if name.strip() == "flags"), set())
