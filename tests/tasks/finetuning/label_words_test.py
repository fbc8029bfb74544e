"""Classification through the replaced-token head, with a tiny discriminator."""

import json
import random

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.errors import InputError
from official_nlp.interchange.warm_start import WarmStart
from official_nlp.modeling.models import ElectraForMaskedLM
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import TextClassificationConfig
from official_nlp.tasks.probabilities import softmax
from official_nlp.training import TrainingConfig
from tests.tasks import published
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

GOOD, BAD = ["good", "great", "fine", "moving"], ["bad", "dull", "poor", "weak"]
OTHERS = ["the", "a", "film", "was", "it", "story", "plot", "of", ".", "##y"]
WORDS = [*OTHERS, *GOOD, *BAD]
TEMPLATE = "{text} It was {label}."
LABEL_WORDS = {"0": "poory", "1": "great"}
SETTINGS = [
    *("HEAD=replaced_token", f"TEMPLATE={TEMPLATE}", f"LABEL_WORDS={json.dumps(LABEL_WORDS)}"),
    *("DATA=few.csv", "DEV=dev.csv", "LENGTH=24", "BATCH_SIZE=16", "LEARNING_RATE=5e-3"),
    *("EPOCHS=6", "EVALUATIONS=2", "LAYER_DECAY=1.0", "DROPOUT=0.0", "KEEP=2"),
]


def table(draw, count):
    rows = []
    for number in range(count):
        words = draw.choices(OTHERS[:8], k=draw.randrange(3, 8))
        words.insert(draw.randrange(len(words)), draw.choice(GOOD if number % 2 else BAD))
        rows.append(f"{' '.join(words)},{number % 2}\n")
    return "text,label\n" + "".join(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a discriminator, a generator, and tables of texts."""
    folder, draw = tmp_path_factory.mktemp("few"), random.Random(0)
    published.write(folder / "published", WORDS)
    published.write(folder / "generator", WORDS, ElectraForMaskedLM)
    for name, count in (("few", 200), ("dev", 40)):
        (folder / f"{name}.csv").write_text(table(draw, count))
    return folder


@pytest.fixture
def run(electra, folder):
    """A finished run."""
    if not (folder / "run").exists():
        code, _, err = electra(
            "train", "text_classification", "INIT=published", "MODEL_DIR=run", *SETTINGS
        )
        assert (code, err) == (0, "")
    return folder / "run"


def config(folder, **changes):
    tokenizer = nlp.data.ElectraTokenizer.from_pretrained(folder / "published")
    network = ElectraConfig.from_dict(json.loads((folder / "published/config.json").read_text()))
    settings = {"head": "replaced_token", "length": 16, **changes}
    return TextClassificationConfig(**settings).with_network(network, tokenizer)


def opened(folder, tmp_path, content, **changes):
    """The task of a table, which is both training and development set."""
    (tmp_path / "own.csv").write_text(content)
    settings = config(folder, dev=str(tmp_path / "own.csv"), **changes)
    data = settings.open_data(tmp_path / "own.csv")
    return settings.make({None: data}, TrainingConfig())


# === Before training ===


@pytest.mark.parametrize(
    ("content", "changes", "inputs"),
    [
        (
            # The second text is too long, and is cut as for zero-shot.
            f"text,label\nthe film,0\n{'the story ' * 20},1\na good plot,0\n",
            {"label_words": LABEL_WORDS, "template": TEMPLATE},
            ["the film", "the story " * 20, "a good plot"],
        ),
        (
            "text,text_pair,label\nthe film,a plot,0\ngood,the story,1\n",
            {"label_words": LABEL_WORDS, "template": "{text} {label} {text_pair}"},
            [("the film", "a plot"), ("good", "the story")],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:truncated")
def test_predictions_before_the_first_step_are_those_of_zero_shot(
    folder, tmp_path, content, changes, inputs
):
    task = opened(folder, tmp_path, content, **changes)
    model = task.build()
    WarmStart({"": str(folder / "published")}, task, task.tokenizer).assign(model, lambda _: None)
    (batch,) = task.evaluation_sets()["dev"]
    _, rows = task.evaluate(model, batch)
    order = np.argsort(rows["example"][: len(inputs)])
    found = softmax(rows["logits"].numpy()[order])
    predictor = nlp.Predictor.from_pretrained(folder / "published", length=16)
    expected = predictor.zero_shot(inputs, LABEL_WORDS, changes["template"])
    scores = [list(each.scores.values()) for each in expected]
    np.testing.assert_allclose(found, scores, atol=1e-6)
    assert np.ptp(found[:, 0]) > 1e-3


def test_names_of_labels_are_their_words_by_default(folder, tmp_path):
    task = opened(folder, tmp_path, "text,label\nthe film,bad\na plot,good\n")
    assert task.network.extra["label_template"] == "{text} It was {label}."
    assert task.network.extra["label_words"] == {"bad": "bad", "good": "good"}
    features = task.features(task.examples_of("dev"))
    assert (features.group, len(features), features.truncated) == (2, 2, 0)
    first = features.batch(np.array([0]), 16, 0)
    words = first["input_word_ids"][0, [0, 1], first["label_positions"][0, :, 0]]
    assert [task.tokenizer.vocab[each] for each in words] == ["bad", "good"]


def test_weights_of_classes_are_weights_of_examples(folder, tmp_path):
    content = "text,label\nthe film,bad\na plot,good\n"
    task = opened(folder, tmp_path, content, class_weights={"good": 3.0})
    assert task.features(task.examples_of("dev")).weights.tolist() == [1.0, 3.0]


# === What a run does ===


def test_it_learns_from_few_examples(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["metric"] == "dev/accuracy"
    assert summary["median"]["dev"]["accuracy"] > 0.8


def test_run_and_model_classify_without_repeating_options(electra, run):
    config = json.loads((run / "model/config.json").read_text())
    assert config["architectures"] == ["ElectraForPreTraining"]
    assert config["label_template"] == TEMPLATE
    assert config["label_words"] == LABEL_WORDS
    assert config["calibration_temperature"] > 0
    texts = ["the film was great", "a dull story"]
    for model in ("run", "run/model"):
        results = nlp.Predictor.from_pretrained(model)(texts)
        assert [result.label for result in results] == ["1", "0"]
        assert list(results[0].scores) == ["0", "1"]
    code, _, _ = electra("predict", "run/model", "a dull story", "--to", "results.jsonl")
    assert code == 0
    (line,) = (run.parent / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["label"] == "0"
    code, _, _ = electra("predict", "run/model", "--file", "dev.csv", "--to", "results.tsv")
    assert code == 0
    assert len((run.parent / "results.tsv").read_text().splitlines()) == 41


def test_a_fine_tuned_model_still_scores_other_words(run, folder):
    predictor = nlp.Predictor.from_pretrained(run / "model")
    assert predictor.word_scorer is None
    (result,) = predictor.zero_shot(["the film"], ["fine", "weak"])
    assert set(result.scores) == {"fine", "weak"}


def test_evaluate_counts_what_predict_answers(electra, run, folder):
    code, out, _ = electra("evaluate", "run", "few.csv", "--checkpoint", "best")
    assert code == 0
    rows = [line.split(",") for line in (folder / "few.csv").read_text().splitlines()[1:]]
    results = nlp.Predictor.from_pretrained("run/model")([text for text, _ in rows])
    right = np.mean([label == each.label for (_, label), each in zip(rows, results)])
    assert f"accuracy              {right:.4f}" in out


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder):
    last = copy_without_newest_checkpoint(run, folder / "half")
    words = ["train", "text_classification", "INIT=published", "MODEL_DIR=half", *SETTINGS]
    code, out, _ = electra(*words)
    assert code == 0
    assert f"of {last}" in out[out.index("continuing after step") :]
    assert_same_state(state(folder / "half/checkpoints"), state(run / "checkpoints"))


# === Bad input ===

TABLE = "text,label\nthe film,0\na plot,1\n"


def words(**changes):
    return {"label_words": {**LABEL_WORDS, **changes}}


@pytest.mark.parametrize(
    ("changes", "content", "message"),
    [
        ({"template": "{text} was."}, TABLE, "template must have {label} exactly once"),
        ({"long_texts": "windows"}, TABLE, "LONG_TEXTS=windows is not for HEAD=replaced_token"),
        ({"head": "linear", "template": TEMPLATE}, TABLE, "label_words are for head='replaced_"),
        ({"head": "dense", **words()}, TABLE, "leave TEMPLATE and LABEL_WORDS out"),
        ({"label_words": {"0": "poor"}}, TABLE, "a word for each of the labels 0, 1, had words"),
        (words(more="fine"), TABLE, "had words for '0, 1, more'"),
        (words(**{"1": "zzz"}), TABLE, "the word 'zzz' of label '1' is not in the vocabulary"),
        (words(**{"1": "poory"}), TABLE, "have the same tokens"),
        (words(**{"1": ""}), TABLE, "label_words"),
        ({}, TABLE, "the word '0' of label '0' is not in the vocabulary"),
        ({}, "text,label\nx,0.5\ny,1.5\n", "HEAD=replaced_token is for single_label_classif"),
        (words(), "text,text_pair,label\na,the,0\nb,a,1\n", "line 2, must be one text, not a"),
    ],
)
def test_settings_and_data_that_do_not_fit_are_refused(folder, tmp_path, changes, content, message):
    with pytest.raises(InputError) as raised:
        opened(folder, tmp_path, content, **changes)
    assert message in str(raised.value)


def test_a_source_without_the_head_is_refused(electra, folder):
    words = ["train", "text_classification", "INIT=generator", "MODEL_DIR=wrong", *SETTINGS]
    code, _, err = electra(*words, "--dry-run")
    assert code == 2
    assert "INIT=generator must have the head of the discriminator, but lacks" in err
    assert "give a pre-trained pair or a discriminator" in err
