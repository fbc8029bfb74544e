"""Tests of the tool that measures the throughput of text and batches, and of both throughputs."""

import importlib.util
import re
import sys

import pytest

TEXT = re.compile(
    r"text x (\d+): [\d.]+ MB in [\d.]+ s, ([\d.]+) MB/s; ([\d.]+) MB for each second of a core; "
    r"most memory of all processes (\d+) MB"
)
BATCHES = re.compile(r"^(.+): (\d+) rows/s \(from \d+ to \d+\), \d+ times what is consumed$", re.M)


@pytest.fixture
def benchmark(repository, capsys, monkeypatch):
    """Runs `tools/benchmark.py` in this process and returns what it prints."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    spec = importlib.util.spec_from_file_location("benchmark", repository / "tools/benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words) -> str:
        module.main([str(word) for word in words])
        return capsys.readouterr().out

    return run


def test_throughput_and_memory_of_text_are_printed(benchmark, text_file, tokenizer_folder):
    found = TEXT.findall(benchmark("text", text_file, "--tokenizer", tokenizer_folder))
    assert [int(times) for times, *_ in found] == [1]
    assert all(20 < int(memory) < 1500 for *_, memory in found)


def test_text_that_cannot_be_built_ends_the_measurement(benchmark, text_file, tmp_path):
    with pytest.raises(SystemExit, match="ended with code 2"):
        benchmark("text", text_file, "--tokenizer", tmp_path / "none")


@pytest.mark.slow
def test_batches_are_ten_times_as_fast_as_a_model_consumes_them(benchmark, built):
    options = "--length", 32, "--rounds", 1, "--seconds", 0.2, "--consumed", 23
    found = dict(BATCHES.findall(benchmark("batches", built, *options)))
    assert list(found) == [
        "tokens",
        "whole words",
        "n-grams of 3",
        "n-grams of 3 whole words",
    ]
    # The small model consumes 23 examples of 128 tokens a second at batch size 16 on two cores.
    assert all(int(rows) > 230 for rows in found.values())


@pytest.mark.slow
def test_text_is_fast_enough_and_memory_does_not_grow(benchmark, outside_data, tmp_path):
    from official_nlp.data import train_vocabulary

    texts = outside_data / "data" / "corpus" / "en_*"
    train_vocabulary(texts, tmp_path / "to", progress=False)
    options = "--tokenizer", tmp_path / "to", "--processes", 2, "--times", 2, 20
    small, large = TEXT.findall(benchmark("text", texts, *options))
    # In seconds of a core, because wall time depends on other programs: 2.5 MB/s on two cores.
    assert float(large[2]) > 1.25
    assert int(large[3]) < 1500
    assert int(large[3]) < 1.25 * int(small[3])
