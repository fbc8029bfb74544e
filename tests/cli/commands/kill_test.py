"""`electra vocab` and `electra examples`, killed at random moments, leave nothing or everything."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.commands.conftest import contents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 10  # of each verb
SIZE = 1_000_000


@pytest.fixture
def texts(text_file, tmp_path):
    text = text_file.read_text()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("\n\n".join([text] * (SIZE // len(text))))
    return tmp_path / "texts"


@pytest.mark.parametrize("verb", ["vocab", "examples"])
def test_a_kill_leaves_nothing_or_a_complete_folder(
    verb, texts, tokenizer_folder, tmp_path, repository
):
    options = ["--size", "120"]
    if verb == "examples":
        options = ["--tokenizer", tokenizer_folder, "--length", "32", "--processes", "2"]

    def start(to) -> subprocess.Popen:
        words = [sys.executable, "-m", "official_nlp", verb, texts, "--to", to, *options]
        return subprocess.Popen(
            list(map(str, words)),
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begun = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    seconds = time.monotonic() - begun
    whole = contents(tmp_path / "whole")
    seed = time.time_ns()
    print(f"seed {seed}")
    draw = random.Random(seed)
    left = complete = 0
    for number in range(KILLS):
        parent = tmp_path / str(number)
        parent.mkdir()
        process = start(parent / "to")
        # Each in its own part of the time, up to a little more than a run takes.
        time.sleep(1.1 * seconds * (number + draw.random()) / KILLS)
        process.send_signal(signal.SIGKILL)
        killed = process.wait() != 0
        if (parent / "to").exists():
            complete += 1
            assert contents(parent / "to") == whole
            continue
        assert killed
        left += any(parent.iterdir())
        assert start(parent / "to").wait() == 0
        assert [path.name for path in parent.iterdir()] == ["to"]
        assert contents(parent / "to") == whole
    print(f"{KILLS} kills: {left} left a part behind, {complete} came after the end")
