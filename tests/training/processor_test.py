"""What the processor says about itself, and what follows for bfloat16."""

import pytest

from official_nlp.training import processor

NEW, OLD = "flags : fpu avx2 avx512_bf16\n", "flags\t\t: fpu avx2 avx512f\n"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretend to be another machine."""

    def pretend(text, architecture="x86_64", onednn="1"):
        file = tmp_path / "cpuinfo"
        if text is not None:
            file.write_text(f"processor : 0\n{text}")
        monkeypatch.setattr(processor, "_PROCESSOR", file)
        monkeypatch.setattr("platform.machine", lambda: architecture)
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)

    return pretend


@pytest.mark.parametrize(
    ("text", "options", "reason", "fast"),
    [
        (NEW, {}, None, True),
        (NEW, {"onednn": "0"}, "oneDNN is off (TF_ENABLE_ONEDNN_OPTS=0)", False),
        (
            OLD,
            {},
            "the processor has no instructions for it (avx512_bf16 or amx_bf16)",
            False,
        ),
        # Other processors, and other systems, do not tell.
        (OLD, {"architecture": "aarch64"}, None, False),
        (None, {}, None, False),
        ("model : 1\n", {}, None, False),
    ],
)
def test_bfloat16_is_fast_with_its_instructions_and_onednn(machine, text, options, reason, fast):
    machine(text, **options)
    assert (processor.slow_bfloat16(), processor.has_bfloat16()) == (reason, fast)
