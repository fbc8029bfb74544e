"""Text classification through the command, with a tiny network that learns in seconds."""

import dataclasses
import json
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import TextClassificationConfig, TokenClassificationConfig
from official_nlp.tasks.finetuning.data import ExampleSet
from official_nlp.training import TrainingConfig, metrics_log
from tests.tasks import published
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

GOOD, BAD = ["good", "great", "fine", "moving"], ["bad", "dull", "poor", "weak"]
OTHERS = [
    "the",
    "a",
    "film",
    "was",
    "it",
    "story",
    "plot",
    "long",
    "short",
    "of",
    "and",
    "very",
    "quite",
]
WORDS = [*OTHERS, *GOOD, *BAD]
RUN = ["DATA=data", "DROPOUT=0.0", "KEEP=3"]
FAST = ["LENGTH=32", "LEARNING_RATE=5e-3", "EPOCHS=6", "EVALUATIONS=3", "LAYER_DECAY=0.9"]


def review(draw, good):
    words = draw.choices(OTHERS, k=draw.randrange(3, 20))
    words.insert(draw.randrange(len(words)), draw.choice(GOOD if good else BAD))
    return " ".join(words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a pretrained model, and tables of reviews with their verdicts."""
    folder, draw = tmp_path_factory.mktemp("texts"), random.Random(0)
    published.write(folder / "published", WORDS)
    for name, count in (("train", 300), ("dev", 80), ("test", 40)):
        rows = [(review(draw, number % 2), number % 2) for number in range(count)]
        table = "".join(f"{text}\t{('bad', 'good')[good]}\n" for text, good in rows)
        (folder / f"{name}.tsv").write_text(f"review\tverdict\n{table}")
        numbers = "".join(f"{text}\t{0.5 + 3 * good}\n" for text, good in rows)
        (folder / f"numbers_{name}.tsv").write_text(f"review\trating\n{numbers}")
        lists = [
            {"text": text, "labels": [("bad", "good")[good]] + ["long"] * (len(text) > 60)}
            for text, good in rows
        ]
        (folder / f"lists_{name}.jsonl").write_text("\n".join(map(json.dumps, lists)) + "\n")
    return folder


def train(electra, recipe, model_dir, *settings):
    words = ["train", recipe, "INIT=published", f"MODEL_DIR={model_dir}", *FAST, *settings]
    code, out, err = electra(*words)
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def run(electra, folder):
    """A finished run on a folder of files; the output of its training is in out.txt."""
    if not (folder / "run").exists():
        (folder / "data").mkdir()
        for name in ("train", "dev", "test"):
            shutil.copy(folder / f"{name}.tsv", folder / "data")
        out = train(electra, "text_classification", "run", *RUN)
        (folder / "out.txt").write_text(out)
    return folder / "run"


# === What a run does ===


def test_it_says_what_it_infers_and_learns(run, folder):
    out = (folder / "out.txt").read_text()
    assert "columns of texts 'review', labels 'verdict'" in out
    assert "examples: training 300, dev 80, test 40" in out
    assert "dev/accuracy 0.5" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["metric"] == "dev/accuracy"
    assert summary["failed"] == 0
    assert summary["seeds"]["0"] == summary["median"]
    assert list(summary["median"]) == ["dev", "test"]
    assert summary["median"]["test"]["accuracy"] > 0.9
    # The best of three evaluations.
    lines = [x for x in metrics_log.read(run / "metrics.jsonl") if "dev/accuracy" in x]
    assert len(lines) == 3
    best = max(line["dev/accuracy"] for line in lines)
    assert summary["median"]["dev"]["accuracy"] == pytest.approx(best)


def test_its_model_predicts_the_labels_by_name(electra, run):
    for model in ("run", "run/model"):
        predictor = nlp.Predictor.from_pretrained(model)
        results = predictor(["the film was great", "a dull story"])
        assert [result.label for result in results] == ["good", "bad"]
    config = json.loads((run / "model/config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}
    code, out, _ = electra("predict", "run/model", "it was a fine plot")
    assert code == 0
    assert "good" in out


def test_evaluate_takes_the_run_alone_or_another_file(electra, run, folder):
    summary = json.loads((run / "summary.json").read_text())["median"]
    code, out, _ = electra("evaluate", "run", "--checkpoint", "best")
    assert code == 0
    assert f"accuracy              {summary['dev']['accuracy']:.4f}" in out
    code, out, _ = electra("evaluate", "run", "test.tsv", "--checkpoint", "best")
    assert code == 0
    assert f"accuracy              {summary['test']['accuracy']:.4f}" in out


def test_info_describes_the_run(electra, run):
    code, out, _ = electra("info", "run")
    assert code == 0
    assert "run of TextClassificationConfig" in out
    assert "was initialized from huggingface published" in out


def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder):
    copy_without_newest_checkpoint(run, folder / "half")
    (folder / "published").rename(folder / "gone")
    try:
        out = train(electra, "text_classification", "half", *RUN)
    finally:
        (folder / "gone").rename(folder / "published")
    assert "continuing after step" in out
    ours, theirs = state(folder / "half/checkpoints"), state(run / "checkpoints")
    assert_same_state(ours, theirs)
    assert (folder / "half/summary.json").read_text() == (run / "summary.json").read_text()


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bits(electra, run, folder):
    words = ["train", "text_classification", "INIT=published", "MODEL_DIR=killed", *FAST, *RUN]
    with subprocess.Popen([sys.executable, "-m", "official_nlp", *words], cwd=folder) as process:
        while not list((folder / "killed/checkpoints").glob("ckpt-*.index")):
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    out = train(electra, "text_classification", "killed", *RUN)
    assert "continuing after step" in out
    assert_same_state(state(folder / "killed/checkpoints"), state(run / "checkpoints"))
    assert (folder / "killed/summary.json").read_text() == (run / "summary.json").read_text()


# === Other problems ===


@pytest.mark.slow
def test_a_table_of_numbers_is_a_regression(electra, folder):
    settings = ["DATA=numbers_train.tsv", "DEV=numbers_dev.tsv", "DROPOUT=0.0"]
    out = train(electra, "text_regression", "numbers", *settings)
    assert "regression: numbers from 0.5 to 3.5" in out
    median = json.loads((folder / "numbers/summary.json").read_text())["median"]["dev"]
    assert median["spearman"] > 0.8
    (result,) = nlp.Predictor.from_pretrained("numbers/model")(["a great film"])
    assert result.value > 2


@pytest.mark.slow
def test_lists_of_labels_are_several_labels(electra, folder):
    settings = ["DATA=lists_train.jsonl", "DEV=lists_dev.jsonl", "DROPOUT=0.0"]
    train(electra, "multi_label_classification", "lists", *settings)
    median = json.loads((folder / "lists/summary.json").read_text())["median"]["dev"]
    assert median["micro_f1"] > 0.75
    (result,) = nlp.Predictor.from_pretrained("lists/model")(["a great film"])
    assert set(result.scores) == {"bad", "good", "long"}


@pytest.mark.slow
def test_several_seeds_are_summarized(electra, folder):
    settings = ["DATA=train.tsv", "DEV=dev.tsv", "SEEDS=2", "EPOCHS=2", "SEED=5", "EVALUATIONS=1"]
    out = train(electra, "text_classification", "seeds", *settings)
    summary = json.loads((folder / "seeds/summary.json").read_text())
    found = [seed["dev"]["accuracy"] for seed in summary["seeds"].values()]
    assert len(found) + summary["failed"] == 2
    assert summary["median"]["dev"]["accuracy"] == pytest.approx(np.median(found))
    assert "2 seeds" in out
    assert {path.name for path in (folder / "seeds").iterdir()} == {
        "seed-5",
        "seed-6",
        "summary.json",
        "model",
    }


def test_rows_in_memory_become_a_predictor(folder, tmp_path):
    draw = random.Random(1)
    rows = [{"text": review(draw, n % 2), "stars": ("one", "five")[n % 2]} for n in range(200)]
    settings = TextClassificationConfig(length=32, layer_decay=0.9, dropout=0.0)
    options = {"task": settings, "learning_rate": 5e-3, "quiet": True}
    predictor = nlp.fine_tune(folder / "published", rows, tmp_path / "run", **options)
    assert predictor(["a great film"])[0].label == "five"
    assert (tmp_path / "run/page.html").is_file()
    with pytest.raises(InputError, match="train must hold at least one row"):
        nlp.fine_tune(folder / "published", [], tmp_path / "empty")


# === Settings ===


def config(folder, **changes):
    published = nlp.data.ElectraTokenizer.from_pretrained(folder / "published")
    network = ElectraConfig.from_dict(json.loads((folder / "published/config.json").read_text()))
    return TextClassificationConfig(length=16, **changes).with_network(network, published)


def features_of(folder, table, **changes):
    (folder / "own.csv").write_text(table)
    settings = config(folder, dev="dev.csv", **changes)
    (folder / "dev.csv").write_text(table)
    data = settings.open_data(folder / "own.csv")
    task = settings.make({None: data}, TrainingConfig())
    return task, task.features(data.train)


TABLE = "text,label\n" + "".join(f"film {n},{'b' if n % 4 else 'a'}\n" for n in range(8))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [(None, {1.0}), ("auto", {2.0, 8 / 12}), ({"a": 3.0}, {3.0, 1.0})],
)
def test_class_weights_are_weights_of_the_examples(folder, tmp_path, weights, expected):
    shutil.copytree(folder / "published", tmp_path / "published")
    task, features = features_of(tmp_path, TABLE, class_weights=weights)
    assert sorted(set(features.weights.tolist())) == pytest.approx(sorted(expected))
    assert any("class weights: 'a' 2, 'b' 0.667" in x for x in task._data.notes) == (
        weights == "auto"
    )


def test_an_evaluation_has_the_class_weights_of_training(folder, tmp_path):
    shutil.copytree(folder / "published", tmp_path / "published")
    task, _ = features_of(tmp_path, TABLE, class_weights="auto")
    recorded = TextClassificationConfig.from_dict(task.config.to_dict())
    assert recorded.class_weights == pytest.approx({"a": 2.0, "b": 8 / 12})
    (tmp_path / "more.csv").write_text("text,label\nfilm 9,a\nfilm 8,b\n")
    recorded = dataclasses.replace(recorded, tokenizer=task.tokenizer)
    data = recorded.open_evaluation_data(tmp_path / "more.csv")
    evaluation = recorded.make({None: data}, TrainingConfig())
    weights = evaluation.features(data.dev["dev"]).weights
    assert weights.tolist() == pytest.approx([2.0, 8 / 12])


@pytest.mark.parametrize(
    ("train", "test", "settings", "lacks"),
    [
        ("text,mood\na film,x\na plot,y\n", "text,mood\na film,y\n", {}, False),
        ("text,mood\na film,x\na plot,y\n", "text,genre\na film,y\na plot,y\n", {}, True),
        ("text,mood\na film,x\na plot,y\n", "text,mood\na film,-1\n", {}, True),
        ("text,mood\na film,x\na plot,y\n", "text,mood\na film,\na plot,x\n", {}, False),
        # A label that training has is one.
        ("text,mood\na film,-1\na plot,1\n", "text,mood\na film,-1\n", {}, False),
        # Without a training set the setting decides, or the name.
        (None, "text,mood\na film,x\n", {"label": "mood"}, False),
        (None, "text,genre\na film,x\n", {"label": "mood"}, True),
        (None, "text,label\na film,x\n", {}, False),
        (None, "text,genre\na film,x\n", {}, True),
    ],
)
def test_a_test_set_without_labels_is_recognized(tmp_path, train, test, settings, lacks):
    made = TextClassificationConfig(**settings)
    (tmp_path / "test.csv").write_text(test)
    examples = None
    if train:
        (tmp_path / "train.csv").write_text(train)
        found = made.read(tmp_path / "train.csv")
        examples = ExampleSet(tmp_path, found.examples, found.columns)
    assert made.lacks_labels(tmp_path / "test.csv", examples) == lacks


def test_rows_with_missing_fields_are_refused_or_skipped_and_counted(tmp_path):
    (tmp_path / "a.tsv").write_text("text\tlabel\na film\tx\na plot\na book\ty\n")
    with pytest.raises(
        InputError, match=r"a\.tsv, line 3: .* such rows out by CORRUPT_RECORDS=skip"
    ):
        TextClassificationConfig().read(tmp_path / "a.tsv")
    found = TextClassificationConfig(corrupt_records="skip").read(tmp_path / "a.tsv")
    assert [example.text for example in found.examples] == ["a film", "a book"]
    assert any("left out 1 row with another number of fields" in note for note in found.notes)
    # Other files have no rows: a part that cannot be read is no example.
    with pytest.raises(InputError, match="corrupt_records must be one of stop, was 'skip'"):
        TokenClassificationConfig(corrupt_records="skip")


def test_a_test_set_is_predicted_from_the_rows_that_the_run_reads(folder, tmp_path):
    (tmp_path / "test.csv").write_text("a, film|1\na plot\na, book|2\n")
    settings = TextClassificationConfig(separator="|", header=False, corrupt_records="skip")
    predictor = nlp.Predictor.from_pretrained(folder / "published")
    found = predictor.read_file(tmp_path / "test.csv", text="0", **settings.reading_options)
    assert found.inputs == ["a, film", "a, book"]
    assert any("left out 1 row" in note for note in found.notes)


def test_columns_and_range_are_recorded_and_limit_predictions(folder, tmp_path):
    shutil.copytree(folder / "published", tmp_path / "published")
    table = "opinion,stars\na long film,0.5\na short story,4.5\n"
    task, _ = features_of(tmp_path, table, value_range=(0, 5))
    assert task.network.extra == {"table_columns": {"text": "opinion"}, "value_range": [0, 5]}
    rows = {"logits": np.array([[-1.0], [9.0]]), "labels": np.array([0.5, 4.5]),
            "document": np.array([0, 1])}  # fmt: skip
    # (0.5 - 0)² and (5 - 4.5)².
    assert task.metrics_of(rows)["mean_squared_error"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value_range": (5, 0)}, r"a smallest and a larger largest value, was \[5, 0\]"),
        ({"value_range": (0, 1, 2)}, r"was \[0, 1, 2\]"),
        ({"value_range": (0,)}, "value_range must be a list of at least 2 values"),
        ({"predictions": {"test": "../x.tsv"}}, "without folders, named '../x.tsv'"),
        ({"predictions": {"test": ""}}, "predictions.*must be text"),
    ],
)
def test_ranges_and_names_of_files_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        TextClassificationConfig(**settings)


def test_labels_have_the_order_that_is_given(folder, tmp_path):
    shutil.copytree(folder / "published", tmp_path / "published")
    task, features = features_of(tmp_path, TABLE, labels=("b", "a"))
    assert task.network.id2label == {0: "b", 1: "a"}
    assert features.labels["labels"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0]


def test_a_long_text_is_divided_into_windows_with_its_label(folder, tmp_path):
    shutil.copytree(folder / "published", tmp_path / "published")
    table = "text,label\n" + "film " * 40 + ",a\nfilm,b\n"
    task, features = features_of(tmp_path, table, long_texts="windows")
    assert features.examples.tolist() == [0, 0, 0, 0, 1]
    assert features.labels["labels"].tolist() == [0, 0, 0, 0, 1]
    assert features.lengths.max() == 16
    # The probability of a text is the mean over its windows: three of four say b, one is sure of a.
    logits = np.log([[0.98, 0.02], [0.4, 0.6], [0.4, 0.6], [0.4, 0.6], [0.1, 0.9]])
    rows = {"logits": logits, "labels": features.labels["labels"], "document": features.examples}
    assert task.metrics_of(rows)["accuracy"] == 1.0


def all_features(settings, path):
    data = settings.open_data(path)
    task = settings.make({None: data}, TrainingConfig())
    return [task.features(each) for each in (data.train, *data.dev.values())]


@pytest.mark.parametrize(
    ("table", "dev", "settings", "message"),
    [
        (TABLE, "text,label\nfilm,c\n", {}, "line 2: the label 'c' does not occur"),
        (TABLE, "text,label\n", {}, "dev.csv"),
        (TABLE, TABLE, {"text": "txt"}, "did you mean 'text'"),
        (
            TABLE,
            TABLE,
            {"class_weights": {"x": 1.0}},
            "weights must name labels among 'a', 'b', named 'x'",
        ),
        ("text,label\na film\n", TABLE, {}, "line 2"),
        ("text,label\nfilm,a\nplot,a\n", TABLE, {}, "nothing to learn"),
        ("text,label\nx,0.5\ny,1.5\n", TABLE, {"class_weights": "auto"}, "leave CLASS_WEIGHTS out"),
        (TABLE, TABLE, {"value_range": (0, 5)}, "leave VALUE_RANGE out"),
    ],
)
def test_bad_input_is_explained(folder, tmp_path, table, dev, settings, message):
    shutil.copytree(folder / "published", tmp_path / "published")
    (tmp_path / "own.csv").write_text(table)
    (tmp_path / "dev.csv").write_text(dev)
    made = config(tmp_path, dev=str(tmp_path / "dev.csv"), **settings)
    with pytest.raises(InputError, match=message):
        all_features(made, tmp_path / "own.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["INIT=none"], "INIT=none needs NETWORK"),
        (["INIT=published/vocab.txt"], "vocab.txt"),
        (["INIT=published", "LENGTH=128"], "length must be at most max_position_embeddings=64"),
        (["INIT=published", "LAYER_DECAY=2"], "layer_decay must be"),
        (["INIT=published", "LENGTH=32", "TEXT=nothing"], "nothing"),
    ],
)
def test_wrong_settings_are_explained(electra, folder, words, message):
    words = ["train", "text_classification", "DATA=train.tsv", "MODEL_DIR=wrong", *words]
    code, _, err = electra(*words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
