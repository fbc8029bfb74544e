"""Kills real runs of the command at random moments, and compares what they end in.

    python tools/kill_test.py [--kills 20] [--seed N] [--only NAME ...] [--folder DIR]

For each combination a run is left alone, and another is killed by SIGKILL again and again, every
second time while a checkpoint is being written, and continued by the same command. In the end every
variable, every slot of the optimizer, the metrics, the description of the run and the list of
checkpoints must be the same, bit for bit. The exit code is 1 where they are not.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What is combined: the settings of the command. Every run has two phases, of the second of which
# kills meet a part, and its steps are no multiple of an epoch.
COMBINATIONS = {
    "one device": [],
    "two mirrored devices": ["STRATEGY=mirrored"],
    "accumulation": ["ACCUMULATION=2"],
    "bfloat16": ["POLICY=mixed_bfloat16"],
    "all of them": ["STRATEGY=mirrored", "ACCUMULATION=2", "POLICY=mixed_bfloat16"],
}

RECIPE = """
from __gin__ import dynamic_registration

from official_nlp import tasks
from official_nlp import training
from official_nlp.modeling import networks

include "runs/pretrain.gin"

LEARNING_RATE = 5e-4
WARMUP_STEPS = 20
BATCH_SIZE = 8
LENGTH = 32

networks.ElectraConfig.embedding_size = 64
networks.ElectraConfig.hidden_size = 128
networks.ElectraConfig.num_hidden_layers = 2
networks.ElectraConfig.num_attention_heads = 4
networks.ElectraConfig.intermediate_size = 256
networks.ElectraConfig.max_position_embeddings = 32

tasks.PretrainingConfig.generator = @networks.ElectraConfig()
tasks.PretrainingConfig.discriminator = @networks.ElectraConfig()

training.RunConfig.phases = (@mlm/training.PhaseConfig(), @electra/training.PhaseConfig())
mlm/training.PhaseConfig.steps = 43
mlm/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": 0.0}
electra/training.PhaseConfig.steps = 50

training.TrainingConfig.steps_per_loop = 5
training.TrainingConfig.checkpoint_interval = 10
training.TrainingConfig.evaluation_interval = 20
"""
STEPS = 93

# The command with the processor as two devices.
PROGRAM = """
import sys

import tensorflow as tf

from official_nlp.cli import main

(processor, *_) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, two)
sys.exit(main.main(sys.argv[1:]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="over all combinations")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; by default random")
    parser.add_argument("--only", nargs="*", default=list(COMBINATIONS), metavar="NAME",
                        choices=list(COMBINATIONS), help="combinations")  # fmt: skip
    parser.add_argument("--folder", type=pathlib.Path, help="kept afterwards; by default temporary")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Else TensorFlow says a dozen lines.
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="kills-"))
    make_data(folder)
    draw, results = random.Random(seed), []
    for number, name in enumerate(options.only):
        kills = len(range(number, options.kills, len(options.only)))
        results.append(Combination(name, folder).test(kills, draw))
    done = sum((result.kills for result in results), collections.Counter())
    failed = [result.name for result in results if result.differences]
    print(f"{sum(done.values())} kills, {done['saving']} of them while a checkpoint was written")
    print(f"not the same: {', '.join(failed)}" if failed else "every run ended in the same bits")
    if options.folder is None:
        shutil.rmtree(folder)
    return 1 if failed else 0


class Combination:
    """One combination: a run left alone, and one that is killed.

    Attributes:
      name: see `COMBINATIONS`.
      kills: how many of which kind.
      differences: what differs in the end.
    """

    def __init__(self, name: str, folder: pathlib.Path):
        self.name = name
        self.kills = collections.Counter()
        self.differences: list[str] = []
        self._folder = folder
        self._whole = f"whole {name}"
        self._killed = f"killed {name}"

    def test(self, kills: int, draw: random.Random) -> "Combination":
        start = time.monotonic()
        self._finish(self._whole)
        lines = len(metrics(self._folder / self._whole))
        for number in range(kills):
            # Each in its own stretch of the run, so that there is something left to be killed.
            at = [int(lines * 0.9 * (number + more) / kills) for more in (0, 1)]
            kind = "saving" if number % 2 == 0 else "anywhere"
            kind, step = self._kill(kind, draw.randrange(at[0], max(at[1], at[0] + 1)), draw)
            self.kills[kind] += 1
            print(f"{self.name}: killed {kind}, last checkpoint {step}", flush=True)
        self._finish(self._killed)
        self.differences = differences(*(self._folder / n for n in (self._whole, self._killed)))
        verdict = "; ".join(self.differences) or "the same"
        print(f"{self.name}: {verdict}, {time.monotonic() - start:.0f} s", flush=True)
        return self

    def _start(self, run: str) -> subprocess.Popen:
        settings = COMBINATIONS[self.name]
        two = "STRATEGY=mirrored" in settings
        program = ["-c", PROGRAM] if two else ["-m", "official_nlp"]
        return electra(self._folder, "train", "recipe.gin", "DATA=data", f"MODEL_DIR={run}",
                       *settings, program=program)  # fmt: skip

    def _finish(self, run: str):
        require_done(self._start(run))

    def _kill(self, kind: str, lines: int, draw: random.Random) -> tuple[str, int]:
        """Kills once so many lines are written, and then at once, or while it saves."""
        process, run = self._start(self._killed), self._folder / self._killed
        moment = draw.uniform(0, 0.3) if kind == "anywhere" else draw.uniform(0, 0.003)

        def reached() -> bool:
            return len(metrics(run)) > lines and (kind == "anywhere" or bool(being_written(run)))

        while not reached():
            if process.poll() is not None:
                raise SystemExit(f"{self.name}: ended unharmed: {process.communicate()[1][-2000:]}")
            time.sleep(0.0002 if kind == "saving" else 0.002)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"{self.name}: ended with {process.returncode} before it was killed")
        return ("saving" if being_written(run) else "anywhere"), max(named(run), default=0)


# === What is seen from outside ===


def metrics(run: pathlib.Path) -> list[bytes]:
    file = run / "metrics.jsonl"
    return file.read_bytes().splitlines() if file.exists() else []


def named(run: pathlib.Path) -> set[int]:
    """Returns the steps of the checkpoints that count."""
    state = run / "checkpoints/checkpoint"
    text = state.read_text() if state.exists() else ""
    return {int(step) for step in re.findall(r'"ckpt-(\d+)"', text)}


def being_written(run: pathlib.Path) -> set[int]:
    """Returns the steps of checkpoints of which there are files, but which do not count yet."""
    names = [path.name for path in (run / "checkpoints").glob("ckpt-*")]
    steps = {int(re.match(r"ckpt-(\d+)", name)[1]) for name in names}
    newest = max(named(run), default=0)
    return {step for step in steps if step > newest}


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    """Returns what differs between two runs."""
    import numpy as np
    import tensorflow as tf

    found = [
        name
        for name in ("metrics.jsonl", "run.json")
        if (one / name).read_bytes() != (other / name).read_bytes()
    ]
    names = [sorted(path.name for path in (run / "checkpoints").iterdir()) for run in (one, other)]
    if names[0] != names[1]:
        found.append(f"checkpoints {names}")
    paths = [tf.train.latest_checkpoint(str(run / "checkpoints")) for run in (one, other)]
    if paths[0].rpartition("-")[2] != str(STEPS):
        found.append(f"ended at {paths[0]}")
    readers = [tf.train.load_checkpoint(path) for path in paths]
    variables = [reader.get_variable_to_shape_map() for reader in readers]
    if variables[0] != variables[1]:
        return [*found, "the variables' names or shapes"]
    for name in sorted(variables[0]):
        values = [np.asarray(reader.get_tensor(name)) for reader in readers]
        if name == "_CHECKPOINTABLE_OBJECT_GRAPH":
            continue
        if values[0].tobytes() != values[1].tobytes():
            found.append(name)
    return found


# === The command ===


def electra(folder: pathlib.Path, *words, program=("-m", "official_nlp")) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        cwd=folder,
        env={**environment, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def require_done(process: subprocess.Popen):
    _, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args}: exit code {process.returncode}\n{err[-3000:]}")


def make_data(folder: pathlib.Path):
    """Writes a recipe, text, a vocabulary and examples."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.gin").write_text(RECIPE)
    if (folder / "data").exists():
        return
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 6))) for _ in range(100)]
    with open(folder / "text.txt", "w") as file:
        for _ in range(120):
            for _ in range(8):
                file.write(" ".join(draw.choices(words, k=12)) + ".\n")
            file.write("\n")
    require_done(electra(folder, "vocab", "text.txt", "--to", "tokenizer", "--size", 200))
    words = ["--tokenizer", "tokenizer", "--to", "data", "--length", 32, "--held-out", "2%"]
    require_done(electra(folder, "examples", "text.txt", *words))


if __name__ == "__main__":
    sys.exit(main())
