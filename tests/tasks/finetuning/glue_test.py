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
    "qqp": ["id\tquestion1\tquestion2\tis_duplicate", "0\ta\tb\t0", "1\tc\td\t1"],
    "mnli": [
        "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
        "0\tx\ta\tb\tneutral\tneutral",
        "1\tx\tc\td\tentailment\tentailment",
    ],
    "qnli": ["index\tquestion\tsentence\tlabel", "0\ta\tb\tyes", "1\tc\td\tno"],
    "rte": ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\tyes", "1\tc\td\tno"],
    "wnli": ["index\tsentence1\tsentence2\tlabel", "0\ta\tb\t1", "1\tc\td\t0"],
}


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_reads_the_files_of_its_task(folder, tmp_path, monkeypatch, capsys, name):
    shutil.copytree(folder / "published", tmp_path / "published")
    sets = ["train", "dev_matched", "dev_mismatched"] if name == "mnli" else ["train", "dev"]
    (tmp_path / "data").mkdir()
    for each in sets:
        (tmp_path / f"data/{each}.tsv").write_text("\n".join(FILES[name]) + "\n")
    monkeypatch.chdir(tmp_path)
    words = [name, "INIT=published", "DATA=data", "MODEL_DIR=run", "LENGTH=32", "--dry-run"]
    code = main.main(["train", *words])
    out, err = capsys.readouterr()
    assert (code, err) == (main.DONE, "")
    names = [each.removeprefix("dev_") for each in sets[1:]]
    assert f"examples: training 2, {', '.join(f'{each} 2' for each in names)}" in out
    assert "nothing was trained or written" in out
