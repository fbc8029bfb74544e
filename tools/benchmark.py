"""Measures the program on this machine. Its metrics mean something only when nothing else runs.

  python tools/benchmark.py text    texts/ --tokenizer tokenizer --times 1 20
  python tools/benchmark.py batches data --consumed 23
  python tools/benchmark.py finetune rte INIT=published DATA=RTE
  python tools/benchmark.py train
  python tools/benchmark.py serve
  python tools/benchmark.py exports served onnx phone

`text` builds examples of the text, once for each number of times that it is repeated, and says how
many MB of text a second became shards, and the most memory of all processes together. `batches`
reads masked batches from a data folder, in rounds that take turns, and says how many rows a second
there are with each kind of masking, and how many times those that a model consumes. `finetune`
trains a recipe for two epochs, in turns with all batches padded to the same length and with batches
of similar lengths (BY_LENGTH), and says how many sequences a second the second epoch trains on.
`train` trains ELECTRA-Small on random tokens, ours and tfnlp's with its own task and optimizer, and
prints seconds of a step, memory and the time to the first step, with oneDNN and without, and in
bfloat16. `serve` exports a classifier of that size with random weights in every format that
`electra export` writes, and prints the milliseconds of a call beside those of tfnlp's
`BertClassifier`; then the requests a second of `electra serve` on this machine, whose clients take
a part of the same processor. Both compare in rounds that take turns, each variant in a process of
its own, and import tfnlp (`tf-models-official`) for the comparison alone.
`exports` runs the networks of exported folders on token ids, and says how large they are and how
many milliseconds of a core a call takes for batches of several shapes, the median.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import serving, training  # noqa: E402  # found beside this file

_SAMPLES_A_SECOND = 10


def main(words: list[str] | None = None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    text = verbs.add_parser("text", help="text to shards")
    text.add_argument("texts", nargs="+")
    text.add_argument("--tokenizer", required=True)
    text.add_argument("--times", nargs="+", type=int, default=[1])
    text.add_argument("--length", type=int, default=128)
    text.add_argument("--processes", type=int)
    text.set_defaults(run=measure_text)
    batches = verbs.add_parser("batches", help="shards to masked batches")
    batches.add_argument("data")
    batches.add_argument("--batch-size", type=int, default=16)
    batches.add_argument("--length", type=int, default=128)
    batches.add_argument("--rounds", type=int, default=5)
    batches.add_argument("--seconds", type=float, default=3, help="of a round")
    batches.add_argument("--consumed", type=float, help="rows a second that a model takes")
    batches.set_defaults(run=measure_batches)
    finetune = verbs.add_parser("finetune", help="padded against similar lengths")
    finetune.add_argument("recipe")
    finetune.add_argument("settings", nargs="*", metavar="NAME=value")
    finetune.add_argument("--rounds", type=int, default=3)
    finetune.set_defaults(run=measure_finetune)
    train = verbs.add_parser("train", help="steps of pre-training")
    training.add_arguments(train)
    train.set_defaults(run=training.measure)
    serve = verbs.add_parser("serve", help="exported models in every format, and the server")
    serving.add_arguments(serve)
    serve.set_defaults(run=serving.measure)
    exports = verbs.add_parser("exports", help="formats of exported models")
    exports.add_argument("folders", nargs="+", metavar="DIR")
    exports.add_argument("--calls", type=int, default=15)
    exports.set_defaults(run=measure_exports)
    options = parser.parse_args(words)
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    options.run(options)


# === Text ===


def measure_text(options):
    """Prints speed and memory of `electra examples`."""
    from official_nlp.data import documents, find_files

    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder, "once.txt")
        with open(plain, "w", encoding="utf-8") as stream:
            for document in documents(find_files(options.texts)):
                stream.write("\n".join(document) + "\n\n")
        for times in options.times:
            file = pathlib.Path(folder, "repeated.txt")
            with open(file, "wb") as stream:
                for _ in range(times):
                    stream.write(plain.read_bytes())
            to = pathlib.Path(folder, f"data-{times}")
            command = [sys.executable, "-m", "official_nlp", "examples", str(file), "--to", str(to)]
            command += ["--tokenizer", options.tokenizer, "--length", str(options.length)]
            if options.processes:
                command += ["--processes", str(options.processes)]
            seconds, peak, processor = run_measured(command)
            size = file.stat().st_size / 1e6
            print(
                f"text x {times}: {size:.1f} MB in {seconds:.1f} s, {size / seconds:.2f} MB/s; "
                f"{size / processor:.2f} MB for each second of a core; "
                f"most memory of all processes {peak / 1e6:.0f} MB"
            )


def run_measured(command: list[str]) -> tuple[float, int, float]:
    """Runs a program; returns its seconds, the most memory of its processes, its core seconds."""
    before = os.times()
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = 0
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(1 / _SAMPLES_A_SECOND):
            peak = max(peak, sum(map(resident_bytes, family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.monotonic() - start
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with code {code}")
    after = os.times()
    processor = sum(after[2:4]) - sum(before[2:4])
    return seconds, peak, processor


def family(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def resident_bytes(process: int) -> int:
    """Memory of a process; what it shares with others is counted for each."""
    with contextlib.suppress(OSError, IndexError):
        pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


# === Batches ===


def measure_batches(options):
    """Prints rows a second of the pipeline, masking included."""
    from official_nlp.data import MaskingConfig, open_folder, pretraining_dataset

    folder = open_folder(options.data)
    kinds = {
        "tokens": MaskingConfig(),
        "whole words": MaskingConfig(whole_word=True),
        "n-grams of 3": MaskingConfig(max_ngram=3),
        "n-grams of 3 whole words": MaskingConfig(whole_word=True, max_ngram=3),
    }
    streams = {}
    for name, masking in kinds.items():
        dataset = pretraining_dataset(
            folder, batch_size=options.batch_size, length=options.length, masking=masking, seed=0
        )
        streams[name] = iter(dataset)
        next(streams[name])
    rates = {name: [] for name in kinds}
    for _ in range(options.rounds):
        for name, stream in streams.items():
            rates[name].append(rows_a_second(stream, options))
    for name, found in rates.items():
        middle = statistics.median(found)
        line = f"{name}: {middle:.0f} rows/s (from {min(found):.0f} to {max(found):.0f})"
        if options.consumed:
            line += f", {middle / options.consumed:.0f} times what is consumed"
        print(line)


def rows_a_second(stream, options) -> float:
    """Rows a second of a stream, those that lie ready at the start left out."""
    for _ in range(8):
        next(stream)
    rows, start = 0, time.monotonic()
    while time.monotonic() - start < options.seconds:
        next(stream)
        rows += options.batch_size
    return rows / (time.monotonic() - start)


# === Fine-tuning ===


def measure_finetune(options):
    """Prints sequences a second with and without batches of similar lengths, and their ratio."""
    rates = {"false": [], "true": []}
    for _ in range(options.rounds):
        for by_length, found in rates.items():
            found.append(sequences_a_second(options, by_length))
    for by_length, found in rates.items():
        print(
            f"BY_LENGTH={by_length}: {statistics.median(found):.1f} sequences/s "
            f"(from {min(found):.1f} to {max(found):.1f})"
        )
    ratios = [ours / padded for padded, ours in zip(*rates.values(), strict=True)]
    print(
        f"{statistics.median(ratios):.2f} times as many with similar lengths "
        f"(from {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
    )


def sequences_a_second(options, by_length: str) -> float:
    """Trains for two epochs; returns the speed of the second, which traces nothing."""
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder, "run")
        settings = [*options.settings, "EPOCHS=2", "EVALUATIONS=2", f"BY_LENGTH={by_length}"]
        command = [sys.executable, "-m", "official_nlp", "train", options.recipe, *settings]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        subprocess.run(
            [*command, f"MODEL_DIR={run}"],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        last = json.loads((run / "timing.jsonl").read_text().splitlines()[-1])
        (phase,) = json.loads((run / "run.json").read_text())["phases"]
        return last["steps_per_second"] * phase["batch_size"]


# === Exports ===


def measure_exports(options):
    """Prints size and processor time of exported folders."""
    import numpy as np

    from official_nlp.inference import exported_files
    from official_nlp.inference.predictor import Predictor

    for folder in options.folders:
        version = exported_files.newest_version(folder)
        megabytes = serving.megabytes(version)
        times = []
        for part, network in Predictor.from_pretrained(folder).parts.items():
            for shape in ((1, 16), (1, 128), (8, 128)):
                inputs = {"input_word_ids": np.full(shape, 7, np.int32)}
                milliseconds = processor_milliseconds(network, inputs, options.calls)
                times.append(f"{part} {shape[0]} x {shape[1]}: {milliseconds:.1f}".strip())
        written_as = exported_files.Description.read(version).format
        print(f"{folder}, {written_as}: {megabytes:.1f} MB; core ms {', '.join(times)}")


def processor_milliseconds(network, inputs, calls: int) -> float:
    """Median of the milliseconds of a core that a call takes."""
    times = []
    network(inputs)  # The first call prepares.
    for _ in range(calls):
        start = time.process_time()
        network(inputs)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
