"""The verb `serve` of tools/benchmark.py: exported classifiers in every format, and the server."""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import http_load, served_models
from benchmarks.processes import Worker, quartiles

ROOT = pathlib.Path(__file__).resolve().parents[2]
_PROGRAM = pathlib.Path(__file__).with_name("served_models.py")
SHAPES = ((1, 16), (1, 128), (32, 16), (32, 128))
CLIENTS = (1, 32)
# The options of `electra serve` for requests that are merged, and for those that are not.
BATCHING = {"on": (), "off": ("--batch-tokens", "1", "--batch-wait", "0")}
FORMATS = ("onnx", "onnx-int8", "litert", "litert-int8")
# Milliseconds that a turn takes at least, so that short calls are timed together.
_TURN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200, help="of a measurement of the server")
    parser.add_argument("--formats", nargs="*", default=FORMATS, help="besides saved_model")
    parser.add_argument("--to", help="JSON file for all numbers")


def measure(options: argparse.Namespace) -> None:
    """Print a table of calls in every format, and one of the server."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        variants = prepared(folder, options.formats)
        calls = measured_calls(variants, options.rounds)
        sizes = {name: megabytes(where) for name, (_, where) in variants.items()}
        print_calls(calls, sizes)
        served = measured_server(folder / "saved_model", options.requests)
        print_server(served, calls["saved_model, strings"])
    if options.to:
        numbers = {"calls": calls, "megabytes": sizes, "server": served}
        pathlib.Path(options.to).write_text(json.dumps(numbers, indent=2) + "\n")


# === Models ===


def prepared(folder: pathlib.Path, formats: Sequence[str]) -> dict[str, tuple[str, pathlib.Path]]:
    """Return the kind of call and the folder of each variant, which are written here."""
    run("write", "ours", folder / "ours")
    run("export", "saved_model", folder / "ours", folder / "saved_model")
    ours = folder / "saved_model" / "1"
    variants = {"saved_model, strings": ("strings", ours), "saved_model": ("token_ids", ours)}
    run("write", "tfnlp", folder / "tfnlp")
    variants["tfnlp BertClassifier"] = ("token_ids", folder / "tfnlp")
    for format in formats:
        done = run("export", format, folder / "ours", folder / format, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason was given"]
            print(f"{format} is left out: {lines[-1]}")
        else:
            variants[format] = (format.partition("-")[0], folder / format / "1")
    return variants


def run(*words: object, check: bool = True) -> subprocess.CompletedProcess:
    """Run a verb of served_models.py."""
    command = [sys.executable, str(_PROGRAM), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr}")
    return done


def megabytes(folder: pathlib.Path) -> float:
    """Return the size of a model without its tokenizer and description."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if "assets.extra" not in file.parts) / 1e6


# === Calls ===


def measured_calls(variants: dict[str, tuple[str, pathlib.Path]], rounds: int) -> dict[str, Any]:
    """Return median and quartiles of milliseconds by variant, shape and clock.

    All variants take turns, each in a process of its own, so that what else happens on the machine
    concerns all of them.
    """
    callers = {name: Worker(_PROGRAM, ("run", *each)) for name, each in variants.items()}
    found: dict[str, Any] = {name: {} for name in variants}
    for batch, length in SHAPES:
        # The first call of a shape is left out, and tells how many fill a turn.
        counts = {
            name: max(1, round(_TURN / caller.ask(batch, length, 1)["wall"]))
            for name, caller in callers.items()
        }
        turns: dict[str, list] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, caller in callers.items():
                turns[name].append(caller.ask(batch, length, counts[name]))
        for name, each in turns.items():
            found[name][f"{batch} x {length}"] = {
                clock: quartiles([turn[clock] for turn in each]) for clock in ("cpu", "wall")
            }
    for caller in callers.values():
        caller.close()
    return found


def print_calls(calls: dict[str, Any], sizes: dict[str, float]) -> None:
    """Print the median CPU and wall milliseconds of a call, and quartiles of the latter."""
    shapes = [f"{batch} x {length}" for batch, length in SHAPES]
    print(f"| CPU / wall ms of a call (quartiles of wall) | {' | '.join(shapes)} | MB |")
    print("|" + "---|" * (len(shapes) + 2))
    for name, by_shape in calls.items():
        cells = [cell(by_shape[shape]) for shape in shapes]
        print(f"| {name} | {' | '.join(cells)} | {sizes[name]:.0f} |")


def cell(clocks: dict[str, list[float]]) -> str:
    """Return the text of a cell."""
    low, middle, high = map(number, clocks["wall"])
    return f"{number(clocks['cpu'][1])} / {middle} ({low} to {high})"


def number(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


# === Server ===


@contextlib.contextmanager
def server(folder: pathlib.Path, options: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the address and the process of a server, which ends after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "official_nlp", "serve", str(folder), "--port", "0", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if line.startswith("{") and json.loads(line)["event"] == "serving":
                yield json.loads(line)["url"], process.pid
                break
        else:
            raise SystemExit(f"the server ended with code {process.wait()}")
    finally:
        process.terminate()
        process.communicate()


def measured_server(folder: pathlib.Path, requests: int) -> dict[str, Any]:
    """Return the speed of the server by batching, length and number of clients."""
    found: dict[str, Any] = {}
    for name, options in BATCHING.items():
        with server(folder, options) as (url, process):
            for length in sorted({length for _, length in SHAPES}):
                texts = served_models.texts(32, length)
                for clients in CLIENTS:
                    once = (url, folder.name, texts, clients)
                    http_load.measure(*once, requests=2 * clients)  # Buffers are allocated.
                    before = processor_seconds(process)
                    measured = http_load.measure(*once, requests=requests)
                    measured["cpu"] = 1000 * (processor_seconds(process) - before) / requests
                    found[f"{name}, length {length}, clients {clients}"] = measured
    return found


def processor_seconds(process: int) -> float:
    """Return the seconds of a core that a process has had."""
    # The name in the second field may have spaces.
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def print_server(served: dict[str, Any], calls: dict[str, Any]) -> None:
    """Print requests a second and latencies, beside those of the model in the same process."""
    print(
        "\n| batching | requests/s | CPU ms of a request | p50 ms | p99 ms |\n|---|---|---|---|---|"
    )
    for name, each in served.items():
        names = ("requests_a_second", "cpu", "p50", "p99")
        print(f"| {name} | {' | '.join(number(each[name]) for name in names)} |")
    for batch, length in SHAPES:
        cpu, wall = (calls[f"{batch} x {length}"][clock][1] for clock in ("cpu", "wall"))
        cells = " | ".join(map(number, (1000 * batch / wall, cpu / batch, wall)))
        print(f"| none: in process, {batch} x {length} | {cells} | |")
