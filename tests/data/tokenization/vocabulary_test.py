import subprocess
import sys

import pytest

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import SPECIAL_TOKENS, train_vocabulary
from official_nlp.errors import InputError

_TRAIN = """
import sys
from official_nlp.data import train_vocabulary
train_vocabulary(sys.argv[1], sys.argv[2], size=300, progress=False)
"""

MIXED = """Der große Bär läßt die Bären größer.
中文文本，每个汉字都是一个词。中文。
Café naïve! Τα ελληνικά είναι γλώσσα. 日本語テキスト
"""


def train(text: str, tmp_path, **options) -> ElectraTokenizer:
    (tmp_path / "text.txt").write_text(text)
    options = {"size": 200, "min_frequency": 1, "progress": False} | options
    return train_vocabulary(tmp_path / "text.txt", tmp_path / "to", **options)


def test_special_tokens_come_first_and_the_folder_is_saved(text_file, tmp_path):
    tokenizer = train_vocabulary(text_file, tmp_path / "to", size=120, progress=False)
    assert tokenizer.vocab[:5] == SPECIAL_TOKENS
    assert tokenizer.pad_token_id == 0
    assert len(tokenizer.vocab) == len(set(tokenizer.vocab)) <= 120
    assert ElectraTokenizer.from_pretrained(tmp_path / "to").vocab == tokenizer.vocab
    assert {"the", "red", "boat"} <= set(tokenizer.vocab)
    assert tokenizer.tokenize("the boat") == ["the", "boat"]


def test_the_same_text_gives_the_same_vocabulary_in_every_process(text_file, tmp_path, repository):
    large = tmp_path / "text.txt"
    large.write_text(text_file.read_text() + MIXED * 20 + str(list(range(3000))))
    found = set()
    for number in range(3):
        arguments = [sys.executable, "-c", _TRAIN, large, tmp_path / str(number)]
        subprocess.run(arguments, check=True, cwd=repository)
        found.add((tmp_path / str(number) / "vocab.txt").read_bytes())
    assert len(found) == 1


def test_characters_of_any_script_become_tokens(tmp_path):
    tokenizer = train(MIXED, tmp_path)
    assert "[UNK]" not in tokenizer.tokenize(MIXED)
    # Chinese characters are words of their own, and continue none.
    assert "中" in tokenizer.vocab
    assert "##中" not in tokenizer.vocab
    assert "##テ" in tokenizer.vocab
    assert "##!" not in tokenizer.vocab
    assert "bar" in tokenizer.tokenize("Bär")


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({}, "u", "ü"),
        ({"lower_case": False}, "B", "\x00"),
        ({"lower_case": False}, "ä", "\x00"),
        ({"strip_accents": False}, "ä", "B"),
        ({"lower_case": False, "strip_accents": True}, "B", "ä"),
    ],
)
def test_case_and_accents(tmp_path, options, present, absent):
    tokenizer = train("Bär über Bär, under Ära ä B ü b u", tmp_path, **options)
    assert present in tokenizer.vocab
    assert absent not in tokenizer.vocab
    assert "[UNK]" not in tokenizer.tokenize("Bär über")


def test_rare_characters_and_pieces_are_omitted(tmp_path):
    tokenizer = train("aa aa bb ac", tmp_path, min_frequency=2)
    assert tokenizer.vocab[5:] == ["a", "b", "##a", "##b", "aa"]


def test_characters_leave_room_for_words(tmp_path):
    text = "word word word " + "".join(chr(0x4E00 + n) * 2 for n in range(500))
    tokenizer = train(text, tmp_path, size=64)
    assert "word" in tokenizer.vocab
    assert len(tokenizer.vocab) <= 64


def test_evenly_spaced_documents_of_a_large_text_are_used(tmp_path, capsys):
    text = "\n\n".join("even even\n\nodd odd" for _ in range(50))
    tokenizer = train(text, tmp_path, learn_bytes=len(text) * 2 // 3, progress=True)
    assert "even" in tokenizer.vocab
    assert "odd" not in tokenizer.vocab
    assert "trained on one in 2 documents" in capsys.readouterr().out


def test_size_and_fraction_of_unknown_tokens_are_printed(tmp_path, capsys):
    train("aa aa bb c", tmp_path, min_frequency=2, progress=True)
    shown = capsys.readouterr().out
    assert "vocabulary of 10 tokens (200 requested, but the text has no more pieces" in shown
    assert "20.000% of 5 tokens in a sample are unknown" in shown


@pytest.mark.parametrize(
    ("text", "options", "line"),
    [
        # Vowel signs of Hindi; "panda" and "solder", which differ by voicing marks only.
        (
            "\u0905\u092a\u0928\u0947 \u092e\u0947\u0902",
            {},
            "marks: 3 (42.86% of the characters): --keep",
        ),
        (
            "\u30d1\u30f3\u30c0 \u30cf\u30f3\u30c0",
            {},
            "marks: 3 (50.00% of the characters): --keep",
        ),
        ("caf\u00e9 " + "plain " * 100, {}, "marks: 1 (0.20% of the characters)\n"),
        ("caf\u00e9 " + "plain " * 9000, {}, "marks: 1 (below 0.01% of the characters)\n"),
        ("caf\u00e9 cafe\u0301", {"strip_accents": True}, "marks: 2 (22.22% of the characters)\n"),
        ("caf\u00e9 caf\u00e9", {"strip_accents": False}, ""),
        ("caf\u00e9 caf\u00e9", {"lower_case": False}, ""),
        ("zero\u200dwidth \x01", {}, "removed control and format characters: 2\n"),
        ("word " + "long" * 300_000 + " word", {}, "words of more than 100 characters, which are"),
        ("plain text", {}, ""),
    ],
)
def test_what_is_not_learned_from_is_counted_and_shown(tmp_path, capsys, text, options, line):
    tokenizer = train(text, tmp_path, progress=True, **options)
    _, _, shown = capsys.readouterr().out.partition("are unknown\n")
    assert line in shown
    assert shown.count("\n") == bool(line)
    assert "longlong" not in tokenizer.vocab


def test_words_that_punctuation_or_ideographs_split_are_learned_from(tmp_path, capsys):
    text = "ab-" * 100 + " " + "ab\u4e2d" * 100
    assert {"ab", "\u4e2d"} <= set(train(text, tmp_path, progress=True).vocab)
    assert "not learned" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "\n\n", "\x01"])
def test_an_empty_corpus_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"the files contain no text"):
        train(text, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 63}, "size must be at least 64 tokens, was 63"),
        ({"min_frequency": 0}, "were min_frequency=0"),
        ({"learn_bytes": 0}, "learn_bytes=0"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        train("text", tmp_path, **options)


def test_nothing_is_overwritten(tmp_path):
    train("text", tmp_path)
    with pytest.raises(InputError, match=r"to is not empty, and is not overwritten"):
        train("text", tmp_path)


def test_invalid_utf8_is_reported_with_its_file_and_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"a.txt, line 1: text must be UTF-8"):
        train_vocabulary(tmp_path / "a.txt", tmp_path / "to", progress=False)


@pytest.mark.parametrize(("name", "size"), [("zh_wikipedia_cmrc2018", 6000), ("de_books", 4000)])
def test_real_text_has_no_unknown_tokens(outside_data, tmp_path, name, size):
    file = outside_data / "data" / "corpus" / f"{name}.txt.gz"
    lower_case = not name.startswith("de")
    tokenizer = train_vocabulary(file, tmp_path / "to", size, lower_case, progress=False)
    assert tokenizer.vocab_size == size
    sample = {
        "zh_wikipedia_cmrc2018": "车站机关地址：湖南省株洲市石峰区北站路236号。",
        "de_books": "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte",
    }[name]
    assert "[UNK]" not in tokenizer.tokenize(sample)
