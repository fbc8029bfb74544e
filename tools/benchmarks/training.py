"""The verb `train` of tools/benchmark.py: steps of pre-training, beside tfnlp's."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks.processes import Worker, quartiles

_PROGRAM = pathlib.Path(__file__).with_name("training_steps.py")
_MATMUL = pathlib.Path(__file__).with_name("matmul_rate.py")
# Name, program, policy, and whether oneDNN is on.
VARIANTS = {
    "tfnlp": ("tfnlp", "float32", "1"),
    "tfnlp, oneDNN off": ("tfnlp", "float32", "0"),
    "ours": ("ours", "float32", "1"),
    "ours, oneDNN off": ("ours", "float32", "0"),
    "ours, mixed_bfloat16": ("ours", "mixed_bfloat16", "1"),
}
# Useful operations of a step of ELECTRA-Small for 16 x 128 tokens, by `electra train --dry-run`.
_GFLOP, _TOKENS = 143.7, 16 * 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--to", help="JSON file for all numbers")


def measure(options: argparse.Namespace) -> None:
    """Print a table of seconds, memory and ratios."""
    workers = {}
    for name in options.only:
        whose, policy, onednn = VARIANTS[name]
        words = (whose, policy, options.batch_size, options.length)
        # One after another, so that the time to the first step is that of the machine alone.
        workers[name] = Worker(_PROGRAM, words, {"TF_ENABLE_ONEDNN_OPTS": onednn})
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            turns[name].append(worker.ask(options.steps))
    for worker in workers.values():
        worker.close()
    tokens = options.batch_size * options.length
    found = {name: summary(each, turns[options.only[0]], tokens) for name, each in turns.items()}
    for name, rate in matmul_rates(options.only).items():
        found[name]["share of matmul rate"] = (
            _GFLOP * tokens / _TOKENS / found[name]["cpu"][1] / rate
        )
    print_table(found, options.only[0])
    if options.to:
        pathlib.Path(options.to).write_text(json.dumps(found, indent=2) + "\n")


def summary(turns: list[dict], reference: list[dict], tokens: int) -> dict[str, Any]:
    """Return quartiles of seconds and of ratios to a reference of the same round."""
    found: dict[str, Any] = {}
    for clock in ("wall", "cpu"):
        found[clock] = quartiles([turn[clock] for turn in turns])
        ratios = [other[clock] / turn[clock] for turn, other in zip(turns, reference)]
        found[f"{clock} ratio"] = quartiles(ratios)
    found["tokens/s"] = tokens / found["wall"][1]
    found["start"] = turns[0]["start"]
    found["megabytes"] = max(turn["megabytes"] for turn in turns)
    return found


def matmul_rates(names: list[str]) -> dict[str, float]:
    """Return the GFLOP that a core's second multiplies in the number format of each variant."""
    rates = {}
    for name in names:
        _, policy, onednn = VARIANTS[name]
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
        command = [sys.executable, str(_MATMUL), policy]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rates[name] = float(done.stdout.split()[-1])
    return rates


def print_table(found: dict[str, Any], reference: str) -> None:
    """Print a row for each variant; ratios are speeds as multiples of the reference's."""
    head = ["a step", "CPU s", "wall s", "tokens/s"]
    head += [f"times {reference}, {clock}" for clock in ("CPU", "wall")]
    head += ["of matmul rate", "peak MB", "s to the first step"]
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for name, each in found.items():
        cells = [f"{each['cpu'][1]:.3f}", f"{each['wall'][1]:.3f}", f"{each['tokens/s']:,.0f}"]
        for clock in ("cpu ratio", "wall ratio"):
            low, middle, high = each[clock]
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        cells += [f"{each['share of matmul rate']:.0%}", f"{each['megabytes']:.0f}"]
        print(f"| {name} | {' | '.join(cells)} | {each['start']:.0f} |")
