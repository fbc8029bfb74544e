"""`electra predict` scores words, fills blanks and makes the word-swap test."""

import shutil

import pytest

SENTENCES = [
    f"The {a} boat walks a green river and the {b} bird sings, the old stone sings a boat."
    for a in ("red", "green", "old")
    for b in ("red", "green", "old")
]


def test_words_are_scored_and_blanks_filled(run, command):
    printed = command("predict", run, "The red boat [sings].", "the ___ boat", "def __init__(a):")
    assert "The red boat [sings]." in printed
    assert "the ___ boat the generator's best: " in printed
    # A name with underscores is a word, not a blank.
    assert "def __init__(a):" in printed
    assert printed.count("the generator's best") == 1
    assert printed.count("%") >= 3 + 3 + 3


def test_a_file_has_a_text_per_line(run, tmp_path, command):
    (tmp_path / "lines.txt").write_text("red boat\n\n  \ngreen [MASK] river\n", encoding="utf-8")
    printed = command("predict", run, "old stone", "--file", tmp_path / "lines.txt")
    positions = [printed.index(text) for text in ("old stone", "red boat", "green [MASK] river")]
    assert positions == sorted(positions)
    assert printed.count("the generator's best") == 1


def test_swapped_words_are_ranked_and_written_as_a_page(run, tmp_path, command):
    (tmp_path / "held_out.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    page = tmp_path / "words [1].html"
    words = ["--file", tmp_path / "held_out.txt", "--word-swaps", 7, "--html", page]
    printed = command("predict", run, "A <red> boat.", *words)
    assert "7 held-out sentences, one word of each swapped" in printed
    # Five of the sentences again, with the swapped word as a blank.
    assert printed.count("the generator's best") == 5
    assert f"wrote {page}" in printed
    content = page.read_text(encoding="utf-8")
    assert content.count("<tr><td>") == 7
    assert "</span> &lt;<span" in content
    assert content.count("&rarr;") == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{run}", "predict needs a TEXT, or --file with some"),
        ("{run} --word-swaps 5", "--word-swaps needs --file"),
        ("{run} --word-swaps 0 --file {folder}/text.txt", "at least 1, was 0"),
        ("{run} --word-swaps=-1 --file {folder}/text.txt", "at least 1, was -1"),
        ("{run} --word-swaps 3 --file {folder}/text.txt", "no sentence of 12 to 24 words"),
        ("{run} --file {folder}/nothing.txt", "nothing.txt: No such file"),
        ("{run} --file {folder}", "Is a directory"),
        ("{run} --file {folder}/empty.txt", "predict needs a TEXT"),
        ("{run} --file {folder}/latin.txt", "latin.txt must be UTF-8 text, byte 1 is not"),
        ("{run} a --html {folder}/no/a.html", "a.html: No such file"),
        ("{folder} a", "is not the folder of a run"),
        ("{folder}/begun a", "no checkpoint in"),
    ],
)
def test_wrong_input_is_refused(run, tmp_path, command, words, message):
    files = {"text": b"the red boat\n", "empty": b" \n", "latin": b"B\xe4r\n"}
    for name, content in files.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    if "begun" in words:
        shutil.copytree(run, tmp_path / "begun")
        shutil.rmtree(tmp_path / "begun/checkpoints")
    refused = command.refused("predict", *words.format(run=run, folder=tmp_path).split())
    assert message in refused


def test_a_text_that_is_too_long_is_refused(run, command):
    assert "must fit into 30 tokens, had 41" in command.refused(
        "predict", run, "a " * 40 + "[MASK]"
    )
