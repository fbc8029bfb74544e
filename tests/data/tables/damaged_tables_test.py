"""Damaged files of task data result in examples or in one clear error, whatever the damage is."""

import gzip
import json
import random

import pytest

from official_nlp.data.tables.choices import read_choices
from official_nlp.data.tables.columns import infer_columns, texts
from official_nlp.data.tables.conll import read_conll
from official_nlp.data.tables.labels import encode, infer_problem
from official_nlp.data.tables.squad import read_squad
from official_nlp.data.tables.table import read_table
from official_nlp.errors import InputError
from tests import damage

CASES = 150
QUESTION = {
    "question": {
        "stem": "?",
        "choices": [{"label": "A", "text": "a"}, {"label": "B", "text": "b"}],
    },
    "answerKey": "B",
}
SQUAD_QUESTION = {"id": "1", "question": "?", "answers": [{"text": "c", "answer_start": 3}]}
SQUAD = {
    "version": "1.1",
    "data": [{"title": "t", "paragraphs": [{"context": "ab c", "qas": [SQUAD_QUESTION]}]}],
}


def read_examples(file):
    """Read a table as fine-tuning does."""
    table = read_table(file)
    columns = infer_columns(table)
    texts(table, columns.text)
    labels = table.values(columns.label)
    encode(infer_problem(labels, where=table.where), labels, table.where)


def parquet() -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"text": ["a b", "c d", "e"] * 9, "label": ["x", "y", "x"] * 9})
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


FILES = {
    "a.tsv": (b'text\tlabel\ngood\t1\n\nbad "x\t0\n', read_examples),
    "a.csv": (b'text,label\n"go\nod",1\nb""ad,0\n', read_examples),
    "a.csv.gz": (gzip.compress(b"text,label\n" + b"good,1\nbad,0\n" * 9, mtime=0), read_examples),
    "a.jsonl": (
        b'{"text": "a", "label": [1, "b"]}\n{"text": "\\ud800", "label": []}\n',
        read_examples,
    ),
    "a.json": (b'[{"text": "a", "label": 1},\n {"text": "\\u00e9", "label": 0}]', read_examples),
    "a.parquet": (None, read_examples),
    "a.conll": (b"-DOCSTART- O\n\na B-X\nb I-X\n\nc O\n", read_conll),
    "squad.json": (json.dumps(SQUAD).encode(), read_squad),
    "choices.jsonl": (json.dumps(QUESTION).encode(), read_choices),
    "choices.json": (b'{"text": "a", "choices": ["b", "c"], "label": 1}', read_choices),
    "swag.csv": (b"sent1,sent2,ending0,ending1,label\na,b,c,d,1\n", read_choices),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(tmp_path, name, record_property):
    record_property(damage.TRIED, CASES)
    content, read = FILES[name]
    # pyarrow is imported when the test runs, not when tests are collected.
    content = parquet() if content is None else content
    file = tmp_path / name
    file.write_bytes(content)
    read(file)
    refused = 0
    for seed in range(CASES):
        # Values of another type hide where the bytes stay valid JSON.
        as_json = name.startswith(("squad", "choices")) and random.Random(seed).random() < 0.5
        file.write_bytes((damage.json_of if as_json else damage.bytes_of)(content, seed))
        try:
            read(file)
        except InputError:
            refused += 1
    assert refused > CASES // 10
