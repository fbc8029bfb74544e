"""Files of unknown origin result in a value or in one clear error."""

import os

import pytest

from official_nlp.errors import InputError
from official_nlp.files import guarded


def test_an_object_is_read_past_a_byte_order_mark(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": [1, "\xc3\xa4"]}')
    assert guarded.read_object(tmp_path / "x.json") == {"a": [1, "ä"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be JSON"),
        (b'{"a": 1', "must be JSON"),
        (b"{'a': 1}", "must be JSON"),
        (b"[1]", "must hold a JSON object, but holds a list"),
        (b"null", "must hold a JSON object, but holds a NoneType"),
        (b'{"a": "\xff"}', "must be UTF-8 text, but byte 7 is not"),
        (b"[" * 100_000 + b"]" * 100_000, "must be JSON: maximum recursion"),
        (b'{"a": ' + b"9" * 5000 + b"}", "must be JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_object_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=f"x.json {message}.*; write it again"):
        guarded.read_object(tmp_path / "x.json")


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in [
        (tmp_path / "none", "cannot read .*: No such file or directory; copy it again"),
        (tmp_path, "cannot read .*: Is a directory"),
        (tmp_path / "pipe", "must be a regular file, but is a pipe or a device"),
        (tmp_path / ("x" * 300), "cannot read .*: File name too long"),
        (tmp_path / "a\0b", "cannot read .*null"),
    ]:
        with pytest.raises(InputError, match=message):
            guarded.read_text(path)


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    with open(tmp_path / "large.json", "wb") as file:
        file.truncate(guarded.LARGEST + 1)  # sparse: no bytes on the disk
    with pytest.raises(InputError, match=r"has 67,108,865 bytes, and at most 67,108,864 are read"):
        guarded.read_object(tmp_path / "large.json")
