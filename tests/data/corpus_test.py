"""Tests of reading text files as documents."""

import gzip
import json
import os

import pytest

from official_nlp.data import corpus
from official_nlp.errors import InputError

TEXT = "\n\n one\ntwo  \n\n \t\nthree\r\n\nfour"
DOCUMENTS = [["one", "two"], ["three"], ["four"]]


def write(file, content: bytes):
    opener = gzip.open if file.name.endswith(".gz") else open
    with opener(file, "wb") as stream:
        stream.write(content)
    return file


def read(file) -> list[list[str]]:
    return list(corpus.documents([file]))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a", "a.text"])
def test_blank_lines_separate_documents(tmp_path, name):
    assert read(write(tmp_path / name, TEXT.encode())) == DOCUMENTS
    assert read(write(tmp_path / name, TEXT.encode() + b"\n")) == DOCUMENTS


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines_are_documents(tmp_path, name):
    rows = [{"text": "one\n\ntwo"}, {"text": "dr\u00fcei", "title": "what"}, {"text": " "}]
    content = "\n".join(json.dumps(row) for row in rows) + "\n\n"
    assert read(write(tmp_path / name, content.encode())) == [["one", "two"], ["drüei"]]
    assert read(write(tmp_path / name, content.strip().encode())) == [["one", "two"], ["drüei"]]


def test_the_end_of_a_file_ends_a_document(tmp_path):
    files = [write(tmp_path / name, b"a\nb") for name in ("1.txt", "2.txt")]
    assert list(corpus.documents(files)) == [["a", "b"]] * 2


def test_a_byte_order_mark_is_not_text(tmp_path):
    assert read(write(tmp_path / "a.txt", "\ufeffone".encode())) == [["one"]]


def test_lone_surrogates_become_the_replacement_character(tmp_path):
    assert read(write(tmp_path / "a.jsonl", rb'{"text": "a\ud800b \ud83d\ude00"}')) == [["a�b 😀"]]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_documents(tmp_path, content):
    assert read(write(tmp_path / "a.txt", content)) == []


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_long_documents_are_split(tmp_path, monkeypatch, name):
    monkeypatch.setattr(corpus, "_DOCUMENT_CHARACTERS", 10)
    lines = ["12345", "12345", "123", "1234567"]
    text = "\n".join(lines)
    content = json.dumps({"text": text}) if name == "a.jsonl" else text
    assert read(write(tmp_path / name, content.encode())) == [lines[:2], lines[2:]]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_long_lines_are_split_without_loss(tmp_path, monkeypatch, name):
    monkeypatch.setattr(corpus, "_LINE_BYTES", 7)
    (document,) = read(write(tmp_path / name, "äöüß日本語テキスト\nkurz".encode()))
    assert "".join(document) == "äöüß日本語テキストkurz"
    assert document[-1] == "kurz"


def test_long_json_lines_are_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_LINE_BYTES", 7)
    content = json.dumps({"text": "日本語テキスト and more"}, ensure_ascii=False) + "\n"
    assert (
        read(write(tmp_path / "a.jsonl", 2 * content.encode())) == [["日本語テキスト and more"]] * 2
    )


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_the_bytes_read_are_reported(tmp_path, name):
    file = write(tmp_path / name, os.urandom(600_000).hex().encode() + b"\nend")
    sizes = []
    list(corpus.documents([file], sizes.append))
    assert sum(sizes) == file.stat().st_size
    assert len(sizes) > 1


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"caf\xe9\n", "line 1: .* byte 3 of the text, 0xe9"),
        ("äß\n".encode() * 3 + b"\xff", "line 4: .* byte 15 of the text, 0xff"),
        (b"cut off \xc3", "line 1: .* byte 8 of the text, 0xc3"),
        ("text".encode("utf-16"), "line 1: .* byte 0 of the text, 0xff"),
    ],
)
def test_other_encodings_are_named_with_line_and_byte(tmp_path, name, content, where):
    with pytest.raises(InputError, match=rf"{name}, {where}, is not; convert"):
        read(write(tmp_path / name, content))


def test_other_encodings_of_json_lines_are_named(tmp_path):
    with pytest.raises(InputError, match=r"a.jsonl, line 1: .* byte 13 of the text, 0xe9, is not"):
        read(write(tmp_path / "a.jsonl", b'{"text": "caf\xe9"}'))


@pytest.mark.parametrize(
    "row", ["text", "{", "[]", "7", "null", '{"title": "a"}', '{"text": 7}', '{"text": null}']
)
def test_json_lines_without_text_are_named_with_their_line(tmp_path, row):
    content = f'{{"text": "fine"}}\n{row}\n'
    with pytest.raises(
        InputError, match=r'a.jsonl, line 2: each row must be .* string "text", was'
    ):
        read(write(tmp_path / "a.jsonl", content.encode()))


def test_a_corrupt_gzip_file_is_named(tmp_path):
    whole = gzip.compress(os.urandom(10_000).hex().encode())
    for damaged in (whole[:-100], b"not gzip at all", whole[:5000] + b"????" + whole[5004:]):
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"a.txt.gz is not a complete gzip file"):
            read(tmp_path / "a.txt.gz")


def test_a_file_that_was_removed_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*a.txt: No such file"):
        read(tmp_path / "a.txt")


@pytest.fixture
def tree(tmp_path):
    for name in ("b.txt", "a.jsonl", "c.md", "sub/d.txt.gz", "sub/e.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["."], ["a.jsonl", "b.txt", "d.txt.gz"]),
        (["b.txt", "*.txt", "*"], ["b.txt", "a.jsonl", "c.md"]),
        (["**/*.txt*"], ["b.txt", "d.txt.gz"]),
        (["c.md"], ["c.md"]),
        ("b.txt", ["b.txt"]),
    ],
)
def test_files_are_found_once_and_in_order(tree, monkeypatch, patterns, names):
    monkeypatch.chdir(tree)
    assert [file.name for file in corpus.find_files(patterns)] == names


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.nothing", "empty", ""])
def test_patterns_that_match_nothing_are_named(tree, monkeypatch, pattern):
    monkeypatch.chdir(tree)
    (tree / "empty").mkdir()
    if pattern == "":
        with pytest.raises(InputError, match=r"no files were given"):
            corpus.find_files([])
        return
    with pytest.raises(InputError, match=rf"no .*: {pattern.replace('*', '.')}; give files"):
        corpus.find_files(["b.txt", pattern])
