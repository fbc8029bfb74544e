"""Multiple choice through the command, with a tiny network that learns in seconds."""

import json
import random

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import MultipleChoiceConfig
from official_nlp.tasks.finetuning.batches import evaluation_batches
from official_nlp.training import TrainingConfig
from tests.tasks import published
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

GOOD, BAD = ["good", "great", "fine", "moving"], ["bad", "dull", "poor", "weak"]
OTHERS = ["the", "a", "film", "was", "it", "story", "plot", "long", "short", "of"]
WORDS = [*OTHERS, *GOOD, *BAD]
SETTINGS = [
    *("INIT=published", "DATA=data", "LENGTH=24", "LEARNING_RATE=5e-3", "EPOCHS=3"),
    *("EVALUATIONS=2", "LAYER_DECAY=0.9", "DROPOUT=0.0", "KEEP=2"),
]


def question(draw):
    """A text with two to four choices, of which one has a good word."""
    count = draw.randrange(2, 5)
    label = draw.randrange(count)
    choices = [
        " ".join([*draw.choices(OTHERS, k=3), draw.choice(GOOD if n == label else BAD)])
        for n in range(count)
    ]
    return {"text": " ".join(draw.choices(OTHERS, k=5)), "choices": choices, "label": label}


def write(file, rows):
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a pretrained model, and files of questions."""
    folder, draw = tmp_path_factory.mktemp("choices"), random.Random(0)
    published.write(
        folder / "published",
        WORDS,
        num_hidden_layers=1,
        max_position_embeddings=32,
        summary_type="last",
    )
    (folder / "data").mkdir()
    for name, count in (("data/train", 320), ("data/dev", 60), ("others", 30)):
        write(folder / f"{name}.jsonl", [question(draw) for _ in range(count)])
    unlabeled = [{**question(draw), "id": f"q{n}", "label": None} for n in range(3)]
    write(folder / "data/test.jsonl", unlabeled)
    return folder


@pytest.fixture
def run(electra, folder):
    """A finished run; the output of its training is in out.txt."""
    if not (folder / "run").exists():
        code, out, err = electra("train", "multiple_choice", "MODEL_DIR=run", *SETTINGS)
        assert code == 0, err
        (folder / "out.txt").write_text(out)
    return folder / "run"


# === What a run does ===


def test_it_learns_to_choose(run, folder):
    out = (folder / "out.txt").read_text()
    assert "train.jsonl: JSON lines; 320 examples of 2 to 4 choices" in out
    rows = [json.loads(line) for line in (folder / "data/dev.jsonl").read_text().splitlines()]
    chance = np.mean([1 / len(row["choices"]) for row in rows])
    assert f"dev/accuracy of random choices {chance:.4g}" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["metric"] == "dev/accuracy"
    assert summary["median"]["dev"]["accuracy"] > 0.9


def test_choices_of_a_test_set_without_labels_are_written(run, folder):
    header, *lines = (run / "predictions/test.tsv").read_text().splitlines()
    assert header == "index\tprediction"
    predictor = nlp.Predictor.from_pretrained(run / "model", length=32)
    read = predictor.read_file(folder / "data/test.jsonl")
    chosen = [str(result.choice) for result in predictor(read.inputs)]
    assert [line.split("\t") for line in lines] == [[f"q{n}", x] for n, x in enumerate(chosen)]


def test_its_model_chooses_among_any_number_of_texts(electra, run, folder):
    rows = [
        {"text": "the film", "choices": ["it was dull", "it was weak", "it was great"]},
        {"text": "the film", "choices": ["a fine plot"]},
    ]
    write(folder / "questions.jsonl", rows)
    words = ["--file", "questions.jsonl", "--to", "predicted.jsonl"]
    code, _, err = electra("predict", "run", *words)
    assert code == 0, err
    lines = (folder / "predicted.jsonl").read_text().splitlines()
    results = [json.loads(line) for line in lines]
    assert [result["choice"] for result in results] == [2, 0]
    assert [len(result["scores"]) for result in results] == [3, 1]


def test_evaluate_counts_what_predict_chooses(electra, run, folder):
    code, out, _ = electra("evaluate", "run", "others.jsonl", "--checkpoint", "best")
    assert code == 0
    rows = [json.loads(line) for line in (folder / "others.jsonl").read_text().splitlines()]
    inputs = [{name: row[name] for name in ("text", "choices")} for row in rows]
    results = nlp.Predictor.from_pretrained("run/model")(inputs)
    right = np.mean([row["label"] == result.choice for row, result in zip(rows, results)])
    assert f"accuracy  {right:.4f}" in out


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder):
    last = copy_without_newest_checkpoint(run, folder / "half")
    code, out, _ = electra("train", "multiple_choice", "MODEL_DIR=half", *SETTINGS)
    assert code == 0
    assert f"continuing after step {last // 2} of {last}" in out
    assert_same_state(state(folder / "half/checkpoints"), state(run / "checkpoints"))


# === Features ===


def config(folder, **changes):
    published = nlp.data.ElectraTokenizer.from_pretrained(folder / "published")
    network = ElectraConfig.from_dict(json.loads((folder / "published/config.json").read_text()))
    return MultipleChoiceConfig(length=16, **changes).with_network(network, published)


def opened(folder, tmp_path, rows, **changes):
    """The task of some rows, and its features."""
    write(tmp_path / "own.jsonl", rows)
    settings = config(folder, dev=str(tmp_path / "own.jsonl"), **changes)
    data = settings.open_data(tmp_path / "own.jsonl")
    task = settings.make({None: data}, TrainingConfig())
    return task, task.features(data.train)


def test_an_example_with_fewer_choices_is_padded(folder, tmp_path):
    rows = [
        {"text": "film", "choices": ["good", "bad", "dull plot"], "label": 2},
        {"text": "plot", "choices": ["fine", "weak"], "label": "fine"},
    ]
    task, features = opened(folder, tmp_path, rows)
    (batch,) = evaluation_batches(features, 2, 16, True, 0).as_numpy_iterator()
    order = np.argsort(batch["example"])
    assert batch["input_mask"][order].sum(axis=-1).tolist() == [[5, 5, 6], [5, 5, 0]]
    assert batch["labels"][order].tolist() == [2, 0]
    text = task.tokenizer.decode(batch["input_word_ids"][order][0, 2], skip_special_tokens=True)
    assert text == "film dull plot"
    assert task.baselines() == {
        "dev/accuracy": 0.5,
        "dev/accuracy of random choices": pytest.approx((1 / 3 + 1 / 2) / 2),
    }


def test_truncation_cuts_the_longer_text(folder, tmp_path):
    rows = [
        {"text": "film " * 40, "choices": ["good plot", "bad plot"], "label": 0},
        {"text": "film", "choices": ["good plot", "bad " * 40], "label": 0},
    ]
    task, features = opened(folder, tmp_path, rows)
    texts = [
        task.tokenizer.decode(features.ids[start:stop], skip_special_tokens=True)
        for start, stop in zip(features.starts, features.starts[1:])
    ]
    assert texts[0] == "film " * 11 + "good plot"
    assert texts[3] == "film" + " bad" * 12
    assert features.truncated == 3


def test_the_page_shows_the_surest_errors_with_their_texts(folder, tmp_path):
    rows = [
        {"text": "film", "choices": ["good", "bad", "dull"], "label": 2},
        {"text": "a <b> plot", "choices": ["fine", "weak"], "label": 0},
        {"text": "story", "choices": ["great", "poor"], "label": 0},
    ]
    task, features = opened(folder, tmp_path, rows)
    logits = np.array([[0.0, 1.0, 0.0], [0.0, 3.0, -1e9], [2.0, 0.0, -1e9]], np.float32)
    found = {"logits": logits, "labels": features.labels["labels"]}
    assert task.metrics_of(found) == {"accuracy": pytest.approx(1 / 3)}
    calibration, errors = task.page_sections("dev", found)
    assert calibration.title != errors.title == "Worst errors"
    assert errors.body.index("a &lt;b&gt; plot") < errors.body.index("film")
    assert "story" not in errors.body
    cells = "<td>fine<td>weak<td>0.953<td>a &lt;b&gt; plot"
    assert cells in errors.body


def test_the_head_is_that_of_the_task_and_not_of_the_source(folder):
    # `published` has a summary of the last token, which would be padding.
    assert config(folder).network.summary_type == "first"
    assert config(folder, dropout=0.3).network.summary_last_dropout == 0.3


# === Bad input ===

ROW = {"text": "film", "choices": ["good", "bad"], "label": 0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({**ROW, "label": 2}), "line 1: the label must be .* from 0 to 1, was 2"),
        (json.dumps({**ROW, "choices": []}), "line 1"),
        (json.dumps({**ROW, "choices": ["good"]}), "must be 2 or more choices"),
        (json.dumps(ROW) + '\n{"text": "fi', "line 2"),
        ("", "empty"),
        ("\n", "own.jsonl"),
        (json.dumps({**ROW, "label": None}), "line 1: an example needs a label"),
        (json.dumps({"text": "film"}), "none of multiple choice"),
    ],
)
def test_bad_files_are_explained(folder, tmp_path, content, message):
    (tmp_path / "own.jsonl").write_text(content)
    settings = config(folder, dev=str(tmp_path / "own.jsonl"))
    with pytest.raises(InputError, match=message):
        settings.open_data(tmp_path / "own.jsonl")
