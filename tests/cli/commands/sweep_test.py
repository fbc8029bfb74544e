"""`electra sweep`: fine-tune the checkpoints of a run, and show the metric over the step."""

import json
import shutil

import pytest

from official_nlp.cli import main, recipe_runs
from official_nlp.errors import NotFiniteError, Preempted
from tests import made_once
from tests.cli.commands.conftest import contents, electra

SETTINGS = ["LENGTH=16", "BATCH_SIZE=8", "EPOCHS=1", "EVALUATIONS=1", "KEEP_BEST=loss"]


def with_checkpoints(run, folder, *steps):
    """A copy of the run that has retained these of its checkpoints 8, 12 and 14."""
    shutil.copytree(run, folder)
    for step in {8, 12, 14}.difference(steps):
        (folder / f"checkpoints/ckpt-{step}.index").unlink()
    return folder


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """A folder with tables of texts that the vocabulary of the run knows."""
    folder = tmp_path_factory.mktemp("texts of sweeps")
    for name, count in (("train", 16), ("dev", 8)):
        rows = [f"the old {'bird' if n % 2 else 'boat'}\t{'ab'[n % 2]}" for n in range(count)]
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def words(texts):
    """The words after `electra` for a sweep: `words(run, to, ...)`."""

    def make(run, to, *more):
        data = [f"DATA={texts / 'train.tsv'}", f"DEV={texts / 'dev.tsv'}"]
        return ["sweep", run, "text_classification", *data, *SETTINGS, "--to", to, *more]

    return make


@pytest.fixture(scope="session")
def made(tmp_path_factory, run, words):
    """A run with one checkpoint, and a finished sweep over it; not to be changed."""

    def make(folder):
        only = with_checkpoints(run, folder / "run", 14)
        assert electra(*words(only, folder / "sweep", "--scratch")) == main.DONE

    return made_once.folder(tmp_path_factory, "sweep of the command", make)


@pytest.fixture
def again(made, tmp_path):
    """A copy of the sweep, to be continued."""
    return shutil.copytree(made / "sweep", tmp_path / "sweep")


@pytest.fixture
def trained(monkeypatch):
    """The names of the folders that a sweep would train; nothing is trained."""
    names = []

    def train(runs, console):
        (config, _), *_ = runs.runs.values()
        names.append(config.model_dir.rpartition("/")[2])
        raise Preempted("asked to stop")

    monkeypatch.setattr(recipe_runs, "train", train)
    return names


# === Results ===


def test_each_checkpoint_is_fine_tuned_and_random_values_are_step_0(made):
    folder = made / "sweep"
    summary = summary_of(folder)
    assert summary["metric"] == "dev/loss"
    assert list(summary["steps"]) == ["0", "14"]
    for step, found in summary["steps"].items():
        assert summary_of(folder / f"step-{step}") == {"metric": "dev/loss", **found}
        assert (folder / f"step-{step}/model/config.json").is_file()
    origins = [
        json.loads((folder / f"step-{step}/run.json").read_text())["origin"]["warm_start"]
        for step in (0, 14)
    ]
    assert not origins[0]
    assert origins[1][""]["path"] == str(made / "run/checkpoints/ckpt-14")
    card = (folder / "step-14/model/README.md").read_text()
    assert "initialized from run `run/checkpoints/ckpt-14`" in card


def test_the_curve_is_an_image_and_the_page_holds_it(made):
    folder = made / "sweep"
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "page.html").read_text()
    assert "text_classification over the checkpoints of run" in page
    assert "data:image/png;base64," in page
    assert "http" not in page
    median = summary_of(folder)["steps"]["14"]["median"]["dev"]["loss"]
    assert f"<td>14<td>{median:.4f}" in page


def test_a_dry_run_checks_every_checkpoint_and_writes_nothing(run, words, command, tmp_path):
    both = with_checkpoints(run, tmp_path / "run", 8, 14)
    before = contents(tmp_path)
    printed = command(*words(both, tmp_path / "sweep", "--scratch", "--dry-run"))
    assert contents(tmp_path) == before
    assert "training.PhaseConfig.length = %LENGTH" in printed
    assert printed.count("built ") == 1
    for step in (0, 8, 14):
        assert f"step {step}: no errors found" in printed


# === Continued ===


def test_what_is_done_is_not_done_again(made, words, command, trained):
    before = contents(made / "sweep")
    printed = command(*words(made / "run", made / "sweep"))
    assert not trained
    assert "step 0: done" in printed
    median = summary_of(made / "sweep")["steps"]["14"]["median"]["dev"]["loss"]
    assert f"14 {median:.4f} - 1 0" in printed
    after = contents(made / "sweep")
    assert {name for name in after if after[name] != before[name]} <= {"curve.png", "page.html"}


def test_the_same_command_continues_with_what_is_not_done(again, made, words, trained, capsys):
    (again / "step-14/summary.json").unlink()
    assert electra(*words(made / "run", again)) == main.PREEMPTED
    assert trained == ["step-14"]
    assert "asked to stop; the same command continues" in capsys.readouterr().err


def test_new_checkpoints_are_added_and_results_of_those_that_are_gone_stay(
    again, run, words, command, monkeypatch, tmp_path
):
    def diverge(runs, console):
        (again / "step-12").mkdir()
        (again / "step-12/run.json").write_text("{}")
        raise NotFiniteError("the loss is not finite", 1)

    monkeypatch.setattr(recipe_runs, "train", diverge)
    before = summary_of(again)["steps"]
    printed = command(*words(with_checkpoints(run, tmp_path / "run", 12), again))
    assert "step 12 failed: the loss is not finite" in printed
    after = summary_of(again)["steps"]
    assert list(after) == ["0", "12", "14"]
    assert {step: after[step] for step in before} == before
    assert after["12"]["failed"] == 1
    assert "12 - - 1 1" in printed


# === Refused ===


def test_other_settings_in_the_same_folder_are_refused(made, words, command):
    before = contents(made / "sweep")
    refused = command.refused(*words(made / "run", made / "sweep", "LEARNING_RATE=1e-3"))
    assert "another configuration: training.learning_rate was 0.0001, is now 0.001" in refused
    refused = command.refused(*words(made / "run", made / "sweep", "SEEDS=2"))
    assert "step-14 holds a run of one seed; SEEDS=2 needs" in refused
    assert contents(made / "sweep") == before


def test_another_run_in_the_same_folder_is_refused(made, words, command, tmp_path):
    other = shutil.copytree(made / "run", tmp_path / "other")
    command(*words(other, made / "sweep", "--dry-run"))  # It may have moved.
    described = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**described, "data": "0"}))
    refused = command.refused(*words(other, made / "sweep"))
    assert f"holds a sweep over another run, '{made / 'run'}': give another --to" in refused


def test_a_folder_with_anything_else_is_refused(made, words, command, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    refused = command.refused(*words(made / "run", tmp_path))
    assert "--to must be a new or empty folder, or that of a sweep" in refused


def test_a_run_without_a_checkpoint_is_refused(run, words, command, tmp_path):
    refused = command.refused(*words(with_checkpoints(run, tmp_path / "run"), tmp_path / "sweep"))
    assert "no checkpoint in " in refused


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("INIT=published", "INIT is no setting of a sweep: it is each checkpoint of RUN"),
        ("NETWORK=published", "sizes and tokenizer are those of RUN"),
        ("MODEL_DIR=runs/a", "--to names the folder of all runs"),
        ("EXTEND=true", "all runs of a sweep are equally long"),
        ("HOURS=2", "give EPOCHS; leave it out"),
    ],
)
def test_settings_that_a_sweep_gives_itself_are_refused(words, command, tmp_path, setting, part):
    assert part in command.refused(*words("runs/a", tmp_path / "sweep", setting))


def test_a_recipe_of_pretraining_is_refused(made, command, tmp_path):
    words = ["sweep", made / "run", "demo", "DATA=data", "--to", tmp_path / "sweep"]
    assert "a sweep needs a fine-tuning recipe" in command.refused(*words)
    assert "demo.gin has no setting INIT" in command.refused(*words)
    assert "unknown setting SEDE (did you mean SEED?)" in command.refused(*words, "SEDE=3")


def test_data_without_an_evaluation_set_is_refused(made, words, command, monkeypatch, tmp_path):
    check = recipe_runs.check

    def without_metrics(*args):
        prepared = check(*args)
        monkeypatch.setattr(prepared.task, "metric_names", list)
        return prepared

    monkeypatch.setattr(recipe_runs, "check", without_metrics)
    refused = command.refused(*words(made / "run", tmp_path / "sweep"))
    assert "a sweep needs an evaluation set, and the data has none: give DEV=" in refused
