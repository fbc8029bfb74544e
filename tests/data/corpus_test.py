"""Tests of reading text files as documents."""

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile

import pytest

from official_nlp.data import corpus
from official_nlp.errors import InputError

TEXT = "\n\n one\ntwo  \n\n \t\nthree\r\n\nfour"
DOCUMENTS = [["one", "two"], ["three"], ["four"]]


def write(file, content: bytes):
    file.parent.mkdir(parents=True, exist_ok=True)
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


def test_a_row_above_the_limit_is_refused_before_it_is_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_LINE_BYTES", 100)
    monkeypatch.setattr(corpus, "ROW_CHARACTERS", 1000)
    fits = json.dumps({"text": "x" * 900})
    endless = '{"text": "' + "x" * 1_000_000
    file = write(tmp_path / "a.jsonl.gz", f"{fits}\n{endless}".encode())
    read_bytes = []
    with pytest.raises(InputError, match=r"a.jsonl.gz, line 2: a row may have at most 1,000 char"):
        list(corpus.documents([file], read_bytes.append))
    assert sum(read_bytes) == 0  # less than a buffer


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
    ],
)
def test_other_encodings_are_named_with_line_and_byte(tmp_path, name, content, where):
    with pytest.raises(InputError, match=rf"{name}, {where}, is not; convert"):
        read(write(tmp_path / name, content))


def test_other_encodings_of_json_lines_are_named(tmp_path):
    with pytest.raises(InputError, match=r"a.jsonl, line 1: .* byte 13 of the text, 0xe9, is not"):
        read(write(tmp_path / "a.jsonl", b'{"text": "caf\xe9"}'))


@pytest.mark.parametrize(
    "row",
    [
        *("text", "{", "[]", "7", "null", '{"title": "a"}', '{"text": 7}', '{"text": null}'),
        '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"text": "a", "n": ' + "9" * 5000 + "}",
    ],
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


# === Recognition by content ===

ROWS = b'{"text": "one\\ntwo", "url": "https://example.org"}\n{"text": "three"}\n'


@pytest.mark.parametrize(
    "name", ["a.json", "a.json.gz", "a.txt", "a", "c4-train.00000-of-01024.json.gz", "a.jsonl"]
)
@pytest.mark.parametrize("start", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_json_lines_are_recognized_by_their_content(tmp_path, name, start):
    assert read(write(tmp_path / name, start + ROWS)) == [["one", "two"], ["three"]]


@pytest.mark.parametrize("name", ["a.json", "a.txt"])
def test_a_long_first_row_is_recognized(tmp_path, name):
    row = json.dumps({"text": "x" * 200_000, "url": 1}).encode()
    assert read(write(tmp_path / name, row)) == [["x" * 200_000]]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz"])
def test_gzip_is_recognized_by_its_content(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(TEXT.encode()))
    assert read(tmp_path / name) == DOCUMENTS


@pytest.mark.parametrize("text", ["{Braces} at the start", "[Brackets]", "{{template}}\nx", '"a"'])
def test_prose_may_start_with_any_character(tmp_path, text):
    assert read(write(tmp_path / "a.txt", text.encode())) == [text.split("\n")]


def tar(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


OTHER_FORMATS = {
    "a list": ("a.json", b'[{"text": "one"}, {"text": "two"}]', "not JSON lines: .*jq -c"),
    "a list named text": ("a.txt", b'[\n {"text": "one"}]', "is JSON, but not JSON lines"),
    "an object over lines": ("a.txt", b'{\n "text": "one"\n}', "is JSON, but not JSON lines"),
    "no JSON": ("a.json", b"what", "is JSON, but not JSON lines"),
    "tar": ("a.txt", tar(b"text"), "is a tar archive: unpack it"),
    "tar.gz": ("a.txt", gzip.compress(tar(b"text")), "is a tar archive: unpack it"),
    "gzip twice": ("a.gz", gzip.compress(gzip.compress(b"a")), "compressed by gzip twice: unpack"),
    "zip": ("a.txt", b"PK\x03\x04\x14\x00", "is a zip archive: unpack it"),
    "bzip2": ("a.txt", bz2.compress(b"text"), "compressed by bzip2: unpack it"),
    "xz": ("a.txt", lzma.compress(b"text"), "compressed by xz: unpack it"),
    "zstd": ("a.txt", b"\x28\xb5\x2f\xfd\x04", "compressed by zstd: unpack it"),
    "Parquet": ("a.txt", b"PAR1\x15\x04", "is a Parquet table: write its texts as JSON lines"),
    "PDF": ("a.txt", b"%PDF-1.4", "is a PDF document: write its texts"),
    "HTML": ("a.txt", b"\n<!DOCTYPE html>\n<p>", "is XML or HTML: write its texts"),
    "XML": ("a.txt", b'<?xml version="1.0"?>', "is XML or HTML: write its texts"),
    "a table": ("a.csv", b"text,label\nfine,1", "is a table: .*if it is prose, name it .txt"),
    "a vocabulary": ("a.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe", "is a vocabulary"),
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_other_formats_are_named_with_fitting_advice(tmp_path, kind):
    name, content, message = OTHER_FORMATS[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} .*{message}"):
        read(tmp_path / name)


ENGLISH = "The old boat.\n\nA red bird sings by the river."


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (ENGLISH.encode("utf-16"), "UTF-16"),
        (ENGLISH.encode("utf-16-le"), "UTF-16LE"),
        (ENGLISH.encode("utf-16-be"), "UTF-16BE"),
        (ENGLISH.encode("utf-32"), "UTF-32"),
        (ENGLISH.encode("utf-32-le"), "UTF-32LE"),
        (ENGLISH.encode("utf-32-be"), "UTF-32BE"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl"])
def test_wide_encodings_are_named(tmp_path, name, content, encoding):
    with pytest.raises(InputError, match=f"looks like {encoding}; .*iconv -f {encoding} -t UTF-8"):
        read(write(tmp_path / name, content))


def test_a_null_byte_is_named_with_its_line(tmp_path):
    text = ENGLISH.encode() * 5000
    file = write(tmp_path / "a.txt", text + b"\nro\0pe\n")
    with pytest.raises(
        InputError, match=rf"a.txt, line 10002: byte {len(text) + 3} of the text is NUL"
    ):
        read(file)


# === Folders ===


def test_what_is_no_text_is_left_out_of_folders_with_a_reason(tmp_path):
    for name in ("a.txt", "sub/rows.json", "sub/b.jsonl"):
        write(tmp_path / name, ROWS)
    for name in ("c.md", "d.csv", "e.bin", "f.png", ".hidden.txt", ".git/x.txt"):
        write(tmp_path / name, b"what")
    write(tmp_path / "config.json", b'{\n "hidden_size": 4\n}')
    write(tmp_path / "one.json", b'{"hidden_size": 4}')
    write(tmp_path / "vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    found = corpus.find(tmp_path)
    assert [file.name for file in found.files] == ["a.txt", "b.jsonl", "rows.json"]
    described = found.describe().replace(f"{tmp_path}/", "")
    assert "not read, hidden: .git, .hidden.txt" in described
    assert ".json.gz: c.md, d.csv, e.bin and 1 more" in described
    assert "not read, no JSON lines with texts: config.json, one.json" in described
    assert "not read, vocabulary: vocab.txt" in described
    assert described.count("\n") == 3


@pytest.mark.parametrize("pattern", [".", "**/*.txt"])
def test_what_this_program_has_written_is_left_out(built, tokenizer_folder, tmp_path, pattern):
    shutil.copytree(built, tmp_path / "data")
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    for name in ("run.json", "config.gin", "note.txt"):
        write(tmp_path / "run" / name, b"{}")
    write(tmp_path / "text" / "a.txt", b"text")
    found = corpus.find(tmp_path / pattern)
    assert found.files == [tmp_path / "text" / "a.txt"]
    described = found.describe().replace(f"{tmp_path}/", "")
    assert "not read, data folder: data" in described
    assert "not read, run folder: run" in described
    assert "not read, tokenizer or model folder: " in described
    # A file that is named is read, such as the text of the held-out documents.
    assert corpus.find_files(tmp_path / "data" / "held_out.txt")


def test_a_folder_of_nothing_but_output_is_refused_with_the_reason(built):
    with pytest.raises(InputError, match=r"no folder with .* \(not read, data folder: .*\); give"):
        corpus.find(built)


@pytest.fixture
def tree(tmp_path):
    for name in ("b.txt", "a.jsonl", "c.md", "sub/d.txt.gz", "sub/e.bin"):
        write(tmp_path / name, b"text")
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


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.nothing", "empty", "x" * 300, ""])
def test_patterns_that_match_nothing_are_named(tree, monkeypatch, pattern):
    monkeypatch.chdir(tree)
    (tree / "empty").mkdir()
    if pattern == "":
        with pytest.raises(InputError, match=r"no files were given"):
            corpus.find_files([])
        return
    with pytest.raises(InputError, match=rf"no .*: {pattern.replace('*', '.')}; give files"):
        corpus.find_files(["b.txt", pattern])
