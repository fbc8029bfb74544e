"""Compare the estimate of preflight with the memory that processes of their own need."""

import functools
import json
import os
import subprocess
import sys

import pytest

from tests import random_words

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FEW = ["WARMUP_STEPS=1"]
TWO_PHASES = [*FEW, "MLM_STEPS=10", "ELECTRA_STEPS=10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a function that builds a data folder of random words from a vocabulary of a size."""

    @functools.cache
    def make(vocabulary, length):
        return random_words.data_folder(tmp_path_factory.mktemp("data"), vocabulary, length)

    return make


@pytest.mark.parametrize(
    ("recipe", "vocabulary", "length", "settings"),
    [
        ("demo", 2048, 32, TWO_PHASES),
        ("laptop", 4096, 32, TWO_PHASES),
        ("small", 30522, 128, [*FEW, "STEPS=3", "BATCH_SIZE=16"]),
        ("small", 30522, 128, [*FEW, "STEPS=3", "BATCH_SIZE=16", "POLICY=mixed_bfloat16"]),
        ("base", 30522, 128, [*FEW, "STEPS=2", "BATCH_SIZE=4", "LENGTH=128"]),
    ],
    ids=["demo", "laptop", "small", "small in bfloat16", "base"],
)
def test_memory_is_estimated_within_a_quarter(
    repository, tmp_path, folder, recipe, vocabulary, length, settings
):
    words = [recipe, folder(vocabulary, length), tmp_path / "run", *settings]
    program = [sys.executable, "-m", "tests.measured_memory", *map(str, words)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        program, cwd=repository, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(recipe, {name: f"{size / 1e9:.2f} GB" for name, size in found.items()})
    assert found["estimated"] == pytest.approx(found["measured"], rel=0.25)
