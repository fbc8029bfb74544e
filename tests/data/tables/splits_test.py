"""Tests of finding the files of a data set, and of holding out rows."""

import hypothesis
import pytest
from hypothesis import strategies

from official_nlp.data.tables.splits import find_splits, held_out
from official_nlp.errors import InputError


def folder(path, names: str):
    for name in names.split():
        (path / name).write_text("x")
    return path


@pytest.mark.parametrize(
    ("names", "train", "dev", "test"),
    [
        ("train.tsv dev.tsv test.tsv", "train.tsv", {"dev": "dev.tsv"}, {"test": "test.tsv"}),
        ("train.csv validation.csv", "train.csv", {"dev": "validation.csv"}, {}),
        ("train.jsonl.gz val.jsonl.gz", "train.jsonl.gz", {"dev": "val.jsonl.gz"}, {}),
        ("Train.CSV Valid.CSV", "Train.CSV", {"dev": "Valid.CSV"}, {}),
        ("train.txt eval.txt LICENSE.txt readme.md .train.txt", "train.txt",
         {"dev": "eval.txt"}, {}),
        ("train-v2.0.json dev-v2.0.json", "train-v2.0.json", {"dev": "dev-v2.0.json"}, {}),
        ("train_rand_split.jsonl dev_rand_split.jsonl test_rand_split_no_answers.jsonl",
         "train_rand_split.jsonl", {"dev": "dev_rand_split.jsonl"},
         {"test": "test_rand_split_no_answers.jsonl"}),
        ("train-00000-of-00001.parquet validation-00000-of-00001.parquet",
         "train-00000-of-00001.parquet", {"dev": "validation-00000-of-00001.parquet"}, {}),
        # MNLI
        ("train.tsv dev_matched.tsv dev_mismatched.tsv test_matched.tsv test_mismatched.tsv "
         "diagnostic.tsv", "train.tsv",
         {"matched": "dev_matched.tsv", "mismatched": "dev_mismatched.tsv"},
         {"matched": "test_matched.tsv", "mismatched": "test_mismatched.tsv",
          "diagnostic": "diagnostic.tsv"}),
        ("train.tsv dev.tsv diagnostic.tsv diagnostic-full.tsv", "train.tsv", {"dev": "dev.tsv"},
         {"diagnostic": "diagnostic.tsv"}),
        # MRPC
        ("train.tsv dev.tsv dev_ids.tsv test.tsv msr_paraphrase_train.txt msr_paraphrase_test.txt",
         "train.tsv", {"dev": "dev.tsv"}, {"test": "test.tsv"}),
        ("train.tsv dev.tsv dev_hard.tsv", "train.tsv",
         {"dev": "dev.tsv", "hard": "dev_hard.tsv"}, {}),
    ],
)  # fmt: skip
def test_files_of_a_folder_are_found_by_name(tmp_path, names, train, dev, test):
    (tmp_path / "original").mkdir()
    found = find_splits(folder(tmp_path, names))
    assert found.train == tmp_path / train
    assert found.dev == {name: tmp_path / file for name, file in dev.items()}
    assert found.test == {name: tmp_path / file for name, file in test.items()}


def test_what_was_found_is_noted(tmp_path):
    (tmp_path / "original").mkdir()
    assert find_splits(folder(tmp_path, "train.tsv dev_a.tsv dev_b.tsv readme.md")).notes == (
        f"{tmp_path}: train 'train.tsv', dev 'dev_a.tsv', 'dev_b.tsv'",
        f"{tmp_path}: ignored 'original', 'readme.md'",
    )


def test_files_can_be_given(tmp_path):
    folder(tmp_path, "mine.tsv train.tsv dev.tsv other.tsv")
    found = find_splits(tmp_path / "mine.tsv")
    assert (found.train, found.dev, found.test) == (tmp_path / "mine.tsv", {}, {})
    found = find_splits(tmp_path, dev="other.tsv", test=tmp_path / "mine.tsv")
    assert found.dev == {"dev": tmp_path / "other.tsv"}
    assert found.test == {"test": tmp_path / "mine.tsv"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "train.csv train.tsv",
            "two files for the train set: 'train.csv', 'train.tsv'; remove one",
        ),
        ("train.tsv train.tsv.gz", "two files for the train set"),
        ("train.tsv dev.tsv validation.tsv", "two files for the dev set: 'dev.tsv', 'validation"),
        ("train.tsv test.tsv test.csv", "two files for the test set"),
        (
            "dev.tsv readme.md",
            "has no training file, which is named train with one of the suffixes",
        ),
        ("train.png", "other files are 'train.png': rename the file"),
        ("", "other files are none"),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path, names, expected):
    with pytest.raises(InputError) as error:
        find_splits(folder(tmp_path, names))
    assert expected in str(error.value)


def test_missing_files_are_refused(tmp_path):
    folder(tmp_path, "train.tsv")
    for options, what in (
        ({"path": tmp_path / "x"}, "the data"),
        ({"path": "x" * 5000}, "the data"),
        ({"path": tmp_path, "dev": "x"}, "the development set"),
        ({"path": tmp_path, "test": tmp_path / "x"}, "the test set"),
    ):
        with pytest.raises(InputError, match=rf"there is no file '.*' for {what}: check the path"):
            find_splits(**options)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(InputError, match=r"cannot read the folder .*: Permission denied; make it"):
        find_splits(tmp_path)


# === Held-out rows ===
def test_the_fraction_that_is_held_out_is_about_right():
    chosen = held_out([str(number) for number in range(2000)], 0.1)
    assert 150 <= sum(chosen) <= 250


def test_the_choice_stays_the_same_over_versions():
    # sha256 of "c" starts with 2e, of "d" with 18, of "a" with ca, and of "b" with 3e.
    assert held_out(["a", "b", "c", "d"], 0.2) == [False, False, True, True]


@hypothesis.given(
    strategies.lists(strategies.text(max_size=2), min_size=1, max_size=20),
    strategies.floats(0.01, 0.99),
)
def test_equal_keys_are_on_one_side_and_both_sides_have_rows(keys, fraction):
    chosen = held_out(keys, fraction)
    by_key = dict(zip(keys, chosen))
    assert chosen == [by_key[key] for key in keys]
    assert set(chosen) == ({True, False} if len(by_key) > 1 else {False})


@hypothesis.given(
    strategies.lists(strategies.text(), unique=True, max_size=30),
    strategies.permutations(range(30)),
)
def test_the_key_alone_decides(keys, order):
    # These two keep both sides from being empty.
    fixed = ["c", "a"]
    alone = [held_out([*fixed, key], 0.3)[2] for key in keys]
    assert held_out([*fixed, *keys], 0.3)[2:] == alone
    mixed = [number for number in order if number < len(keys)]
    chosen = held_out([keys[number] for number in mixed] + fixed, 0.3)
    assert chosen[:-2] == [alone[number] for number in mixed]


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan"), "half"])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(InputError, match="fraction must be a number above 0 and below 1, was"):
        held_out(["a"], fraction)
