import argparse
import errno
import functools
import gzip
import io
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from official_nlp.cli import main
from official_nlp.cli.commands import predict
from official_nlp.errors import InputError
from official_nlp.inference import input_files
from official_nlp.inference.predictor import Predictor
from official_nlp.output import counted
from tests.inference.conftest import build

SENTENCES = [f"Then the {a} {b} walks a green river and sings the old bird." for a in ("red", "old")
             for b in ("boat", "stone", "bird", "river")]  # fmt: skip


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    """Return the folder of a model by its name, or of a pair; not to be changed."""
    root = tmp_path_factory.mktemp("models")

    def save(name):
        folder = root / name
        if not folder.exists():
            parts = build(name)
            for part, each in parts.items() if name == "pair" else [("", parts)]:
                each.save_pretrained(folder / part)
                tokenizer.save_pretrained(folder / part)
        return str(folder)

    return save


# Each model is loaded once: to trace it takes longer than to run it.
load_of = functools.cache(Predictor.from_pretrained)


@pytest.fixture
def electra_predict(monkeypatch, tmp_path, capsys):
    """Run `electra predict` in an empty folder and return what it prints, in one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "from_pretrained", load_of)

    def run(*words):
        parser = argparse.ArgumentParser(prog="electra predict")
        predict.add_arguments(parser)
        predict.run(parser.parse_intermixed_args([str(word) for word in words]))
        return " ".join(capsys.readouterr().out.split())

    return run


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# === Printed results ===


def test_words_are_scored_and_blanks_filled(model, electra_predict):
    text = electra_predict(
        model("pair"), "The red boat [sings].", "the ___ boat", "def __init__(a):"
    )
    assert text.startswith("The red boat [sings].")
    assert "the ___ boat the generator's best: " in text
    # A name with underscores is a word, not a blank.
    assert "def __init__(a):" in text
    assert text.count("the generator's best") == 1
    assert text.count("%") >= 3 + 3 + 3


def test_a_text_file_has_one_text_per_line(model, electra_predict, tmp_path):
    (tmp_path / "lines.txt").write_text("red boat\n\n  \ngreen [MASK] river\n", encoding="utf-8")
    text = electra_predict(model("pair"), "old stone", "--file", "lines.txt")
    assert text.index("old stone") < text.index("red boat") < text.index("green [MASK] river")
    assert text.count("the generator's best") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("classification", ["the red boat", "a bird"]),
        ("classification", ["the red boat", "--pair", "a bird"]),
        ("questions", ["the red boat", "--pair", "a green bird sings"]),
        ("tokens", ["the red boat", "a bird"]),
        ("encoder", ["the red boat"]),
    ],
)
def test_other_results_are_printed_one_per_line(model, electra_predict, name, words):
    text = electra_predict(model(name), *words)
    for word in words:
        assert word.startswith("--") or word in text


def test_truncation_is_reported(model, electra_predict):
    text = electra_predict(model("classification"), "red " * 50)
    assert "warning: truncated 1 of 1 text or pair to 32 tokens" in text


def test_control_characters_are_printed_escaped(model, electra_predict):
    for name in ("discriminator", "classification"):
        text = electra_predict(model(name), "red \x1b[2J boat")
        assert "red \\x1b[2J boat" in text


# === JSON ===


@pytest.mark.parametrize(
    ("name", "inputs", "keys"),
    [
        (
            "classification",
            [{"text": "red"}, {"text": "old", "text_pair": "a bird"}],
            {"label", "score", "scores"},
        ),
        (
            "questions",
            [{"question": "a", "context": "b\u2028c d"}],
            {"answer", "start", "end", "score"},
        ),
        ("choices", [{"text": "red", "choices": ["boat", "bird"]}], {"choice", "scores"}),
        ("generator", [{"text": "the ___"}], {"fillings"}),
    ],
)
def test_results_are_written_one_object_per_input(
    model, electra_predict, tmp_path, name, inputs, keys
):
    # Other programs leave U+2028 as it is, which ends a line for str.splitlines.
    lines = [json.dumps(value, ensure_ascii=False) for value in inputs]
    (tmp_path / "in.jsonl").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    text = electra_predict(model(name), "--file", "in.jsonl", "--to", "out.jsonl")
    assert text == f"wrote out.jsonl: {counted(len(inputs), 'result')}"
    found = rows(tmp_path / "out.jsonl")
    assert len(found) == len(inputs)
    assert all(row.keys() == keys for row in found)


def test_texts_of_the_command_come_before_those_of_the_file(model, electra_predict, tmp_path):
    (tmp_path / "in.txt").write_text("\ufeffold stone\n", encoding="utf-8")
    electra_predict(model("pair"), "red", "___", "--file", "in.txt", "--to", "out.jsonl")
    first, second, third = rows(tmp_path / "out.jsonl")
    assert [word["text"] for word in first["words"]] == ["red"]
    assert list(second) == ["fillings"]
    assert [word["text"] for word in third["words"]] == ["old", "stone"]


# === Embeddings ===


def test_vectors_are_written_as_an_array_or_as_lines(model, electra_predict, tmp_path):
    words = ["--embeddings", "mean", "--to"]
    text = electra_predict(model("classification"), "red", "a boat", *words, "vectors.npy")
    assert text == "wrote vectors.npy: vectors of 2 texts"
    array = np.load(tmp_path / "vectors.npy")
    assert (array.shape, array.dtype) == ((2, 16), np.float32)
    electra_predict(model("classification"), "red", "a boat", *words, "vectors.jsonl")
    lines = rows(tmp_path / "vectors.jsonl")
    np.testing.assert_array_equal([line["embedding"] for line in lines], array)
    electra_predict(
        *(model("pair"), "red " * 50, "--pair", "boat", "--embeddings", "tokens"),
        *("--to", "vectors.jsonl", "--overwrite"),
    )
    (line,) = rows(tmp_path / "vectors.jsonl")
    assert list(line) == ["tokens", "vectors"]
    assert len(line["tokens"]) == len(line["vectors"]) == 32


def test_vectors_that_cannot_be_written_are_reported(model, electra_predict, monkeypatch):
    folder = model("encoder")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("official_nlp.files.atomic.sync", full)
    with pytest.raises(InputError, match=r"cannot write a\.npy: No space left"):
        electra_predict(folder, "a", "--embeddings", "cls", "--to", "a.npy")


# === Labels without training ===


@pytest.mark.parametrize(
    ("labels", "names"),
    [("bird, stone", ["bird", "stone"]), ("flies=bird,stone", ["flies", "stone"])],
)
def test_texts_are_classified_without_training(model, electra_predict, tmp_path, labels, names):
    words = ["the red boat", "a", "--labels", labels, "--template", "{text} a {label}."]
    electra_predict(model("pair"), *words, "--to", "out.jsonl")
    found = rows(tmp_path / "out.jsonl")
    assert [list(row["scores"]) for row in found] == [names, names]
    printed = electra_predict(model("pair"), *words)
    assert printed.startswith(f"the red boat {found[0]['label']} ")


# === Standard input ===


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("pair", "the red boat\n\nthe ___\n", "words"),
        ("classification", '\n{"text": "red", "text_pair": "a boat"}\n{"text": "old"}', "label"),
        ("choices", '{"text": "red", "choices": ["a", "b"]}\n' * 2, "choice"),
        # Braces alone make no JSON.
        ("classification", "{red}\n{boat}\n", "label"),
    ],
)
def test_standard_input_has_texts_or_objects(
    model, electra_predict, tmp_path, monkeypatch, name, content, key
):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    electra_predict(model(name), "--file", "-", "--to", "out.jsonl")
    first, second = rows(tmp_path / "out.jsonl")
    assert key in first
    assert (key in second) == (name != "pair")


def test_vectors_of_standard_input_are_written(model, electra_predict, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the boat\nred\n")))
    electra_predict(model("pair"), "--file", "-", "--embeddings", "cls", "--to", "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (2, 16)


@pytest.mark.parametrize("stream", [None, io.TextIOWrapper(io.BytesIO(b" \n"))])
def test_closed_or_empty_standard_input_has_no_texts(model, electra_predict, monkeypatch, stream):
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(InputError, match="predict needs a TEXT"):
        electra_predict(model("pair"), "--file", "-")


# === Word-swap test and page ===


@pytest.mark.parametrize(("name", "filled"), [("pair", 5), ("discriminator", 0)])
def test_swapped_words_are_ranked_and_written_as_a_page(
    model, electra_predict, tmp_path, name, filled
):
    (tmp_path / "held_out.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    options = ["--file", "held_out.txt", "--word-swaps", 7, "--html", "words [1].html"]
    text = electra_predict(model(name), "A <red> boat.", *options)
    assert "7 held-out sentences, one word of each swapped" in text
    assert text.count("predicted as replaced: ") == 7
    # Sentences of the test, with a blank in place of the swapped word.
    assert text.count("the generator's best") == filled
    assert "wrote words [1].html" in text
    content = (tmp_path / "words [1].html").read_text(encoding="utf-8")
    assert content.count("<tr><td>") == 7
    assert "</span> &lt;<span" in content
    assert content.count("&rarr;") == filled


def test_existing_files_are_replaced_on_request_only_and_as_a_whole(
    model, electra_predict, tmp_path, monkeypatch
):
    options = ["--to", "out.jsonl", "--html", "page.html", "--overwrite"]
    for name in ("out.jsonl", "page.html"):
        (tmp_path / name).write_text("old")
    electra_predict(model("discriminator"), "A red boat.", *options)
    assert len(rows(tmp_path / "out.jsonl")) == 1
    new = (tmp_path / "page.html").read_bytes()
    assert new.startswith(b"<!doctype html>")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("official_nlp.files.atomic.sync", full)
    with pytest.raises(InputError, match=r"cannot write page\.html: No space left"):
        electra_predict(model("discriminator"), "A boat.", "--html", "page.html", "--overwrite")
    assert (tmp_path / "page.html").read_bytes() == new
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "page.html"]


def test_a_pipe_is_written_without_a_request(model, electra_predict, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    electra_predict(model("discriminator"), "A red boat.", "--to", "pipe")
    reader.join()
    assert list(json.loads(received[0])) == ["words"]


# === Questions in the format of SQuAD ===

QUESTIONS = {
    "data": [
        {
            "paragraphs": [
                {"context": "a red boat", "qas": [{"id": "x", "question": "the boat"}]},
                {"context": "an old bird", "qas": [{"id": "y", "question": "the bird"}]},
            ]
        }
    ]
}


def test_a_file_of_questions_results_in_a_submission_or_in_lines(model, electra_predict, tmp_path):
    (tmp_path / "questions.json").write_text(json.dumps(QUESTIONS))
    words = ["--file", "questions.json", "--to"]
    text = electra_predict(model("questions"), *words, "answers.json")
    assert text == "wrote answers.json: 2 results"
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert answers["x"] in "a red boat"
    assert answers["y"] in "an old bird"
    electra_predict(model("questions"), *words, "answers.jsonl")
    assert [row["answer"] for row in rows(tmp_path / "answers.jsonl")] == list(answers.values())
    printed = electra_predict(model("questions"), "--file", "questions.json")
    assert "the boat | a red boat" in printed


def test_the_ids_of_questions_in_a_table_are_those_of_the_submission(
    model, electra_predict, tmp_path
):
    (tmp_path / "q.csv").write_text(
        "qid,frage,text\nx,the boat,a red boat\n7,the bird,an old bird\n"
    )
    words = ["--file", "q.csv", "--text", "frage", "--text-pair", "text", "--to", "answers.json"]
    electra_predict(model("questions"), *words)
    assert list(json.loads((tmp_path / "answers.json").read_text())) == ["x", "7"]


# === Tables ===

TABLE = 'id\tsentence1\tsentence2\n7\tthe red boat\ta "bird\n9\tan old bird\tred\n'


def test_a_table_results_in_a_submission_in_the_layout_of_glue(
    model, electra_predict, tmp_path, capsys
):
    (tmp_path / "test.tsv").write_text(TABLE)
    results = load_of(model("classification"))(
        [("the red boat", 'a "bird'), ("an old bird", "red")]
    )
    words = ["--file", "test.tsv", "--to", "RTE.tsv"]
    text = electra_predict(model("classification"), *words)
    assert text == "wrote RTE.tsv: 2 results"
    lines = (tmp_path / "RTE.tsv").read_text().splitlines()
    assert lines == ["index\tprediction", f"7\t{results[0].label}", f"9\t{results[1].label}"]
    # Texts of the command have no identifier, so that all are numbered.
    electra_predict(model("classification"), "a boat", *words, "--overwrite")
    assert [x.split("\t")[0] for x in (tmp_path / "RTE.tsv").read_text().split("\n")[1:4]] == list(
        "012"
    )


def test_what_is_inferred_is_printed_to_standard_error(model, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.tsv").write_text(TABLE)
    assert main.main(["predict", model("classification"), "--file", "test.tsv"]) == main.DONE
    out, err = capsys.readouterr()
    assert "columns of texts 'sentence1', second texts 'sentence2'; not used: 'id'" in err
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", 'text,n\n"the red, boat",1\na bird,2\n', ["the red, boat", "a bird"]),
        ("a.csv.gz", "text\nthe boat\n", ["the boat"]),
        ("a.jsonl", '{"sentence": "the \\u2028 boat", "label": 1}\n', ["the \u2028 boat"]),
        ("a.json", '[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
        ("a.parquet", ["the boat", "a bird"], ["the boat", "a bird"]),
        ("a.txt", "text\nthe\tboat\n", ["text", "the\tboat"]),
    ],
)
@pytest.mark.parametrize("head", ["classification", "discriminator"])
def test_every_format_of_training_is_read(
    model, electra_predict, tmp_path, name, content, expected, head
):
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": content}), tmp_path / name)
    else:
        data = content.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    electra_predict(model(head), "--file", name, "--to", "out.jsonl")
    results = load_of(model(head))(expected)
    assert rows(tmp_path / "out.jsonl") == [json.loads(each.to_json()) for each in results]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conll", "the\tO\nU.S.\tB-LOC\n\n-DOCSTART-\tO\n\nboat\tO\n"),
        ("b.conll.gz", "the\nU.S.\n\nboat\n"),
        ("a.jsonl", '{"tokens": ["the", "U.S."], "tags": [0, 1]}\n{"tokens": ["boat"]}\n'),
    ],
)
def test_words_of_a_file_are_tagged_as_they_are(model, electra_predict, tmp_path, name, content):
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    electra_predict(model("tokens"), "--file", name, "--to", "out.jsonl")
    assert [len(row["tags"]) for row in rows(tmp_path / "out.jsonl")] == [2, 1]
    assert electra_predict(model("tokens"), "--file", name).startswith("the U.S. ")


def test_choices_are_read_from_the_files_of_training(model, electra_predict, tmp_path):
    question = {"stem": "red", "choices": [{"label": x, "text": x} for x in "AB"]}
    lines = [{"id": "q1", "question": question}, {"id": "q2", "question": question}]
    (tmp_path / "test.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    electra_predict(model("choices"), "--file", "test.jsonl", "--to", "out.csv")
    header, *predictions = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "index,prediction"
    assert [line[:3] for line in predictions] == ["q1,", "q2,"]
    assert predictions[0][3:] in ("0", "1")


# === Errors ===


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pair", "predict needs a TEXT, or --file with at least one text"),
        ("pair a --word-swaps 5", "--word-swaps needs --file"),
        ("pair --word-swaps 3 --file text.txt", "no sentence of 12 to 24 words"),
        ("pair --word-swaps 3 --file text.txt --to new.jsonl", "--to writes predictions, and"),
        ("generator ___ --word-swaps 3 --file text.txt", "test needs a discriminator"),
        ("pair --file nothing.txt", "cannot read nothing.txt: No such file"),
        ("pair --file .", "cannot read .: Is a directory"),
        ("pair --file empty.txt", "predict needs a TEXT"),
        ("pair --file latin.txt", "latin.txt must be UTF-8 text, but byte 1 is not"),
        ("pair --file bad.jsonl", "bad.jsonl, line 2: this is no JSON"),
        ("pair --file list.jsonl", "list.jsonl, line 1: each row must be a JSON object such as"),
        ("pair --file no.csv", "cannot read 'no.csv': no such file"),
        ("pair --file text.txt --text a", "--text and --text-pair name columns of a table"),
        ("pair --file pairs.csv --text-pair b", "--text-pair belongs to --text"),
        ("pair --file pairs.csv --text c", "has no column 'c', which --text names"),
        ("pair --file pairs.csv", "has two columns of texts, 'sentence1', 'sentence2', and this"),
        ("pair --file pairs.csv --text sentence1 --text-pair sentence2", "--text-pair is for"),
        ("classification --file same.csv", "could hold the texts.*give --text, and --text-pair"),
        ("classification --file null.jsonl", "line 1: the text in column 'text' must be a string"),
        ("classification --file words.conll", "words.conll holds words, and this model takes a"),
        ("tokens --file words.conll --text a", "name columns of a table of texts, which words"),
        ("questions --file text.csv", "must have a column of questions and one of contexts"),
        ("choices --file pairs.csv", "pairs.csv has the columns .* none of multiple choice"),
        ("choices --file more.jsonl --text a", "name columns of a table of texts, which more"),
        ("tokens a --to a.tsv", "a.tsv is a table of labels, numbers or choices, which this model"),
        ("pair a --to text.txt", "--to text.txt exists and is not overwritten"),
        ("pair a --html text.txt", "--html text.txt exists and is not overwritten; .*--overwrite"),
        ("pair --file text.txt --html text.txt --overwrite", "text.txt is the file that is read"),
        ("pair a --to a --html ./a", "--to and --html must be two files, both are a"),
        ("pair a --html .", "cannot write .: Is a directory"),
        ("pair a --to no/new.jsonl", "cannot write no/new.jsonl: No such file"),
        ("pair a --html no/a.html", "cannot write no/a.html: No such file"),
        ("classification a --html a.html", "--html shows scored words and filled blanks, but"),
        ("classification --pair a", "--pair belongs to exactly one TEXT, got 0 texts"),
        ("classification a b --pair c", "--pair belongs to exactly one TEXT, got 2 texts"),
        ("pair a --pair b", r"input 1 must be a text, .*; got \('a', 'b'\)"),
        ("questions a", r"input 1 must be a pair \(question, context\)"),
        ("generator a", "the text has no blank to fill"),
        ("questions --file a.json", "a.json must be JSON in the format of SQuAD"),
        ("pair --file q.json", "q.json"),
        ("nowhere a", "nowhere"),
        ("pair --file a.json --labels a,b", "a.json"),
        ("pair a --template {text}{label}", "--template belongs to --labels"),
        ("pair a --labels bird,stone --html a.html", "leave --html and --word-swaps out"),
        ("generator a --labels bird,stone", "needs a discriminator with its head"),
        ("pair a --embeddings cls --labels a,b --to a.npy", "leave --html, --labels and"),
        ("pair a --embeddings cls", "--embeddings needs --to with a new .npy or .jsonl file"),
        ("pair a --embeddings tokens --to a.npy", "name a .jsonl file, or choose cls or mean"),
        ("pair a --embeddings cls --to a.npy --html a.html", "leave --html, --labels and"),
        ("pair a --to a.npy", "a.npy is an array, as --embeddings writes"),
        ("pair a --embeddings cls --to text.txt", "--to text.txt exists and is not overwritten"),
        ("decoder a --embeddings cls --to a.npy", "this is a decoder: use mean"),
    ],
)
def test_a_wrong_command_is_refused(model, electra_predict, tmp_path, words, message):
    files = {
        "text.txt": b"the red boat\n",
        "empty.txt": b" \n",
        "latin.txt": b"B\xe4r\n",
        "bad.jsonl": b'{"text": "a"}\n{"text": \n',
        "list.jsonl": b'"a"\n',
        "pairs.csv": b"sentence1,sentence2,x\na,b,1\nc,d,2\n",
        "same.csv": b"one,two\nthe red boat,a green old bird\nan old bird,a green boat\n",
        "text.csv": b"text\na\nb\n",
        "null.jsonl": b'{"text": null}\n',
        "words.conll": b"the\nboat\n",
        "more.jsonl": b'{"text": "a", "choices": ["b", "c"]}\n',
        "a.json": b"a",
        "q.json": json.dumps(QUESTIONS).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    name, *rest = words.split()
    source = "nowhere" if name == "nowhere" else model(name)
    with pytest.raises(InputError, match=message):
        electra_predict(source, *rest)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("bird,,stone", "must be words or NAME=WORD, with commas between them; got 'bird,,stone'"),
        ("good=,bad", "must be words or NAME=WORD"),
        ("bird,bird", "must differ, but 'bird' occurs twice"),
    ],
)
def test_labels_of_another_form_are_refused(labels, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        predict._labels(labels)


def test_an_endless_file_is_refused(model, electra_predict, monkeypatch):
    monkeypatch.setattr(input_files, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="/dev/zero must have at most 1,000 bytes, has more"):
        electra_predict(model("pair"), "--file", "/dev/zero")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet"])
def test_a_large_table_is_refused_before_the_model_is_loaded(
    electra_predict, tmp_path, monkeypatch, name
):
    rows = ["a red boat"] * 200
    if name.endswith("parquet"):
        pq.write_table(
            pa.table({"text": [f"{n} {row}" for n, row in enumerate(rows)]}), tmp_path / name
        )
    else:
        content = "\n".join(["text", *rows]).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    monkeypatch.setattr(input_files, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match=f"{name} must have at most 1,000 bytes, has more"):
        electra_predict("nowhere", "--file", name)


def test_a_run_of_another_task_has_no_text_predictor(electra_predict, tmp_path):
    (tmp_path / "run").mkdir()
    described = {"task": {"class": "my_package.tables.TableConfig", "config": {}}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="TableConfig, has no text predictor; give --file DATA"):
        electra_predict("run", "a")
