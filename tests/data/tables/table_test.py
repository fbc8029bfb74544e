"""Tests of reading tables: formats, separators, headers, and all that a file can do wrong."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies

from official_nlp.data import corpus
from official_nlp.data.tables import table, text_files
from official_nlp.data.tables.header import has_header
from official_nlp.data.tables.separator import infer_separator
from official_nlp.errors import InputError

ROWS = [{"text": "good", "label": "1"}, {"text": "bad", "label": "0"}]


def write(file, content: str | bytes):
    content = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)
    return file


def message(file, **options) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(InputError) as error:
        table.read_table(file, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.tsv", "text\tlabel\ngood\t1\nbad\t0\n", "TSV, with a header; 2 rows"),
        ("a.tsv.gz", "text\tlabel\ngood\t1\nbad\t0", "TSV, with a header; 2 rows"),
        ("a.txt", "text\tlabel\r\ngood\t1\r\nbad\t0\r\n", "TSV, with a header; 2 rows"),
        ("a.TSV", "\ufefftext\tlabel\ngood\t1\nbad\t0\n", "TSV, with a header; 2 rows"),
        ("a.csv", "text,label\ngood,1\nbad,0\n", "CSV separated by ',', with a header; 2 rows"),
        ("a.csv.gz", 'text;label\n"good";1\nbad;"0"',
         "CSV separated by ';', with a header; 2 rows"),
        ("a.csv", "\ufeff\"text\"\tlabel\r\ngood\t1\r\nbad\t0\r\n",
         "CSV separated by tabs, with a header; 2 rows"),
        ("a.csv", "text|label\ngood|1\nbad|0\n", "CSV separated by '|', with a header; 2 rows"),
        ("a.jsonl", '{"text":"good","label":"1"}\n{"text":"bad","label":"0"}',
         "JSON lines; 2 rows"),
        ("a", '\n{"text":"good","label":"1"}\r\n\n{"text":"bad","label":"0"}\n',
         "JSON lines; 2 rows"),
        ("a.json.gz", '[{"text":"good","label":"1"},\n{"text":"bad","label":"0"}]\n',
         "JSON array; 2 rows"),
    ],
)  # fmt: skip
def test_every_text_format_has_the_same_rows(tmp_path, name, content, note):
    read = table.read_table(write(tmp_path / name, content))
    assert read.path == tmp_path / name
    assert read.columns == ("text", "label")
    assert read.rows == ROWS
    assert read.notes == (f"{name}: {note}",)


def test_rows_know_their_lines(tmp_path):
    file = write(tmp_path / "a.csv", 'text,label\n"two\nlines",1\n\nbad,0\n')
    read = table.read_table(file)
    assert read.lines == [2, 5]
    assert read.where(1) == f"{file}, line 5"
    assert read.values("text") == ["two\nlines", "bad"]
    assert read.notes[1] == "a.csv: left out 1 blank line: line 4"


def test_rows_of_a_json_array_know_their_lines(tmp_path):
    content = '[\n  {"text": "a",\n   "label": 1},\n\n  {"text": "b"}\n]\n'
    read = table.read_table(write(tmp_path / "a.json", content))
    assert read.lines == [2, 5]
    assert read.rows == [{"text": "a", "label": 1}, {"text": "b", "label": None}]
    assert read.notes == ("a.json: JSON array; 2 rows", "a.json: missing in some rows: 'label'")


def test_quotes_of_a_tsv_file_are_text(tmp_path):
    content = 'sentence\tlabel\n"open\t1\nan "inner" one\t0\n"all"\t1\n'
    read = table.read_table(write(tmp_path / "a.tsv", content))
    assert read.values("sentence") == ['"open', 'an "inner" one', '"all"']
    assert len(read.notes) == 1


def test_a_tsv_file_that_was_written_with_quotes_is_noted(tmp_path):
    content = 'sentence\tlabel\n"he said ""no"""\t1\n"b"\t"0"\n'
    read = table.read_table(write(tmp_path / "a.tsv", content))
    assert read.values("label") == ["1", '"0"']
    assert read.notes[1].startswith("a.tsv: 2 rows with fields in quotes: TSV has no quoting")


def test_fields_of_csv_may_be_longer_than_the_limit_of_the_csv_module(tmp_path):
    text = "word " * 40_000
    read = table.read_table(write(tmp_path / "a.csv", f"text,label\n{text},1\n"))
    assert read.values("text") == [text]


def test_values_of_json_keep_their_types(tmp_path):
    row = {"text": "a", "n": 1, "x": 0.5, "yes": True, "none": None, "list": ["a", 1, None]}
    read = table.read_table(write(tmp_path / "a.jsonl", json.dumps(row | {"deep": {"a": 1}})))
    assert read.rows == [row]
    assert read.notes[1].endswith("than texts, numbers and lists of these: 'deep'")


def test_lone_surrogates_of_json_become_the_replacement_character(tmp_path):
    content = rb'{"text": "a\ud800b", "labels": ["\ud83d\ude00", "\udc00"], "o": {"\ud800": 1}}'
    read = table.read_table(write(tmp_path / "a.jsonl", content))
    assert read.rows == [{"text": "a�b", "labels": ["😀", "�"]}]


# === Header and separator ===
COLA = "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThe more we study verbs.\n"


def test_a_file_without_header_has_numbered_columns(tmp_path):
    read = table.read_table(write(tmp_path / "train.tsv", COLA))
    assert read.columns == ("0", "1", "2", "3")
    assert read.values("1") == ["1", "0"]
    assert read.values("2") == ["", "*"]
    assert read.lines == [1, 2]
    assert read.notes == ("train.tsv: TSV, without a header; 2 rows",)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("sentence label|fine 1|bad 0", True),
        ("index sentence1 sentence2 label|0 a b entailment", True),
        ("Quality #1_ID #2_ID|1 702 703", True),
        ("wort klasse|gut 1|schlecht 0", True),  # a text above numbers
        ("7 gut|8 schlecht", False),  # a number above numbers
        ("gut a|schlecht b|schoen a", False),  # the first cell recurs
        ("what label|where label", False),  # a well-known name recurs: it is a class
        ("Satz Klasse|Gut! a|Schlecht! b", True),
        ("Gut! a|Schlecht! b", False),
        ("a a|b c", False),
        ("text", True),
    ],
)
def test_the_header_is_inferred(rows, expected):
    assert has_header([row.split(" ") for row in rows.split("|")]) == expected


def test_the_header_can_be_stated(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tlabel\ngood\t1\n")
    assert table.read_table(file, header=False).columns == ("0", "1")
    file = write(tmp_path / "a.tsv", "3\t4\n5\t6\n")
    assert table.read_table(file, header=True).rows == [{"3": "5", "4": "6"}]


def test_the_column_of_row_numbers_of_pandas_is_named_index(tmp_path):
    read = table.read_table(write(tmp_path / "a.csv", ",text,label\n0,good,1\n1,bad,0\n"))
    assert read.columns == ("index", "text", "label")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("text,label\na;b,1\nc,0\n", ","),
        ("text;label\na, b;1\nc;0\n", ";"),
        ("text;label\na, b;1\nc, d;0\n", ";"),
        ("1;Hello, you\n0;Hello, all\n", ","),  # both fit
        ("label;Hello, you\n0;Hello, all\n", ";"),  # one makes a well-known name
        ("a|b\n1|2\n", "|"),
        ('a,b\n"x\n;y",2\n', ","),
        ("text\ngood\nbad, really\n", ","),
    ],
)
def test_the_separator_is_inferred(start, expected):
    assert infer_separator(start, complete=True) == expected


def test_the_separator_can_be_stated(tmp_path):
    file = write(tmp_path / "a.txt", "text:label\ngood:1\n")
    assert table.read_table(file, separator=":").rows == ROWS[:1]
    file = write(tmp_path / "a.tsv", '"text"\tlabel\ngood\t1\n')
    assert table.read_table(file, format="csv", separator="tab").rows == ROWS[:1]
    assert table.read_table(file, separator="\\t").columns == ('"text"', "label")


def test_a_file_of_one_column_is_a_table(tmp_path):
    read = table.read_table(write(tmp_path / "a.csv", 'text\n"a, b"\nc\n'))
    assert read.rows == [{"text": "a, b"}, {"text": "c"}]
    assert read.notes == ("a.csv: CSV of one column, with a header; 2 rows",)


# === Rows that do not fit ===
def test_a_row_with_another_number_of_fields_is_refused(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tlabel\ngood\t1\nbad\n")
    expected = f"{file}, line 3: expected 2 fields as in the header, found 1: ['bad']; "
    assert message(file).startswith(expected)
    file = write(tmp_path / "a.csv", "1,a\n2,b,c\n")
    assert "line 2: expected 2 fields as in the first row, found 3" in message(file)


def test_broken_rows_can_be_left_out(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tlabel\nx\ngood\t1\ny\nbad\t0\na\tb\tc\nz\n")
    read = table.read_table(file, skip_broken_rows=True)
    assert read.rows == ROWS
    assert read.notes[1] == (
        "a.tsv: left out 4 rows with another number of fields than 2: lines 2, 4, 6, ..."
    )
    file = write(tmp_path / "a.tsv", "text\tlabel\nx\n")
    assert "no row has as many fields as the first one, which has 2" in message(
        file, skip_broken_rows=True
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # The quote, and not the row, is named.
        ('text,label\n"a\nb","c\nd\n', "line 3: the quote before 'c\\nd\\n' has no partner"),
        ('text,label\na,"b"c\n', "line 2: the quote before 'b\"c\\n' ends in line 2 before"),
        ('text,label\n"a\nb" c,d\n', "line 2: the quote before 'a\\nb\" c,d\\n' ends in line 3"),
        ("text,label\na,b\rc,d\n", "line 2: a CR stands outside of quotes"),
    ],
)
def test_wrong_quotes_are_refused(tmp_path, content, expected):
    assert expected in message(write(tmp_path / "a.csv", content))


def test_the_size_of_a_row_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "ROW_CHARACTERS", 100)
    file = write(tmp_path / "a.csv", 'text,label\n"a' + "\nb" * 100 + '",1\n')
    assert "line 2: the quote before" in message(file)
    assert "has no partner within 101 characters" in message(file)
    for name in ("a.tsv", "a.jsonl"):
        file = write(tmp_path / name, "a" * 101 + "\n")
        assert "line 1: a row may have at most 100 characters" in message(file)


def test_the_size_of_an_array_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_LARGEST", 100)
    file = write(tmp_path / "a.json", json.dumps([{"text": "a" * 100}]))
    assert "must have at most 100 characters" in message(file)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        ("text\tlabel\nä\t1\n".encode("utf-16"), "this looks like UTF-16; convert it with iconv"),
        ("text,label\nlong enough,1\n".encode("utf-16-le"), "this looks like UTF-16LE"),
        (b"PK\x03\x04", "is a zip archive: unpack it"),
        (b"%PDF-1.4", "is a PDF document: export it as CSV, JSON lines or Parquet"),
    ],
)  # fmt: skip
def test_what_is_no_text_in_utf8_is_refused(tmp_path, name, content, expected):
    assert expected in message(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.tsv", "text\tlabel\ngood\t"),
        ("a.csv", "text,label\ngood,"),
        ("a.jsonl", '{"text": "some words"}\n'),
        ("a.json", '[{"text":\n"'),
    ],
)
def test_wrong_bytes_are_refused_with_their_line(tmp_path, name, start):
    file = write(tmp_path / name, start.encode() + b"\xe4\n")
    assert message(file) == (
        f"{file}, line 2: text must be UTF-8, but byte {len(start)} of the text, 0xe4, is not; "
        "convert it with iconv"
    )
    file = write(tmp_path / name, start.encode() + b"\0\n")
    assert f"{file}, line 2: byte {len(start)} of the text is NUL" in message(file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label\n", "has a header, ['text', 'label'], but no rows: add rows"),
        (
            "text,text\na,b\n",
            "line 1: two columns are named 'text'; the columns are 'text', 'text'",
        ),
        ("text, \na,b\n", "line 1: column 2 has no name; the columns are 'text', ''"),
        (",index,text\n0,1,a\n", "line 1: column 1 has no name"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, content, expected):
    assert expected in message(write(tmp_path / "a.csv", content))


def test_ends_of_lines_of_old_systems_are_refused(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tlabel\rgood\t1\r")
    assert message(file, header=True).endswith("end in CR alone; convert it with tr '\\r' '\\n'")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "a"}\n{"text": \n', "line 2: this is no JSON (Expecting value)"),
        ('{"text": "a"}\n\n["b"]\n', "line 3: each row must be a JSON object such as"),
        ('[{"text": "a"},\n\n 3]', "line 3: each row must be a JSON object such as"),
        ('[{"text": "a"},\n{"text":\n 3 4}]', "line 3: this is no JSON (Expecting ',' delimiter)"),
        ('[{"text": "a"},\n', "line 2: this is no JSON (Expecting value)"),
        ('[{"text": "a"}]\n{"text": "b"}', "line 1: this is no JSON (more text follows the array)"),
        ("[" * 100_000, "line 1: this is no JSON (maximum recursion depth"),
        ('{"a": ' + "9" * 5000 + "}", "line 1: this is no JSON (Exceeds the limit"),
        ("[]", "has no rows: each row must be a JSON object"),
        ('{"": 1}', "column 1 has no name"),
    ],
)
def test_wrong_json_is_refused(tmp_path, content, expected):
    assert expected in message(write(tmp_path / "a.json", content))


def test_a_damaged_gzip_file_is_refused(tmp_path):
    file = tmp_path / "a.tsv.gz"
    lines = "".join(f"{number * 7919} a sentence\t{number % 2}\n" for number in range(10_000))
    whole = gzip.compress(f"text\tlabel\n{lines}".encode())
    file.write_bytes(whole[: len(whole) // 2])
    assert "is not a complete gzip file" in message(file)
    file.write_bytes(whole[:20])
    assert "is not a complete gzip file" in message(file)
    file.write_bytes(b"text\tlabel\n")
    assert "it does not start like one" in message(file)


# === Paths, formats and arguments ===
def test_what_is_no_file_is_refused(tmp_path):
    assert "no such file; check its path" in message(tmp_path / "a.tsv")
    assert "null" in message("a\0.tsv")
    assert "is a folder: give the file itself" in message(tmp_path)
    os.mkfifo(tmp_path / "b.tsv")
    assert "is a pipe or a device" in message(tmp_path / "b.tsv")
    assert "is a spreadsheet: save its sheet as CSV" in message(write(tmp_path / "a.xlsx", b"PK"))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "a.tsv",
            {"format": "excel"},
            "format must be one of tsv, csv, jsonl, parquet, was 'excel'",
        ),
        ("a.csv", {"separator": "::"}, "separator must be one character"),
        ("a.csv", {"separator": '"'}, "separator must be one character"),
        ("a.tsv", {"separator": ","}, "separator is for CSV files, but the format is tsv"),
        ("a.data", {}, "its name does not tell the format of the table"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, name, options, expected):
    assert expected in message(write(tmp_path / name, "text,label\ngood,1\n"), **options)


def test_a_suffix_that_contradicts_the_content_is_refused(tmp_path):
    file = write(tmp_path / "a.csv", '{"text": "a"}\n')
    assert message(file).endswith(
        "is named like csv, but its content is jsonl: name it .jsonl, or state its format"
    )
    assert table.read_table(file, format="jsonl").rows == [{"text": "a"}]


# === Parquet ===
def write_parquet(file, columns: dict, features: dict | None = None):
    import pyarrow
    import pyarrow.parquet

    written = pyarrow.table(columns)
    if features is not None:
        description = json.dumps({"info": {"features": features}})
        written = written.replace_schema_metadata({"huggingface": description})
    pyarrow.parquet.write_table(written, file)
    return file


def test_a_parquet_file_has_the_types_of_its_columns(tmp_path):
    columns = {"text": ["a", None], "label": [1, 0], "tags": [["x"], []], "deep": [{"a": 1}] * 2}
    file = write_parquet(tmp_path / "a.parquet", columns)
    read = table.read_table(file)
    assert read.rows == [
        {"text": "a", "label": 1, "tags": ["x"]},
        {"text": None, "label": 0, "tags": []},
    ]
    assert read.where(1) == f"{file}, row 2"
    assert read.notes[0] == "a.parquet: Parquet; 2 rows"
    assert "left out" in read.notes[1]
    file.rename(tmp_path / "download")
    assert table.read_table(tmp_path / "download").rows == read.rows


def test_numbers_of_classes_in_parquet_become_their_names(tmp_path):
    names = {"_type": "ClassLabel", "names": ["neg", "pos"]}
    features = {
        "label": names,
        "tags": {"_type": "Sequence", "feature": names},
        "text": {"_type": "Value"},
        "odd": {"_type": "ClassLabel", "names": 3},
        "absent": names,
    }
    columns = {"text": ["a", "b"], "label": [1, -1], "tags": [[0], [1, 0]], "odd": [1, 2]}
    rows = table.read_table(write_parquet(tmp_path / "a.parquet", columns, features)).rows
    assert [row["label"] for row in rows] == ["pos", None]
    assert [row["tags"] for row in rows] == [["neg"], ["pos", "neg"]]
    assert [row["odd"] for row in rows] == [1, 2]
    rows = table.read_table(write_parquet(tmp_path / "a.parquet", columns, {"label": []})).rows
    assert [row["label"] for row in rows] == [1, -1]


def test_a_wrong_parquet_file_is_refused(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", {"text": ["a"] * 100})
    write(tmp_path / "cut.parquet", file.read_bytes()[:200])
    assert "is no complete Parquet file" in message(tmp_path / "cut.parquet")
    assert "is no complete Parquet file" in message(write(tmp_path / "b.parquet", "text"))
    assert "has no rows" in message(write_parquet(tmp_path / "c.parquet", {"text": []}))
    assert "column 1 has no name" in message(write_parquet(tmp_path / "d.parquet", {"": ["a"]}))


# === Properties ===
cells = strategies.text(
    strategies.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | strategies.sampled_from(['"', "a,b", "a\nb", "a\r\nb", ' "x"', "\r", "''", ";"])


@hypothesis.given(
    strategies.integers(1, 4).flatmap(
        lambda width: strategies.lists(
            strategies.lists(cells, min_size=width, max_size=width), min_size=1, max_size=5
        )
    ),
    strategies.sampled_from([",", ";", "\t", "|"]),
    strategies.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, separator, quoting):
    names = [f"column {number}" for number in range(len(rows[0]))]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=quoting).writerows([names, *rows])
    file = write(tmp_path_factory.getbasetemp() / "written.csv", text.getvalue())
    read = table.read_table(file, separator=separator, header=True)
    assert read.columns == tuple(names)
    assert [list(row.values()) for row in read.rows] == rows


# === Data of GLUE, and imports ===
@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("SST-2/dev.tsv", ("sentence", "label"), 872),
        ("RTE/train.tsv", ("index", "sentence1", "sentence2", "label"), 2490),
        ("STS-B/dev.tsv", ("index", "genre", "filename", "year", "old_index", "source1", "source2",
                           "sentence1", "sentence2", "score"), 1500),
        ("blimp/passive_1.jsonl", ("sentence_good", "sentence_bad", "field", "linguistics_term",
                                   "UID", "pairID"), 200),
    ],
)  # fmt: skip
def test_data_of_benchmarks_is_read(outside_data, name, columns, rows):
    read = table.read_table(outside_data / "data" / name)
    assert read.columns == columns
    assert len(read.rows) == rows
    assert len(read.notes) == 1


def test_reading_tables_imports_no_large_library(repository):
    modules = ("table", "columns", "labels", "splits", "conll", "squad", "choices")
    program = "import sys\n" + "".join(
        f"import official_nlp.data.tables.{name}\n" for name in modules
    )
    large = "{'tensorflow', 'tf_keras', 'numpy', 'pyarrow', 'sentencepiece', 'tokenizers'}"
    program += f"assert not {large} & set(sys.modules), {large} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repository)
