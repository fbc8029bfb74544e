"""Tests of the TFRecord format."""

import struct

import pytest
import tensorflow as tf

from official_nlp.data.storage import framing
from official_nlp.errors import InputError

DATA = [b"", b"a", b"some bytes" * 100]


def test_files_equal_those_of_tensorflow(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for data in DATA:
            writer.write(data)
    ours = b"".join(framing.frame(data) for data in DATA)
    assert ours == (tmp_path / "theirs").read_bytes()


def test_records_are_read_with_their_offsets(tmp_path):
    (tmp_path / "file").write_bytes(b"".join(framing.frame(data) for data in DATA))
    found = list(framing.records(tmp_path / "file"))
    assert found == [(0, b""), (16, b"a"), (33, DATA[2])]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: x[:-1], "at byte 17 is corrupt: the file ends in the middle"),
        (lambda x: x[:20], "at byte 17 is corrupt: its length does not match"),
        (lambda x: x[:-6] + b"??" + x[-4:], "at byte 17 is corrupt: its checksum"),
        (lambda x: b"?" + x[1:], "at byte 0 is corrupt: its length does not match"),
    ],
)
def test_a_corrupt_record_is_named_with_file_and_byte(tmp_path, change, what):
    (tmp_path / "file").write_bytes(change(framing.frame(b"a") + framing.frame(b"some bytes")))
    with pytest.raises(InputError, match=f"file: the record {what}"):
        list(framing.records(tmp_path / "file"))


def test_bytes_that_are_not_one_record_are_refused():
    framed = framing.frame(b"some bytes")
    assert framing.unframe(framed, "file", 0) == b"some bytes"
    for piece in (framed[:5], framed[:-1], framed + b"x", struct.pack("<Q", 3)):
        with pytest.raises(InputError, match=r"file: the record at byte 7 is corrupt"):
            framing.unframe(piece, "file", 7)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: x[:17] + b"?" + x[18:], [(0, b"a"), (17, None)]),
        (lambda x: x[:30] + b"?" + x[31:], [(0, b"a"), (17, None), (43, b"more")]),
        (lambda x: x[:35], [(0, b"a"), (17, None)]),
        (lambda x: x[:20], [(0, b"a"), (17, None)]),
        (lambda x: b"?" + x[1:], [(0, None)]),
    ],
)
def test_corrupt_records_can_be_skipped(tmp_path, change, found):
    framed = b"".join(framing.frame(data) for data in (b"a", b"some bytes", b"more"))
    (tmp_path / "file").write_bytes(change(framed))
    corrupt = []
    assert list(framing.records(tmp_path / "file", corrupt.append)) == found
    (one,) = corrupt
    assert (one.file, one.offset) == (
        tmp_path / "file",
        found[[x for _, x in found].index(None)][0],
    )
