"""The recipes of GLUE read files in the layout of GLUE."""

import shutil

import pytest

from official_nlp.cli import main
from tests.tasks.finetuning import text_classification_test

folder = text_classification_test.folder

# Header and two rows of each training file; the development sets have the same columns.
FILES = {
    "cola": ["gj04\t1\t\tthe film was long", "gj04\t0\t*\tfilm the was"],
    "sst2": ["sentence\tlabel", "a great film\t1", "a dull film\t0"],
    "mrpc": ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t7\t8\ta\tb", "0\t9\t1\tc\td"],
    "stsb": ["index\tgenre\tsentence1\tsentence2\tscore", "0\tx\ta\tb\t5.0", "1\tx\tc\td\t3.8"],
    # As in the files of GLUE, a row has too few fields.
    "qqp": ["id\tquestion1\tquestion2\tis_duplicate", "0\ta\tb\t0", "1\tc\td\t1", "2\te"],
    "mnli": [
        "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
        "0\tx\ta\tb\tneutral\tneutral",
        "1\tx\tc\td\tentailment\tentailment",
    ],
    "qnli": ["index\tquestion\tsentence\tlabel", "0\ta\tb\tyes", "1\tc\td\tno"],
    "rte": ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\tyes", "1\tc\td\tno"],
    "wnli": ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\t1", "1\tc\td\t0"],
}
# Test files, which have other columns and no labels.
TESTS = {
    "cola": ["index\tsentence", "0\tthe film", "1\tfilm the"],
    "sst2": ["index\tsentence", "0\ta film", "1\ta dull story"],
    "mrpc": ["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t7\t8\ta\tb", "1\t9\t1\tc\td"],
    "stsb": ["index\tgenre\tsentence1\tsentence2", "0\tx\ta\tb", "1\ty\tc\td"],
    "qqp": ["id\tquestion1\tquestion2", "0\ta\tb", "1\tc\td"],
    "mnli": ["index\tgenre\tsentence1\tsentence2", "0\tx\ta\tb", "1\tx\tc\td"],
    "qnli": ["index\tquestion\tsentence", "0\ta\tb", "1\tc\td"],
    # Some copies have -1 in place of labels.
    "rte": ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\t-1", "1\tc\td\t-1"],
    "wnli": ["index\tsentence1\tsentence2", "0\ta\tb", "1\tc\td"],
}
SUBMISSIONS = {
    "cola": ["CoLA"],
    "sst2": ["SST-2"],
    "mrpc": ["MRPC"],
    "stsb": ["STS-B"],
    "qqp": ["QQP"],
    "mnli": ["AX", "MNLI-m", "MNLI-mm"],
    "qnli": ["QNLI"],
    "rte": ["RTE"],
    "wnli": ["WNLI"],
}


LABELS = {"mnli": {"neutral", "entailment"}, "qnli": {"yes", "no"}, "rte": {"yes", "no"}}


def write_data(folder, name):
    """Write the files of a task; return the names of the development and test sets."""
    dev, test = ["dev"], ["test"]
    if name == "mnli":
        dev = ["dev_matched", "dev_mismatched"]
        test = ["test_matched", "test_mismatched", "diagnostic"]
    folder.mkdir()
    for each in ["train", *dev, *test]:
        lines = (TESTS if each in test else FILES)[name]
        (folder / f"{each}.tsv").write_text("\n".join(lines) + "\n")
    return [each.removeprefix("dev_") for each in dev], test


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_reads_the_files_of_its_task(folder, tmp_path, monkeypatch, capsys, name):
    shutil.copytree(folder / "published", tmp_path / "published")
    dev, test = write_data(tmp_path / "data", name)
    monkeypatch.chdir(tmp_path)
    words = [name, "INIT=published", "DATA=data", "MODEL_DIR=run", "LENGTH=32", "--dry-run"]
    code = main.main(["train", *words])
    out, err = capsys.readouterr()
    assert (code, err) == (main.DONE, "")
    assert f"examples: training 2, {', '.join(f'{each} 2' for each in dev)}\n" in out
    for each in test:
        assert f"{each}.tsv: no labels; predictions are written at the end of a run" in out
    assert "nothing was trained or written" in out


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each == "mnli" else pytest.mark.slow) for each in FILES]
)
def test_a_run_writes_its_submission_to_glue(folder, tmp_path, monkeypatch, capsys, name):
    shutil.copytree(folder / "published", tmp_path / "published")
    write_data(tmp_path / "data", name)
    monkeypatch.chdir(tmp_path)
    words = [name, "INIT=published", "DATA=data", "MODEL_DIR=run", "LENGTH=32", "EPOCHS=1"]
    code = main.main(["train", *words, "EVALUATIONS=1", "BATCH_SIZE=2"])
    out, err = capsys.readouterr()
    assert (code, err) == (main.DONE, "")
    files = sorted((tmp_path / "run/predictions").iterdir())
    assert [file.stem for file in files] == SUBMISSIONS[name]
    labels = LABELS.get(name, {"0", "1"})
    for file in files:
        assert f"run/predictions/{file.name}" in out
        header, *lines = file.read_text().splitlines()
        assert header == "index\tprediction"
        assert [line.split("\t")[0] for line in lines] == ["0", "1"]
        for line in lines:
            value = line.split("\t")[1]
            if name == "stsb":
                assert 0 <= float(value) <= 5
                assert len(value) == len("0.000")
            else:
                assert value in labels
    # The command writes the same.
    test = "diagnostic" if name == "mnli" else "test"
    predict = ["predict", "run/model", "--file", f"data/{test}.tsv", "--to", "again.tsv"]
    assert main.main(predict) == main.DONE
    assert (tmp_path / "again.tsv").read_text() == files[0].read_text()
