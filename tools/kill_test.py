"""Interrupt real runs of the command at random moments, and compare the results bit for bit.

    python tools/kill_test.py [--kills 20] [--seed N] [--only NAME ...] [--folder DIR]

For each combination of settings one run is not interrupted. Another is interrupted again and again
and continued by the same command: by SIGKILL while a checkpoint is being written, by SIGKILL at any
moment, and by SIGTERM, in turns. In the end every variable, every slot of the optimizer,
`run.json`, the list of checkpoints and `metrics.jsonl` must be the same. One difference is allowed:
SIGTERM saves a checkpoint out of turn, which splits a line of `metrics.jsonl` in two; their means
must combine to the line of the other run. The exit code is 1 where anything else differs.
"""

import argparse
import collections
import json
import math
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

# Settings of the command by the name of a combination. Every run has two phases, and its steps are
# no multiple of an epoch. A window is two loops, so that a run may stop within one.
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
training.TrainingConfig.log_interval = 10
training.TrainingConfig.checkpoint_interval = 10
training.TrainingConfig.evaluation_interval = 20
"""
STEPS = 93
# Exit codes of a run that was stopped and saved, and of a command that was not training yet, so
# that there was nothing to save. The latter is the signal itself while Python starts.
STOPPED, TERMINATED = 42, (143, -signal.SIGTERM)

# The command, with the CPU as two devices.
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
    parser.add_argument("--kills", type=int, default=20, help="interruptions over all combinations")
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of the moments (default: random)"
    )
    parser.add_argument("--only", nargs="*", default=list(COMBINATIONS), metavar="NAME",
                        choices=list(COMBINATIONS), help="combinations (default: all)")  # fmt: skip
    parser.add_argument(
        "--folder", type=pathlib.Path, help="retained afterwards (default: temporary)"
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow would log a dozen lines.
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="kills-"))
    make_data(folder)
    draw, results = random.Random(seed), []
    for number, name in enumerate(options.only):
        kills = len(range(number, options.kills, len(options.only)))
        results.append(Combination(name, folder).test(kills, draw))
    done: collections.Counter[str] = collections.Counter()
    for result in results:
        done += result.kills
    failed = [result.name for result in results if result.differences]
    print(
        f"{sum(done.values())} interruptions: {done['saving']} by SIGKILL while a checkpoint was "
        f"written, {done['anywhere']} by SIGKILL at other moments, {done['stopping']} by SIGTERM "
        f"while training, {done['terminated']} by SIGTERM before it"
    )
    print(f"different: {', '.join(failed)}" if failed else "every run ended in the same bits")
    if options.folder is None:
        shutil.rmtree(folder)
    return 1 if failed else 0


class Combination:
    """A run without interruption and one with interruptions, of the same settings.

    Attributes:
      name: name of the settings, see `COMBINATIONS`.
      kills: number of interruptions by kind.
      differences: differences between the two runs at the end.
    """

    def __init__(self, name: str, folder: pathlib.Path):
        self.name = name
        self.kills: collections.Counter[str] = collections.Counter()
        self.differences: list[str] = []
        self._folder = folder
        self._whole = f"whole {name}"
        self._killed = f"killed {name}"

    def test(self, kills: int, draw: random.Random) -> "Combination":
        """Run both and compare them.

        Args:
          kills: number of interruptions.
          draw: generator of the moments.
        """
        start = time.monotonic()
        self._finish(self._whole)
        lines = len(metrics(self._folder / self._whole))
        for number in range(kills):
            # Each in its own part of the run, so that steps remain for the next ones.
            at = [int(lines * 0.9 * (number + more) / kills) for more in (0, 1)]
            kind = ("saving", "stopping", "anywhere")[number % 3]
            kind, step = self._interrupt(kind, draw.randrange(at[0], max(at[1], at[0] + 1)), draw)
            self.kills[kind] += 1
            print(f"{self.name}: interrupted ({kind}), last checkpoint {step}", flush=True)
        self._finish(self._killed)
        self.differences = differences(*(self._folder / n for n in (self._whole, self._killed)))
        verdict = "; ".join(self.differences) or "the same"
        print(f"{self.name}: {verdict}, {time.monotonic() - start:.0f} s", flush=True)
        return self

    def _start(self, run: str) -> subprocess.Popen:
        settings = COMBINATIONS[self.name]
        two = "STRATEGY=mirrored" in settings
        program = ("-c", PROGRAM) if two else ("-m", "official_nlp")
        return electra(self._folder, "train", "recipe.gin", "DATA=data", f"MODEL_DIR={run}",
                       *settings, program=program)  # fmt: skip

    def _finish(self, run: str) -> None:
        require_done(self._start(run))

    def _interrupt(self, kind: str, lines: int, draw: random.Random) -> tuple[str, int]:
        """Start the run and interrupt it after some lines of metrics.

        Args:
          kind: `saving` waits for a checkpoint that is being written; `stopping` sends SIGTERM.
          lines: number of lines of metrics to wait for.
          draw: generator of the moment after that.

        Returns:
          The kind that it was in fact, and the step of the last checkpoint.
        """
        process, run = self._start(self._killed), self._folder / self._killed
        moment = draw.uniform(0, 0.003 if kind == "saving" else 0.3)

        def reached() -> bool:
            return len(metrics(run)) > lines and (kind != "saving" or bool(being_written(run)))

        while not reached():
            if process.poll() is not None:
                raise SystemExit(
                    f"{self.name}: ended too early: {process.communicate()[1][-2000:]}"
                )
            time.sleep(0.0002 if kind == "saving" else 0.002)
        time.sleep(moment)
        number, expected = signal.SIGKILL, (-signal.SIGKILL,)
        if kind == "stopping":
            number, expected = signal.SIGTERM, (STOPPED, *TERMINATED)
        process.send_signal(number)
        _, err = process.communicate()
        if process.returncode not in expected:
            raise SystemExit(f"{self.name}: expected {expected}, got {process.returncode}: {err}")
        if kind != "stopping":
            kind = "saving" if being_written(run) else "anywhere"
        elif process.returncode in TERMINATED:
            kind = "terminated"
        return kind, max(listed(run), default=0)


# === Run folders ===


def metrics(run: pathlib.Path) -> list[bytes]:
    """Return the lines of `metrics.jsonl`."""
    file = run / "metrics.jsonl"
    return file.read_bytes().splitlines() if file.exists() else []


def listed(run: pathlib.Path) -> set[int]:
    """Return the steps of the checkpoints that are complete."""
    state = run / "checkpoints/checkpoint"
    text = state.read_text() if state.exists() else ""
    return {int(step) for step in re.findall(r'"ckpt-(\d+)"', text)}


def being_written(run: pathlib.Path) -> set[int]:
    """Return the steps of checkpoints that have files and are not complete yet."""
    names = (re.match(r"ckpt-(\d+)", path.name) for path in (run / "checkpoints").glob("ckpt-*"))
    newest = max(listed(run), default=0)
    return {int(name[1]) for name in names if name and int(name[1]) > newest}


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    """Return the differences between a run without interruption and another one."""
    import numpy as np
    import tensorflow as tf

    found = metric_differences(*([json.loads(x) for x in metrics(run)] for run in (one, other)))
    if (one / "run.json").read_bytes() != (other / "run.json").read_bytes():
        found.append("run.json")
    names = [sorted(path.name for path in (run / "checkpoints").iterdir()) for run in (one, other)]
    if names[0] != names[1]:
        found.append(f"checkpoints {names}")
    paths = [tf.train.latest_checkpoint(str(run / "checkpoints")) for run in (one, other)]
    if paths[0].rpartition("-")[2] != str(STEPS):
        found.append(f"ended at {paths[0]}")
    readers = [tf.train.load_checkpoint(path) for path in paths]
    variables = [reader.get_variable_to_shape_map() for reader in readers]
    if variables[0] != variables[1]:
        return [*found, "names or shapes of variables"]
    for name in sorted(variables[0]):
        values = [np.asarray(reader.get_tensor(name)) for reader in readers]
        if name == "_CHECKPOINTABLE_OBJECT_GRAPH":
            continue
        if values[0].tobytes() != values[1].tobytes():
            found.append(name)
    return found


def metric_differences(one: list[dict], other: list[dict]) -> list[str]:
    """Return the differences between lines of metrics, except for lines that are split.

    A line of training may be split where the loss and the gradient norm of its window, which are
    means over steps, are the means of its parts, and the last part has its learning rate.

    Args:
      one: lines of the run without interruption.
      other: lines of the other run.
    """
    found, start, rest = [], 0, list(other)
    for line in one:
        parts = [line]
        if "train/loss" in line:
            parts = [x for x in rest if "train/loss" in x and start < x["step"] <= line["step"]]
            if parts != [line] and not _combine(parts, start, line):
                found.append(f"the line of step {line['step']}")
            start = line["step"]
        elif line not in rest:
            found.append(f"the evaluation of step {line['step']}")
        rest = [x for x in rest if x not in parts]
    return found + [f"another line of step {line['step']}" for line in rest]


def _combine(parts: list[dict], start: int, line: dict) -> bool:
    """Return whether the means of consecutive windows after step `start` combine to a line."""
    if not parts or any(part.keys() != line.keys() for part in parts):
        return False
    steps = [end["step"] - begin for begin, end in zip([start, *_steps(parts)], parts)]
    same = ("step", "phase", "learning_rate")
    if any(parts[-1][name] != line[name] for name in same):
        return False
    means = (
        (sum(part[name] * n for part, n in zip(parts, steps)) / sum(steps), line[name])
        for name in ("train/loss", "grad_norm")
    )
    return all(math.isclose(mean, expected, rel_tol=1e-9) for mean, expected in means)


def _steps(lines: list[dict]) -> list[int]:
    return [line["step"] for line in lines]


# === The command ===


def electra(
    folder: pathlib.Path, *words: object, program: tuple[str, ...] = ("-m", "official_nlp")
) -> subprocess.Popen:
    """Start the command in a folder.

    Args:
      folder: working directory of the process.
      words: words after `electra`.
      program: arguments of the interpreter that run the command.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        cwd=folder,
        env={**environment, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def require_done(process: subprocess.Popen) -> None:
    """Exit with the messages of a process that failed."""
    _, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args}: exit code {process.returncode}\n{err[-3000:]}")


def make_data(folder: pathlib.Path) -> None:
    """Write a recipe, text, a vocabulary and examples."""
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
