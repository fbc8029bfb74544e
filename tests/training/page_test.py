"""The command of the page about training runs in a folder that is not the checkout."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests import random_words


@pytest.mark.slow
def test_the_command_for_several_processes_trains(repository, tmp_path):
    page = (repository / "official_nlp/training/README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    (\S.*)$", page, re.MULTILINE)
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "tools/workers.py")
    random_words.data_folder(tmp_path, 200, 32, rows=100)
    done = subprocess.run(
        [sys.executable, repository / script, *words]
        + ["STEPS=2", "WARMUP_STEPS=1", "BATCH_SIZE=4", "VOCAB_SIZE=200"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "runs/a/metrics.jsonl").is_file()
