"""The tool that measures how fast text becomes batches, and what must come of it."""

import re
import subprocess
import sys

import pytest

TEXT = re.compile(
    r"text x (\d+): [\d.]+ MB in [\d.]+ s, ([\d.]+) MB/s; ([\d.]+) MB for each second of a core; "
    r"most memory of all processes (\d+) MB"
)
BATCHES = re.compile(r"^(.+): (\d+) rows/s \(from \d+ to \d+\), \d+ times what is consumed$", re.M)


@pytest.fixture
def benchmark(repository):
    def run(*words) -> str:
        command = [sys.executable, repository / "tools" / "benchmark.py", *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


def test_speed_and_memory_of_text_are_told(benchmark, text_file, tokenizer_folder):
    told = benchmark("text", text_file, "--tokenizer", tokenizer_folder, "--times", 1, 3)
    found = TEXT.findall(told)
    assert [int(times) for times, *_ in found] == [1, 3]
    assert all(20 < int(memory) < 1500 for *_, memory in found)


def test_text_that_cannot_be_built_stops_the_measurement(benchmark, text_file, tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        benchmark("text", text_file, "--tokenizer", tmp_path / "none")
    assert "ended with code 2" in caught.value.stderr


def test_batches_are_ten_times_as_fast_as_they_are_consumed(benchmark, built):
    options = "--length", 32, "--rounds", 1, "--seconds", 0.5, "--consumed", 23
    found = dict(BATCHES.findall(benchmark("batches", built, *options)))
    assert list(found) == [
        "tokens",
        "whole words",
        "n-grams of 3",
        "n-grams of 3 whole words",
    ]
    # Of the small model at batch 16 on two cores, which takes rows four times as long.
    assert all(int(rows) > 230 for rows in found.values())


@pytest.mark.slow
def test_text_is_fast_enough_and_memory_does_not_grow(benchmark, outside_data, tmp_path):
    texts = outside_data / "data" / "corpus" / "en_*"
    vocabulary = [sys.executable, "-m", "official_nlp", "vocab", texts, "--to", tmp_path / "to"]
    subprocess.run(vocabulary, check=True, capture_output=True)
    options = "--tokenizer", tmp_path / "to", "--processes", 2, "--times", 2, 20
    small, large = TEXT.findall(benchmark("text", texts, *options))
    # In seconds of a core, for wall time is also other programs' time: 2.5 MB/s on two cores.
    assert float(large[2]) > 1.25
    assert int(large[3]) < 1500
    assert int(large[3]) < 1.25 * int(small[3])
