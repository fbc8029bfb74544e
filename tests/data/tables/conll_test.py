"""Tests of reading tagged sentences."""

import gzip

import pytest

from official_nlp.data.tables.conll import has_tags, read_conll
from official_nlp.errors import InputError

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC

Peter NNP I-NP I-PER
-DOCSTART- -X- -X- O
Blackburn NNP I-NP I-PER

"""


def write(file, content: str | bytes):
    content = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)
    return file


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("anna B-PER\n", (0, -1), True),
        ("anna O\nmüller _\n", (0, -1), True),
        ("-DOCSTART- -X- O\n\nanna _\n\nsaw _\n", (0, -1), False),
        ("anna\nsaw\n", (0, -1), False),
        ("1\tanna\n2\tsaw\n", (1, -1), False),
        ("1\tanna\n2\tsaw\n", (1, 2), False),
        ("1 anna _\n2 saw X\n", (1, 2), True),
    ],
)
def test_a_file_without_tags_is_recognized(tmp_path, content, columns, expected):
    file = write(tmp_path / "test.txt", content)
    assert has_tags(file, *columns) is expected


@pytest.mark.parametrize("name", ["eng.train", "train.txt.gz"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_blank_lines_and_documents_separate_sentences(tmp_path, name, ends):
    file = write(tmp_path / name, CONLL_2003.replace("\n", ends))
    read = read_conll(file)
    assert read.sentences == [
        (("EU", "rejects", "German"), ("I-ORG", "O", "I-MISC"), 3),
        (("Peter",), ("I-PER",), 7),
        (("Blackburn",), ("I-PER",), 9),
    ]
    assert read.where(1) == f"{file}, line 7"
    assert read.scheme == "IOB1"
    assert read.notes == (
        f"{name}: 3 sentences, 5 words; tags of scheme IOB1",
        f"{name}: left out 2 lines with -DOCSTART-",
    )


def test_columns_can_be_chosen(tmp_path):
    file = write(tmp_path / "a.txt", CONLL_2003)
    read = read_conll(file, token_column=1, tag_column=-2)
    assert read.sentences[0][:2] == (("NNP", "VBZ", "JJ"), ("I-NP", "I-VP", "I-NP"))
    read = read_conll(file, tag_column=1)
    assert read.scheme == "none"
    assert read.notes[0] == "a.txt: 3 sentences, 5 words; tags of no scheme"


def test_columns_are_separated_by_tabs_if_there_are_any(tmp_path):
    read = read_conll(write(tmp_path / "a.tsv", "New York\tB-LOC\n  \nis\tO\n\t\nbig\tO"))
    assert [sentence.tokens for sentence in read.sentences] == [("New York",), ("is",), ("big",)]


def test_columns_may_be_aligned_by_spaces(tmp_path):
    content = "\ufeff EU     B-ORG \nno\u00a0break  \t O\n"
    read = read_conll(write(tmp_path / "a.txt", content.replace("\t", " ")))
    assert read.sentences == [(("EU", "no\u00a0break"), ("B-ORG", "O"), 1)]


def test_broken_tags_are_counted_and_stay(tmp_path):
    read = read_conll(write(tmp_path / "a.txt", "a B-X\nb I-Y\n\nc B-X\nd I-X\n"))
    assert read.sentences[0].tags == ("B-X", "I-Y")
    assert read.notes[1] == "a.txt: 1 tag not valid in IOB2, read as the CoNLL evaluation does"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a O\nb\n", {}, "line 2: expected 2 columns as in the first line, found 1: 'b'"),
        ("a\tO\n\tO\n", {}, "line 2: the token is empty; correct the line"),
        ("a\tO\nb\t\n", {}, "line 2: the tag is empty; correct the line"),
        ("a O\n", {"tag_column": 2},
         "line 1: there is no tag column 2, because the line has 2 columns: 'a O'; give a column "
         "from 0 to 1"),
        ("a O\n", {"token_column": -3}, "there is no token column -3"),
        ("word\n", {}, "line 1: words and tags are in the same column, 0: 'word'"),
        ("a O\n", {"token_column": 1}, "words and tags are in the same column, 1"),
        ("-DOCSTART- O\n\n", {}, "has no sentence: each line must have a word and its tag"),
        ("", {}, "is empty"),
        (b"a O\n\n\xff O\n", {}, "line 3: text must be UTF-8"),
    ],
)  # fmt: skip
def test_lines_that_do_not_fit_are_refused(tmp_path, content, options, expected):
    with pytest.raises(InputError) as error:
        read_conll(write(tmp_path / "a.txt", content), **options)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "scheme", "sentences", "words"),
    [
        ("ner_wikigold/dev.txt", "IOB1", 169, 3846),
        ("ner_wikiann_en/dev.tsv", "IOB2", 2000, 16060),
    ],
)
def test_data_of_named_entities_is_read(outside_data, name, scheme, sentences, words):
    read = read_conll(outside_data / "data" / name)
    assert (read.scheme, len(read.sentences)) == (scheme, sentences)
    assert sum(len(sentence.tokens) for sentence in read.sentences) == words
    assert len(read.notes) == 1
