"""Damaged files result in the same examples, in counted corrupt records or in one clear error.

Each case damages one file of a data folder, or a file of text. The seed of the cases is printed;
`FUZZ_SEED=N` repeats those of a failure.
"""

import copy
import gzip
import json
import os
import pathlib
import random
import shutil
import time

import numpy as np
import pytest

from official_nlp.data import corpus
from official_nlp.data.storage import data_folder
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.errors import InputError
from official_nlp.tasks.pretraining_data import PretrainingData
from tests import damage

LENGTH = 32
SECONDS = 20  # of a case, on a busy machine; most take a hundredth of a second
VALUES = [None, True, -1, 0, 1, 10**12, 10**30, 1.5, "x", "", "\0", "../x", "/etc", [], {}, [[]]]


@pytest.fixture(params=[100, pytest.param(3000, marks=pytest.mark.slow)], ids=["few", "many"])
def cases(request) -> int:
    return request.param


@pytest.fixture
def draw(cases) -> random.Random:
    # The many cases differ from call to call, and the few of the default tests do not.
    seed = os.environ.get("FUZZ_SEED", "0" if cases < 1000 else str(time.time_ns()))
    print(f"FUZZ_SEED={seed}")
    return random.Random(seed)


# === Damage ===


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return content of which some bytes are flipped, cut, moved, repeated or replaced."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        first, last = sorted(draw.randrange(len(data) + 1) for _ in range(2))
        match draw.choice(
            ["flip", "flip", "flip", "cut", "end", "swap", "repeat", "zeros", "noise"]
        ):
            case "flip" if data:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            case "cut":
                del data[first : min(last, first + 16)]
            case "end":
                del data[last:]
            case "swap":
                size = draw.choice([1, 8, 64])
                one, other = data[first : first + size], data[last : last + size]
                data[first : first + size], data[last : last + size] = other, one
            case "repeat":
                data[first:first] = data[first : min(last, first + 64)]
            case "zeros":
                data[first : first + 8] = bytes(8)
            case "noise":
                data[first : first + 8] = draw.randbytes(8)
    return bytes(data)


def changed_value(content: bytes, draw: random.Random) -> bytes:
    """Return JSON in which one value is replaced, removed or renamed."""
    root = json.loads(content)
    value, places = copy.deepcopy(root), []

    def walk(node):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(value)
    node, key = draw.choice(places)
    match draw.choice(["replace", "replace", "replace", "remove", "rename"]):
        case "replace":
            node[key] = draw.choice(VALUES)
        case "remove":
            del node[key]
        case "rename" if isinstance(node, dict):
            node[draw.choice(["x", "", "train", "../x"])] = node.pop(key)
    return json.dumps(value).encode()


# === Data folders ===


def read(folder: pathlib.Path, policy: CorruptRecords) -> dict[str, np.ndarray]:
    """Read everything that a run reads; return ids, mask and segments of each example by split."""
    data = data_folder.open_folder(folder, progress=False, corrupt_records=policy)
    PretrainingData(data, policy).fingerprint()
    counts = data.unigram_counts()
    assert counts.shape == (data.tokenizer.vocab_size,)
    assert counts.min() >= 0
    splits = {}
    for name in ("train", "held_out"):
        if data.count(name):
            tables = data.split(name).tables(np.arange(data.count(name)), LENGTH)
            splits[name] = np.concatenate(tables, axis=1)
    return splits


def check(folder: pathlib.Path, whole: dict[str, np.ndarray], in_place: bool) -> str:
    """Read a damaged folder under both policies; return what it resulted in."""
    outcomes, messages = [], []
    for policy in (CorruptRecords("stop"), CorruptRecords("skip")):
        try:
            found = read(folder, policy)
        except InputError as error:
            outcomes.append("error")
            messages.append(str(error))
            continue
        known = {row.tobytes() for rows in whole.values() for row in rows}
        empty = 0
        for name, rows in found.items():
            is_empty = ~rows.any(axis=1)
            empty += is_empty.sum()
            assert {row.tobytes() for row in rows[~is_empty]} <= known
            if in_place:
                np.testing.assert_array_equal(rows[~is_empty], whole[name][~is_empty])
        # None is empty without having been counted.
        assert empty <= policy.rows
        outcomes.append("skipped" if empty or policy.describe() else "equal")
    assert not any("\n" in message for message in messages)
    stopped, skipped = outcomes
    assert (stopped == "error") or stopped == skipped == "equal"
    return skipped


@pytest.mark.timeout(1800)
def test_a_damaged_data_folder_never_results_in_other_examples(
    built, tmp_path, cases, draw, record_property
):
    record_property(damage.TRIED, cases)
    folder = shutil.copytree(built, tmp_path / "data")
    whole = read(folder, CorruptRecords())
    indexes = {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    indexes["index.json"] = (folder / "index.json").read_bytes()
    shards = {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord"))}
    outcomes = {"error": 0, "skipped": 0, "equal": 0}
    for number in range(cases):
        kind = draw.choice(["value", "index", "index", "shard", "shard without index"])
        name = draw.choice(sorted(shards if kind.startswith("shard") else indexes))
        if kind == "value":
            name = "index.json"
        content = (indexes | shards)[name]
        change = changed_value if kind == "value" else damaged
        (folder / name).write_bytes(change(content, draw))
        if kind == "shard without index":
            for index in indexes:
                (folder / index).unlink()
        start = time.monotonic()
        try:
            # Offsets that change places are still those of examples, and the end of a shard without
            # an index may be missing.
            in_place = kind != "shard without index" and not name.startswith("offsets")
            outcomes[check(folder, whole, in_place)] += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {kind} {name}") from error
        assert time.monotonic() - start < SECONDS, f"case {number}: {kind} {name}"
        for file, before in (indexes | {name: content}).items():
            (folder / file).write_bytes(before)
    print(outcomes)
    assert all(outcomes.values())


# === Text ===


@pytest.mark.timeout(1800)
def test_a_damaged_text_file_is_read_or_refused_in_one_line(
    text_file, tmp_path, cases, draw, record_property
):
    record_property(damage.TRIED, cases)
    documents = text_file.read_text().split("\n\n")[:12]
    rows = "\n".join(json.dumps({"text": text, "url": [1, {"a": None}]}) for text in documents)
    texts = {"a.txt": "\n\n".join(documents).encode(), "a.jsonl": rows.encode()}
    texts |= {f"{name}.gz": gzip.compress(content) for name, content in texts.items()}
    texts |= {"a.json": texts["a.jsonl"], "b": texts["a.txt"].decode().encode("utf-16")}
    messages = []
    for number in range(cases):
        name = draw.choice(sorted(texts))
        (tmp_path / name).write_bytes(damaged(texts[name], draw))
        try:
            found = list(corpus.documents(corpus.find(tmp_path / name).files))
        except InputError as error:
            messages.append(str(error))
        except Exception as error:
            raise AssertionError(f"case {number}: {name}") from error
        else:
            assert all(line and line == line.strip() for lines in found for line in lines)
    assert not any("\n" in message for message in messages)
    assert 0 < len(messages) < cases
