r"""Compare the ids of the graph tokenizer with those of the Python tokenizer, line by line.

    python tools/compare_tokenizers.py texts/*.txt --tokenizer tokenizer
    python tools/compare_tokenizers.py text.gz --tokenizer vocab.txt \
        --options '{"clean_text": false}'

For each file, plain or gzip, it prints the number of lines, how many of them differ, and the speed
of both in lines and MB per second; then the first lines that differ, with their ids. The exit code
is 1 if any line differs. `--options` are arguments of the tokenizer's constructor, as JSON.
"""

import argparse
import gzip
import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(argv: list[str] | None = None) -> int:
    """Run the tool with these command line arguments, and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True, help="tokenizer folder or vocabulary file")
    parser.add_argument("--options", type=json.loads, default={}, help="arguments, as JSON")
    parser.add_argument("--batch", type=int, default=1024, help="lines per batch")
    parser.add_argument("--examples", type=int, default=5, help="differing lines to print")
    arguments = parser.parse_args(argv)

    from official_nlp.data import ElectraTokenizer, GraphTokenizer

    tokenizer = ElectraTokenizer.from_pretrained(arguments.tokenizer, **arguments.options)
    graph = GraphTokenizer(tokenizer)
    graph.pieces([""])  # the first call is slower
    total = [0, 0]
    for file in arguments.files:
        counts = _compare(file, tokenizer, graph, arguments.batch, arguments.examples)
        total = [sum(pair) for pair in zip(total, counts)]
    lines, differ = total
    print(f"total: {_rate(lines, differ)}")
    return 1 if differ else 0


def _compare(file: pathlib.Path, tokenizer, graph, batch: int, examples: int) -> tuple[int, int]:
    """Print the comparison of a file, and return its number of lines and how many differ."""
    lines = _lines(file)
    differ, shown, seconds = 0, [], {"graph": 0.0, "Python": 0.0}
    for start in range(0, len(lines), batch):
        texts = lines[start : start + batch]
        began = time.perf_counter()
        ours = graph.pieces(texts).to_list()
        seconds["graph"] += time.perf_counter() - began
        began = time.perf_counter()
        # `pieces` adds no special tokens.
        theirs = [row.tolist() for row in tokenizer(texts, add_special_tokens=False)["input_ids"]]
        seconds["Python"] += time.perf_counter() - began
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                differ += 1
                shown.append((start + place + 1, texts[place], one, other))
    size = sum(len(line.encode()) for line in lines) / 1e6
    speeds = (
        f"{name} {len(lines) / taken:.0f} lines/s, {size / taken:.1f} MB/s"
        for name, taken in seconds.items()
        if taken
    )
    print(f"{file}: {_rate(len(lines), differ)}; {'; '.join(speeds)}")
    for number, text, one, other in shown[:examples]:
        print(f"  line {number}: {text!r}\n    graph  {one}\n    Python {other}")
    return len(lines), differ


def _rate(lines: int, differ: int) -> str:
    return f"{differ} of {lines} lines differ ({differ / max(lines, 1):.2e})"


def _lines(file: pathlib.Path) -> list[str]:
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    return content.decode(errors="replace").split("\n")


if __name__ == "__main__":
    sys.exit(main())
