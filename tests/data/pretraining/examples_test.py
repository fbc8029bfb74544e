"""Tests of building examples from text, including faults, kills and interrupts."""

import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.pretraining.examples import build_examples
from official_nlp.data.storage import data_folder
from official_nlp.errors import InputError
from official_nlp.tasks import pretraining_data

# In a background job of a script Ctrl-C is ignored, and a process inherits that.
_BUILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from official_nlp.data import build_examples
build_examples(sys.argv[1], sys.argv[2], sys.argv[3], length=32, processes=2, progress=False)
"""


def build(files, tokenizer_folder, to, **options):
    options = {"length": 32, "processes": 1, "progress": False} | options
    return build_examples(files, tokenizer_folder, to, **options)


def content(folder: pathlib.Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def texts(folder, split: str) -> list[str]:
    """Return the decoded text of all examples of a split, without special tokens."""
    data = data_folder.open_folder(folder)
    decoded = []
    for serialized in data.split(split).read(np.arange(data.count(split))):
        stored = tf.train.Example.FromString(serialized).features.feature
        ids = [id for id in stored["input_ids"].int64_list.value if id not in (0, 2, 3)]
        decoded.append(data.tokenizer.decode(ids))
    return decoded


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def documents_of(text_file) -> list[str]:
    return text_file.read_text().strip().split("\n\n")


def test_all_text_is_in_the_examples(text_file, tokenizer_folder, tmp_path):
    summary = build(text_file, tokenizer_folder, tmp_path / "to", held_out=0.2)
    held_out = (tmp_path / "to" / "held_out.txt").read_text().strip().split("\n\n")
    train = [document for document in documents_of(text_file) if document not in held_out]
    for split, documents in (("train", train), ("held_out", held_out)):
        found = squeezed("".join(texts(tmp_path / "to", split)))
        # Except for remainders of less than 4 tokens at the ends of documents.
        for document in documents:
            assert squeezed(document)[:-30] in found
    assert summary.documents == 60
    assert summary.held_out_documents == len(held_out) > 5
    assert summary.text_bytes == sum(len(d) + 1 for d in documents_of(text_file))
    assert summary.unknown_fraction == 0
    assert 0 < summary.dropped_tokens < 0.02 * summary.tokens
    assert 0 < summary.padding_fraction < 0.3


def test_rows_are_as_google_research_writes_them(folder):
    for serialized in folder.split("train").read(np.arange(50)):
        parsed = tf.io.parse_single_example(
            serialized,
            {
                name: tf.io.FixedLenFeature([32], tf.int64)
                for name in ("input_ids", "input_mask", "segment_ids")
            },
        )
        ids, mask, segments = (parsed[name].numpy() for name in sorted(parsed))
        real = mask.sum()
        assert mask.tolist() == [1] * real + [0] * (32 - real)
        assert not ids[real:].any()
        assert not segments[real:].any()
        assert (ids[0], ids[real - 1]) == (2, 3)
        assert (ids == 3).sum() == 1 + segments.any()
        assert (np.diff(segments[:real]) >= 0).all()


def test_the_number_of_processes_changes_no_byte(
    text_file, tokenizer_folder, tmp_path, built, monkeypatch
):
    monkeypatch.setattr("official_nlp.data.pretraining.examples._BLOCK_CHARACTERS", 1000)
    options = {"held_out": 0.2, "shard_examples": 40, "processes": 2}
    build(text_file, tokenizer_folder, tmp_path / "two", **options)
    assert content(tmp_path / "two") == content(built)


def test_the_borders_of_files_and_blocks_change_nothing(
    text_file, tokenizer_folder, tmp_path, monkeypatch
):
    build(text_file, tokenizer_folder, tmp_path / "one")
    monkeypatch.setattr("official_nlp.data.pretraining.examples._BLOCK_CHARACTERS", 1)
    documents = documents_of(text_file)
    rows = [json.dumps({"text": document}) for document in documents[30:]]
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("\n\n".join(documents[:30]).encode()))
    (tmp_path / "c.jsonl").write_text("\n".join(rows))
    build([tmp_path / "b.txt.gz", tmp_path / "c.jsonl"], tokenizer_folder, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"segments": 1}, {"original": True}, {"length": 31}]
)
def test_each_argument_changes_the_examples(text_file, tokenizer_folder, tmp_path, built, change):
    build(text_file, tokenizer_folder, tmp_path / "to", held_out=0.2, shard_examples=40, **change)
    assert content(tmp_path / "to") != content(built)
    if "segments" in change:
        data = data_folder.open_folder(tmp_path / "to")
        for serialized in data.split("train").read(range(data.count("train"))):
            stored = tf.train.Example.FromString(serialized).features.feature
            assert not any(stored["segment_ids"].int64_list.value)


def test_packing_as_the_original_drops_text_and_reports_it(
    text_file, tokenizer_folder, tmp_path, capsys
):
    summary = build(text_file, tokenizer_folder, tmp_path / "to", original=True, progress=True)
    assert summary.dropped_tokens > 0.2 * summary.tokens
    shown = capsys.readouterr().out
    assert f"in no example {summary.dropped_tokens:,} (" in shown
    for word in (
        "documents  60, held out",
        "MB/s",
        "unknown 0.000%",
        f"{summary.examples['train']:,} train",
    ):
        assert word in shown


@pytest.mark.parametrize(
    ("vocabulary", "warning"),
    [
        (["The", "Red", "Boat", "."], "unknown, and .*: 3 tokens of .* have capital letters, but"),
        (["walks", "."], "unknown, and nothing is learned from them: train a vocabulary"),
        (["the", "red", "boat", "."], None),
    ],
)
def test_many_unknown_tokens_are_a_warning(tmp_path, capsys, vocabulary, warning):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *vocabulary]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    (tmp_path / "a.txt").write_text("The Red Boat.")
    build(tmp_path / "a.txt", tmp_path / "vocab.txt", tmp_path / "to", progress=True)
    found = re.search("^warning: .*$", capsys.readouterr().out, re.MULTILINE)
    if warning is None:
        assert found is None
    else:
        assert re.search(rf"75.0% of the tokens are {warning}", found[0])


def test_documents_are_held_out_by_a_hash_of_their_text(text_file, tokenizer_folder, tmp_path):
    documents = documents_of(text_file)
    (tmp_path / "b.txt").write_text("\n\n".join(reversed(documents[10:])))
    build(text_file, tokenizer_folder, tmp_path / "one", held_out=0.3)
    build(tmp_path / "b.txt", tokenizer_folder, tmp_path / "two", held_out=0.3, seed=5)
    one, two = (
        set((tmp_path / name / "held_out.txt").read_text().strip().split("\n\n"))
        for name in ("one", "two")
    )
    assert one & set(documents[10:]) == two
    assert len(two) > 5


def test_one_of_few_documents_is_held_out(tokenizer_folder, tmp_path):
    (tmp_path / "a.txt").write_text("the red boat.\n\na green bird.\n\nthe old stone.")
    summary = build(tmp_path / "a.txt", tokenizer_folder, tmp_path / "to")
    assert summary.held_out_documents == 1
    assert summary.examples == {"train": 2, "held_out": 1}
    documents = ["the red boat.", "a green bird.", "the old stone."]
    hashes = {hashlib.blake2b(d.encode(), digest_size=8).digest(): d for d in documents}
    assert texts(tmp_path / "to", "held_out") == [hashes[min(hashes)]]
    assert len(list((tmp_path / "to").glob("*.tfrecord"))) == 2


def test_a_single_document_belongs_to_the_train_split(tokenizer_folder, tmp_path):
    (tmp_path / "a.txt").write_text("the red boat.")
    summary = build(tmp_path / "a.txt", tokenizer_folder, tmp_path / "to")
    assert summary.examples == {"train": 1, "held_out": 0}
    assert data_folder.open_folder(tmp_path / "to").count("held_out") == 0


def test_held_out_0_holds_out_nothing(text_file, tokenizer_folder, tmp_path):
    summary = build(text_file, tokenizer_folder, tmp_path / "to", held_out=0)
    assert summary.held_out_documents == 0


def test_the_index_records_how_the_examples_were_made(folder):
    assert folder.index.length == folder.index.longest_row == 32
    assert folder.index.vocab_hash == folder.tokenizer.vocab_hash
    assert folder.index.settings["seed"] == 0
    assert folder.index.settings["documents"] == 60
    ids = folder.unigram_counts().nonzero()[0]
    assert folder.index.largest_id >= ids.max()


def test_the_hash_of_the_examples_covers_their_order_of_words(tokenizer_folder, tmp_path):
    hashes: list[str] = []
    others = []
    for text in ("the red boat.\n\na green bird.", "the boat red.\n\na green bird."):
        (tmp_path / "a.txt").write_text(text)
        to = tmp_path / str(len(hashes))
        build(tmp_path / "a.txt", tokenizer_folder, to, held_out=0)
        hashes.append(pretraining_data.open_data(to).fingerprint())
        index = json.loads((to / "index.json").read_text())
        hashes.append(index.pop("content_hash"))
        del index["checksum"]
        others.append(index)
    assert len(set(hashes)) == 4
    assert others[0] == others[1]


def test_special_tokens_in_the_text_are_encoded_as_text(tokenizer_folder, tmp_path):
    (tmp_path / "a.txt").write_text("the [MASK] boat [SEP] red [CLS] [PAD].")
    build(tmp_path / "a.txt", tokenizer_folder, tmp_path / "to")
    data = data_folder.open_folder(tmp_path / "to")
    (serialized,) = data.split("train").read([0])
    ids = tf.train.Example.FromString(serialized).features.feature["input_ids"].int64_list.value
    real = list(ids)[: list(ids).index(3) + 1]
    assert 4 not in real
    assert 0 not in real
    assert real[1:].count(2) == 0


@pytest.mark.parametrize("content_of_file", ["", "\n \n\n", "\u200b\n\x01"])
def test_an_empty_corpus_is_refused(tokenizer_folder, tmp_path, content_of_file):
    (tmp_path / "a.txt").write_text(content_of_file)
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(InputError, match="the files contain no text"):
        build([tmp_path / "a.txt", tmp_path / "b.txt"], tokenizer_folder, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_text_that_is_not_utf8_is_named(text_file, tokenizer_folder, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"bad.txt, line 2: text must be UTF-8, but byte 8"):
        build([text_file, tmp_path / "bad.txt"], tokenizer_folder, tmp_path / "to")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt"]


def test_missing_files_and_tokenizers_are_named(text_file, tokenizer_folder, tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*nothing.txt"):
        build(tmp_path / "nothing.txt", tokenizer_folder, tmp_path / "to")
    with pytest.raises(InputError, match=r"no tokenizer at .*nothing"):
        build(text_file, tmp_path / "nothing", tmp_path / "to")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")
    with pytest.raises(InputError, match=r"must hold mask_token '\[MASK\]'"):
        build(text_file, tmp_path / "vocab.txt", tmp_path / "to")


def test_a_folder_with_content_is_not_overwritten(text_file, tokenizer_folder, built):
    before = content(built)
    with pytest.raises(InputError, match=r"examples is not empty, and is not overwritten"):
        build(text_file, tokenizer_folder, built)
    assert content(built) == before


@pytest.mark.parametrize("path", ["file/to", "/proc/nowhere/to"])
def test_a_folder_that_cannot_be_written_is_named(text_file, tokenizer_folder, tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"could not be written to .*(file|nowhere)"):
        build(text_file, tokenizer_folder, tmp_path / path)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"length": 7}, "length must be at least 8 tokens, was 7"),
        ({"held_out": 1}, "held_out must be a fraction from 0 to below 1, was 1"),
        ({"held_out": -0.1}, "held_out must be .* was -0.1"),
        ({"held_out": 0.999999}, "held_out=0.999999 leaves none of the 60 documents"),
        ({"segments": 3}, "segments must be 1 or 2, was 3"),
        ({"processes": 0}, "processes must be at least 1, was 0"),
        ({"shard_examples": 0}, "shard_examples must be at least 1, was 0"),
    ],
)
def test_arguments_out_of_range_are_refused(
    text_file, tokenizer_folder, tmp_path, argument, message
):
    with pytest.raises(InputError, match=message):
        build(text_file, tokenizer_folder, tmp_path / "to", **argument)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def large_file(text_file, tmp_path) -> pathlib.Path:
    """About 4 MB of text, which takes at least a second."""
    text = text_file.read_text()
    (tmp_path / "large.txt").write_text("\n\n".join([text] * (4_000_000 // len(text))))
    return tmp_path / "large.txt"


@pytest.mark.timeout(120)
def test_a_kill_leaves_no_incomplete_folder(
    large_file, text_file, tokenizer_folder, tmp_path, repository, built
):
    to = tmp_path / "out" / "examples"
    arguments = [sys.executable, "-c", _BUILD, large_file, tokenizer_folder, to]
    process = subprocess.Popen(arguments, cwd=repository, stderr=subprocess.DEVNULL)
    while not any(file.stat().st_size > 1e5 for file in _unfinished(to)):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not to.exists()
    left = sorted(path.name for path in to.parent.iterdir())
    assert left == [".examples.lock", ".examples.partial"]
    # The next call removes what the killed one has left.
    build(text_file, tokenizer_folder, to, held_out=0.2, shard_examples=40)
    assert [path.name for path in to.parent.iterdir()] == ["examples"]
    assert content(to) == content(built)


@pytest.mark.timeout(120)
def test_an_interrupt_leaves_nothing(large_file, tokenizer_folder, tmp_path, repository):
    to = tmp_path / "out" / "examples"
    arguments = [sys.executable, "-c", _BUILD, large_file, tokenizer_folder, to]
    # As from the keyboard: the signal goes to the caller and to its processes.
    process = subprocess.Popen(
        arguments, cwd=repository, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not _unfinished(to):
        assert process.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1
    assert list(to.parent.iterdir()) == []


def _unfinished(to: pathlib.Path) -> list[pathlib.Path]:
    with contextlib.suppress(FileNotFoundError):
        return list(to.parent.glob(".examples.partial/train-*.unfinished"))
    return []
