"""Damaged model files result in InputError or in a model, never in another error or a crash."""

import pytest

from tests import damage, damaged_files

FILES = [
    ("hf_tiny_fp16_stored_pretraining", "model.safetensors", "bytes"),
    ("hf_tiny_fp16_stored_pretraining", "config.json", "json"),
    ("hf_tf_h5_sequence_classification", "tf_model.h5", "bytes"),
    ("google_tf1_fully_tied", "model.ckpt-1234567.index", "bytes"),
    ("google_tf1_fully_tied", "model.ckpt-1234567.data-00000-of-00001", "bytes"),
    ("google_tf1_fully_tied", "config.json", "json"),
    ("google_tf1_fully_tied", "checkpoint", "bytes"),
    ("google_tf1_fully_tied", "vocab.txt", "bytes"),
]


# At these seeds the libraries raise errors that are rare: IndexError, KeyError, TypeError,
# UnicodeDecodeError.
SEEDS = [0, 1, 45, 121, 149, 939]


@pytest.fixture
def cases(golden):
    return [("networks", golden(folder), file, kind) for folder, file, kind in FILES]


def test_damaged_models_are_refused_or_read(cases, record_property):
    opened, found = damaged_files.open_all(cases, SEEDS, seconds=60)
    record_property(damage.TRIED, opened)
    assert found == []


@pytest.mark.slow
def test_many_damaged_models_are_refused_or_read(cases, record_property):
    opened, found = damaged_files.open_all(cases, range(1000, 50_000), seconds=200)
    record_property(damage.TRIED, opened)
    assert found == []


def test_a_crash_of_the_process_is_reported_with_the_seed(golden):
    case = ("crash", golden(FILES[0][0]), FILES[0][1], "bytes")
    _, (found,) = damaged_files.open_all([case], [3, 4], seconds=60)
    assert found.startswith("opening model.safetensors of crash, seed 3, damage bytes: the process")
