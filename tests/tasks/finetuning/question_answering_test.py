"""Question answering through the command, with a tiny network that learns in seconds."""

import copy
import dataclasses
import json
import math
import random

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.data.tables.squad import read_squad
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import QuestionAnsweringConfig
from official_nlp.tasks.metrics.squad import squad_metrics
from official_nlp.training import TrainingConfig
from official_nlp.training.preflight import find_devices
from tests.tasks import published
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

# A question names a kind, and its answer is the word of this kind in the context, if there is one.
KINDS = {
    "colour": ["red", "green", "blue", "white"],
    "animal": ["bird", "horse", "fish", "cat"],
    "number": ["two", "three", "five", "nine"],
}
OTHERS = ["the", "a", "and", "of", "river", "walks", "sings", "stone", "near", "old", "boat", "it"]
WORDS = [
    "which",
    *KINDS,
    *OTHERS,
    *[word for words in KINDS.values() for word in words],
]
FAST = ["LENGTH=16", "LEARNING_RATE=5e-3", "EPOCHS=6", "EVALUATIONS=2", "KEEP=2"]


def paragraph(draw, name, length):
    """A context with words of two kinds, and a question on each kind."""
    missing = draw.choice(list(KINDS))
    words = draw.choices(OTHERS, k=length)
    used = {}
    for place, kind in zip(draw.sample(range(length), 3), KINDS):
        if kind != missing:
            used[kind] = words[place] = draw.choice(KINDS[kind])
    context = " ".join(words)
    qas = []
    for kind in KINDS:
        answer = used.get(kind)
        answers = [{"text": answer, "answer_start": context.index(answer)}] if answer else []
        question = {"id": f"{name}-{kind}", "question": f"which {kind}", "answers": answers}
        qas.append({**question, "is_impossible": not answer})
    return {"context": context, "qas": qas}


def squad(paragraphs):
    return {"version": "v2.0", "data": [{"title": "words", "paragraphs": paragraphs}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a pretrained model and files of questions."""
    folder, draw = tmp_path_factory.mktemp("questions"), random.Random(0)
    published.write(folder / "published", WORDS, max_position_embeddings=16)
    for name, count in (("train", 150), ("dev", 40), ("test", 20)):
        # Contexts of more than ten words need several windows.
        parts = [paragraph(draw, f"{name}{n}", draw.choice([8, 20])) for n in range(count)]
        (folder / f"{name}.json").write_text(json.dumps(squad(parts)))
    return folder


def train(electra, model_dir, *settings):
    data = ["INIT=published", "DATA=train.json", "DEV=dev.json", "TEST=test.json", "DROPOUT=0.0"]
    words = ["train", "question_answering", f"MODEL_DIR={model_dir}", *data, *FAST, *settings]
    code, out, err = electra(*words)
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def run(electra, folder):
    """A finished run; the output of its training is in out.txt."""
    if not (folder / "run").exists():
        (folder / "out.txt").write_text(train(electra, "run"))
    return folder / "run"


# === What a run does ===


def test_a_test_set_without_answers_is_predicted(folder, tmp_path):
    (tmp_path / "answered.json").write_text(json.dumps(questions(("good", "good film", "film"))))
    (tmp_path / "none.json").write_text(json.dumps(questions(("good", "good film", None))))
    open_questions = questions(("good", "good film", "film"))
    del open_questions["data"][0]["paragraphs"][0]["qas"][0]["answers"]
    (tmp_path / "open.json").write_text(json.dumps(open_questions))
    settings = config(folder, test=str(tmp_path / "open.json"), stride=2)
    data = opened(settings, tmp_path / "own.json", questions(("good", "good film", "film")))
    assert (list(data.test), list(data.unlabeled)) == ([], ["test"])
    assert settings.predictions_file("test") == "test.json"
    assert settings.prediction_options["stride"] == 2
    for name in ("answered", "none"):
        assert not settings.lacks_labels(tmp_path / f"{name}.json", None)


def test_it_says_what_its_windows_hold_and_learns(run, folder):
    out = (folder / "out.txt").read_text()
    assert "train.json: 450 questions on 150 contexts; 150 impossible" in out
    assert "training: 450 questions in 876 windows" in out
    # A third of the questions have no answer.
    assert "dev/f1 0.3333" in out
    assert "6 epochs of 876 examples in batches of 32: 165 steps" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["metric"] == "dev/f1"
    for metrics in summary["median"].values():
        assert metrics["f1"] > 0.8
        assert metrics["has_answer_f1"] > 0.7
        assert metrics["no_answer_f1"] > 0.7
    # The threshold is chosen on the development set alone.
    dev, test = summary["median"].values()
    assert dev["null_threshold"] == test["null_threshold"]
    assert "wrong answers to 120 questions (dev)" in (run / "page.html").read_text()
    assert json.loads((run / "run.json").read_text())["task"]["config"]["version_2"] is True


def test_predict_writes_a_submission_with_the_metrics_of_the_run(electra, run, folder):
    metrics = json.loads((run / "summary.json").read_text())["median"]["test"]
    code, out, _ = electra("predict", "run/model", "--file", "test.json", "--to", "answers.json")
    assert (code, out) == (0, "wrote answers.json: 60 results\n")
    answers = json.loads((folder / "answers.json").read_text())
    scores = squad_metrics(answers, read_squad(folder / "test.json").questions)
    assert scores == {name: metrics[name] for name in scores}


def test_its_model_knows_the_null_threshold(electra, run):
    chosen = json.loads((run / "summary.json").read_text())["median"]["dev"]["null_threshold"]
    config = json.loads((run / "model/config.json").read_text())
    assert config["null_threshold"] == chosen
    predictor = nlp.Predictor.from_pretrained("run/model")
    context = "a river of three old boat and a horse near it"
    found = predictor([("which number", context), ("which colour", context)])
    assert [answer.answer for answer in found] == ["three", ""]
    always = predictor([("which colour", context)], null_threshold=math.inf)
    assert always[0].answer in context
    assert always[0].answer


def dev_lines(printed):
    """Return the printed metrics of the development set."""
    lines = [line.split() for line in printed.splitlines()]
    after = lines[lines.index(["dev"]) :]
    return after[: after.index(["test"])] if ["test"] in after else after


def test_evaluate_takes_the_run_alone_or_another_file(electra, run):
    dev = json.loads((run / "summary.json").read_text())["median"]["dev"]
    code, out, _ = electra("evaluate", "run", "--checkpoint", "best")
    assert code == 0
    assert f"has_answer_f1           {dev['has_answer_f1']:.4f}" in out
    code, other, _ = electra("evaluate", "run", "dev.json", "--checkpoint", "best")
    assert code == 0
    # The test set belongs to the run only.
    assert "test" in out
    assert dev_lines(out) == dev_lines(other)


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder):
    copy_without_newest_checkpoint(run, folder / "half")
    (folder / "half/summary.json").unlink()
    assert "continuing after step" in train(electra, "half")
    assert_same_state(state(folder / "half/checkpoints"), state(run / "checkpoints"))
    assert (folder / "half/summary.json").read_text() == (run / "summary.json").read_text()


@pytest.mark.slow
def test_the_joint_head_learns_and_predicts_as_it_is_evaluated(electra, folder):
    train(electra, "joint", "HEAD=joint")
    summary = json.loads((folder / "joint/summary.json").read_text())["median"]
    assert summary["dev"]["f1"] > 0.8
    config = json.loads((folder / "joint/model/config.json").read_text())
    assert config["architectures"] == ["ElectraForJointQuestionAnswering"]
    assert config["null_threshold"] == summary["dev"]["null_threshold"]
    words = ["predict", "joint/model", "--file", "test.json", "--to", "joint.json"]
    assert electra(*words)[0] == 0
    answers = json.loads((folder / "joint.json").read_text())
    scores = squad_metrics(answers, read_squad(folder / "test.json").questions)
    assert scores == {name: summary["test"][name] for name in scores}


# === Data ===


def config(folder, **changes):
    published = nlp.data.ElectraTokenizer.from_pretrained(folder / "published")
    network = ElectraConfig.from_dict(json.loads((folder / "published/config.json").read_text()))
    made = QuestionAnsweringConfig(**{"length": 16, **changes})
    return made.with_network(network, published)


def opened(settings, file, data):
    """Return the opened data of a file that is the training set and the development set."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    file.write_bytes(content)
    return dataclasses.replace(settings, dev=str(file)).open_data(file)


def questions(*asked):
    """Return data of questions on contexts of their own: (question, context, first answer)."""
    return squad(
        [
            {
                "context": context,
                "qas": [
                    {
                        "id": str(number),
                        "question": question,
                        "answers": [{"text": answer, "answer_start": context.index(answer)}]
                        if answer
                        else [],
                        "is_impossible": not answer,
                    }
                ],
            }
            for number, (question, context, answer) in enumerate(asked)
        ]
    )


def test_windows_are_labeled_with_the_first_answer(folder, tmp_path):
    long = "the and of the and of the and of the and red of the"
    settings = config(folder)
    data = opened(
        settings,
        tmp_path / "own.json",
        questions(("which colour", "the red boat", "red"), ("which colour", long, "red")),
    )
    features = settings.make({None: data}, TrainingConfig()).features(data.train)
    # [CLS] which colour [SEP] and 11 tokens of the context, of which 5 are shared.
    assert features.examples.tolist() == [0, 1, 1]
    assert features.lengths.tolist() == [8, 16, 13]
    assert features.labels["start_positions"].tolist() == [5, 0, 9]
    assert features.labels["end_positions"].tolist() == [5, 0, 9]
    assert data.examples == 3


def test_it_counts_what_it_cannot_use(folder, tmp_path):
    context = "the red boat"
    settings = config(folder, max_question_length=2, max_answer_length=2)
    asked = [
        ("which colour of it", context, "red"),
        ("which", context, "ed"),
        ("which", "the\u200b red", "\u200b"),
        ("which", context, context),
        ("which", " ".join(["the"] * 40), " ".join(["the"] * 35)),
    ]
    data = opened(settings, tmp_path / "own.json", questions(*asked))
    found = settings.preflight({None: data}, [], TrainingConfig(), find_devices("one_device", True))
    assert [line for line in found.lines if line.startswith("training: ")] == [
        "training: 5 questions in 10 windows",
        "training: 1 answer beginning or ending within a token, for which the whole token stands",
    ]
    assert [line for line in found.warnings if line.startswith("training: ")] == [
        "training: 1 question of more than 2 tokens, truncated",
        "training: 1 answer without a token of this vocabulary, whose question is not trained on",
        "training: 2 answers of more than max_answer_length=2 tokens, which cannot be predicted",
        "training: 1 answer divided by all windows, trained on as no answer",
    ]
    features = settings.make({None: data}, TrainingConfig()).features(data.train)
    assert features.weights[:4].tolist() == [1, 1, 0, 1]


def test_a_model_for_squad_1_always_answers(folder, tmp_path):
    settings = config(folder)
    data = opened(settings, tmp_path / "own.json", questions(("which", "the red boat", "red")))
    task = settings.make({None: data}, TrainingConfig())
    assert task.config.version_2 is False
    task.features(data.dev["dev"])
    # [CLS] is the most probable start and end, "red boat" the best span.
    logits = np.array([[9.0, 0, 0, 0, 2, 0, 0]]), np.array([[9.0, 0, 0, 0, 0, 1, 0]])
    rows = {"start_logits": logits[0], "end_logits": logits[1], "question_set": np.array([0])}
    assert task.metrics_of(rows) == {"exact_match": 0.0, "f1": pytest.approx(2 / 3)}
    assert task.fit_on_dev(rows) == {}


@pytest.mark.parametrize(
    ("threshold", "exact"), [(None, 1.0), (17.0, 1.0), (15.0, 0.5), (20.0, 0.5)]
)
def test_a_null_threshold_that_is_given_is_used(folder, tmp_path, threshold, exact):
    settings = config(folder, null_threshold=threshold)
    asked = [("which", "the red", "red"), ("which", "it boat", None)]
    data = opened(settings, tmp_path / "own.json", questions(*asked))
    task = settings.make({None: data}, TrainingConfig())
    task.features(data.dev["dev"])
    # [CLS] which [SEP] the red [SEP]. The logits of no answer exceed those of "red" by 16, and
    # those of the best span of the other context by 19.
    starts = np.array([[9.0, 0, 0, 0, 1, 0], [9.5, 0, 0, 0, 0, 0]])
    rows = {"start_logits": starts, "end_logits": starts, "question_set": np.array([0, 0])}
    metrics = task.metrics_of(rows)
    assert metrics["exact_match"] == exact
    assert metrics["null_threshold"] == (16.0 if threshold is None else threshold)
    assert task.fit_on_dev(rows) == {"null_threshold": metrics["null_threshold"]}


# === Errors ===

ONE = questions(("which", "the red boat", "red"))


def moved(start):
    data = copy.deepcopy(ONE)
    data["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = start
    return data


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (moved(5), {}, r"question '0'.* the answer 'red' must stand at answer_start 5"),
        (moved(99), {}, "must stand at answer_start 99 of the context"),
        (b"", {}, "own.json"),
        (b"{", {}, "own.json must be JSON in the format of SQuAD"),
        (b'{"data": [{}]}', {}, "'paragraphs' must be of type list, is missing"),
        (b'{"data": []}', {}, "own.json has no question"),
        (b'{"data": "\xe4"}', {}, "own.json.* UTF-8"),
        (questions(("which", " ", None)), {}, "own.json: the context of .* has no tokens"),
        (ONE, {"length": 11}, "length must be at least 12 tokens"),
        (questions(("a", "the", None)), {"version_2": False}, "version_2 must be true or left out"),
        (ONE, {"stride": -1}, "stride must be an integer from 0"),
        (ONE, {"null_threshold": "2"}, "null_threshold must be "),
    ],
)
def test_bad_input_is_explained(folder, tmp_path, data, settings, message):
    def make():
        made = config(folder, **settings)
        return made.make({None: opened(made, tmp_path / "own.json", data)}, TrainingConfig())

    with pytest.raises(InputError, match=message):
        make()


def test_the_command_explains_bad_data_in_one_line(electra, folder):
    (folder / "bad.json").write_text(json.dumps(moved(5)))
    words = ["question_answering", "INIT=published", "DATA=bad.json", "MODEL_DIR=bad", *FAST]
    code, _, err = electra("train", *words)
    assert code == 2
    assert "correct answer_start" in err
    assert err.count("\n") == 1
    assert not (folder / "bad").exists()
