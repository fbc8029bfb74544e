"""Token classification through the command, with a tiny network that learns in seconds."""

import json
import random
import re

import numpy as np
import pytest

import official_nlp as nlp
from official_nlp.data.tables import tagging_schemes
from official_nlp.errors import InputError
from official_nlp.interchange.saved_run import load_run
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import TokenClassificationConfig
from official_nlp.tasks.metrics import entities
from official_nlp.training import TrainingConfig, loop, metrics_log
from tests.tasks import published
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

FIRST, LAST = ["anna", "peter", "jörg"], ["müller", "schmidt"]
PLACES = ["berlin", "münchen", "new york", "北 京"]
OTHERS = ["the", "a", "is", "in", "saw", "of", "and", "then", "went", "to", ",", "."]
# The tokenizer removes the marks of letters.
KNOWN = {word.replace("ö", "o").replace("ü", "u") for word in [*FIRST, *LAST, *OTHERS]}
PIECES = ["ber", "##lin", "mun", "##chen", "new", "york", "北", "京"]
WORDS = [*sorted(KNOWN), *PIECES]
VOCABULARY = [*published.SPECIAL, *WORDS]
LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
FAST = ["LENGTH=16", "LEARNING_RATE=1e-2", "EPOCHS=4", "EVALUATIONS=2", "LAYER_DECAY=1.0", "KEEP=2"]


def sentence(draw):
    """Words with their tags in IOB2."""
    tagged = []
    for _ in range(draw.randrange(2, 4)):
        tagged += [(word, "O") for word in draw.choices(OTHERS, k=draw.randrange(3))]
        name = [draw.choice(FIRST), draw.choice(LAST)][: draw.randrange(1, 3)]
        kind, words = draw.choice([("PER", name), ("LOC", draw.choice(PLACES).split())])
        tagged += [(word, f"{'I' if n else 'B'}-{kind}") for n, word in enumerate(words)]
    return tagged


def written(sentences, scheme="IOB2"):
    """Sentences as the content of a file."""
    texts = []
    for words, tags in (zip(*each) for each in sentences):
        tags = tagging_schemes._written(tags, scheme)
        texts.append("".join(f"{word} {tag}\n" for word, tag in zip(words, tags)))
    return "\n".join(texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a pretrained model, and files of tagged sentences."""
    folder, draw = tmp_path_factory.mktemp("tags"), random.Random(0)
    published.write(folder / "published", WORDS)
    (folder / "data").mkdir()
    for name, count in (("train", 200), ("dev", 40)):
        sentences = [sentence(draw) for _ in range(count)]
        (folder / f"data/{name}.txt").write_text(written(sentences))
    (folder / "data/test.txt").write_text("anna\nsaw\nnew\nyork\n\nthe\n")
    (folder / "dev.BIOES").write_text(written(sentences, "BIOES"))
    (folder / "two.txt").write_text("anna NN\nsaw VB\n\nthe DT\npeter NN\nwent VB\n")
    return folder


def train(electra, model_dir, *settings):
    words = ["train", "ner", "DATA=data", f"MODEL_DIR={model_dir}", *FAST, *settings]
    if not any(word.startswith("INIT=") for word in settings):
        words.append("INIT=published")
    code, out, err = electra(*words)
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def run(electra, folder):
    """A finished run; the output of its training is in out.txt."""
    if not (folder / "run").exists():
        (folder / "out.txt").write_text(train(electra, "run"))
    return folder / "run"


def summary(run):
    return json.loads((run / "summary.json").read_text())


def printed_metrics(out):
    """The table of the set dev, by name."""
    lines = [line.split() for line in out.splitlines()]
    return dict(lines[lines.index(["dev"]) + 1 :])


# === What a run does ===


def test_it_says_what_it_infers_and_learns(run, folder):
    out = (folder / "out.txt").read_text()
    assert "train.txt: 200 sentences" in out
    assert "tags of scheme IOB2" in out
    assert "examples: training 200, dev 40" in out
    assert "dev/entity_f1 0" in out
    found = summary(run)
    assert (found["metric"], found["failed"]) == ("dev/entity_f1", 0)
    metrics = found["median"]["dev"]
    assert tuple(metrics) == (*entities.METRICS, "loss")
    assert metrics["entity_f1"] > 0.9
    lines = [x for x in metrics_log.read(run / "metrics.jsonl") if "dev/entity_f1" in x]
    assert max(line["dev/entity_f1"] for line in lines) == pytest.approx(metrics["entity_f1"])


def test_labels_have_names_and_their_order_is_recorded(run):
    config = json.loads((run / "model/config.json").read_text())
    assert config["id2label"] == {str(number): name for number, name in enumerate(LABELS)}
    assert config["architectures"] == ["ElectraForTokenClassification"]
    recorded = json.loads((run / "run.json").read_text())["task"]["config"]
    assert (recorded["scheme"], recorded["labels"]) == ("IOB2", LABELS)


def test_the_predictor_and_the_evaluation_tag_alike(electra, run, folder):
    saved = load_run(run, "best")
    data = saved.task_config.open_evaluation_data(folder / "data/dev.txt")
    task = saved.task_config.make({None: data}, saved.training)
    true, predicted = task.tags_of(loop.predict(task, saved.training, run, "best")["dev"])
    examples = data.dev["dev"].examples
    assert true == [list(each.tags) for each in examples]
    predictor = nlp.Predictor.from_pretrained("run/model", length=16)
    results = predictor([list(each.tokens) for each in examples])
    assert [result.tags for result in results] == predicted
    # The texts divide into the same words.
    assert results == predictor([" ".join(each.tokens) for each in examples])


def test_predict_finds_the_characters_of_entities(electra, run):
    text = "Jörg Müller\u00a0 saw MÜNCHEN, 北京 and New  York."
    (result,) = nlp.Predictor.from_pretrained("run/model")([text])
    found = [(each.text, each.label) for each in result.entities]
    names = ["Jörg Müller", "MÜNCHEN", "北京", "New  York"]
    assert found == list(zip(names, ["PER", "LOC", "LOC", "LOC"]))
    for each, name in zip(result.entities, names):
        assert (each.start, each.end) == (text.index(name), text.index(name) + len(name))
    code, out, _ = electra("predict", "run", "then Anna Schmidt went to Berlin")
    assert code == 0
    assert "Anna Schmidt (PER" in out
    assert "Berlin (LOC" in out


def test_a_test_set_without_tags_is_predicted(run, folder):
    note = "test.txt: no labels; predictions are written at the end of a run"
    assert note in (folder / "out.txt").read_text()
    lines = (run / "predictions/test.jsonl").read_text().splitlines()
    results = nlp.Predictor.from_pretrained(run / "model", length=16)(
        [["anna", "saw", "new", "york"], ["the"]]
    )
    assert [json.loads(line) for line in lines] == [result.to_dict() for result in results]


def test_evaluate_takes_a_file_in_another_scheme(electra, run):
    metrics = summary(run)["median"]["dev"]
    code, out, _ = electra("evaluate", "run", "dev.BIOES", "--checkpoint", "best")
    assert code == 0
    assert "dev.BIOES: 40 sentences" in out
    assert "tags of scheme BIOES" in out
    assert printed_metrics(out) == {name: f"{value:.4f}" for name, value in metrics.items()}


def test_types_that_training_does_not_have_count_as_missed(electra, run, folder):
    (folder / "other.txt").write_text("anna B-PER\nsaw O\nberlin B-TEAM\n\npeter B-PER\n")
    code, out, _ = electra("evaluate", "run", "other.txt")
    assert code == 0
    assert "other.txt: 1 tag not among those of training, which count as errors: 'B-TEAM'" in out
    found = printed_metrics(out)
    assert (found["entity_recall"], found["token_accuracy"]) == ("0.6667", "0.7500")
    # The loss is that of the known tags.
    assert float(found["loss"]) < 1


def test_tags_of_an_evaluation_alone_are_noted(tmp_path):
    (tmp_path / "dev.txt").write_text("anna B-PER\nberlin I-TEAM\nsaw I-TEAM\n")
    task = task_of(tmp_path, written([SENTENCE]), dev=str(tmp_path / "dev.txt"))
    assert task._data.notes[-1] == (
        "dev.txt: 2 tags not among those of training, which count as errors: 'B-TEAM', 'I-TEAM'"
    )


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder):
    copy_without_newest_checkpoint(run, folder / "half")
    out = train(electra, "half")
    assert re.search(r"continuing after step 1\d of 25", out)
    assert_same_state(state(folder / "half/checkpoints"), state(run / "checkpoints"))
    assert (folder / "half/summary.json").read_text() == (run / "summary.json").read_text()


def test_weights_of_a_run_with_other_labels_initialize_the_encoder(electra, run):
    words = ["train", "token_classification", "INIT=run/model", "DATA=two.txt", "DEV=two.txt"]
    words += ["MODEL_DIR=again", "KEEP_BEST=token_accuracy", "LENGTH=32", "EPOCHS=1"]
    code, out, err = electra(*words, "--dry-run")
    assert (code, err) == (0, "")
    assert "37 tensors loaded" in out
    assert "newly initialized, because the head of the file is another one: classifier.w" in out
    assert "its labels are 'O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER', those of the run" in out
    assert "baselines on the evaluation data, without a network: dev/token_accuracy 0.4" in out


# === Features and labels ===


def task_of(folder, train, **settings):
    """The task of a training file that is its own development set."""
    content = train if isinstance(train, bytes) else train.encode()
    (folder / "own.txt").write_bytes(content)
    settings = {"length": 16, "dev": str(folder / "own.txt"), **settings}
    network = ElectraConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64)
    tokenizer = nlp.data.ElectraTokenizer(VOCABULARY)
    config = TokenClassificationConfig(**settings).with_network(network, tokenizer)
    return config.make({None: config.open_data(folder / "own.txt")}, TrainingConfig())


def labels_of(task):
    """The label of each token of the training set, None where there is none."""
    features = task.features(task._data.train)
    numbers = features.token_labels.tolist()
    return [None if number < 0 else task.network.id2label[number] for number in numbers]


SENTENCE = [("münchen", "B-LOC"), ("berlin", "B-LOC"), ("saw", "O"), ("new", "B-LOC"),
            ("york", "I-LOC"), ("anna", "B-PER")]  # fmt: skip
IN_IOB2 = [None, "B-LOC", None, "B-LOC", None, "O", "B-LOC", "I-LOC", "B-PER", None]
IN_BIOES = [None, "S-LOC", None, "S-LOC", None, "O", "B-LOC", "E-LOC", "S-PER", None]


@pytest.mark.parametrize("given", ["IOB1", "IOB2", "BIOES"])
@pytest.mark.parametrize("scheme", [None, "IOB2", "BIOES"])
def test_files_in_all_schemes_have_equal_labels(tmp_path, given, scheme):
    task = task_of(tmp_path, written([SENTENCE], given), scheme=scheme)
    learned = scheme or ("BIOES" if given == "BIOES" else "IOB2")
    assert task.config.scheme == learned
    assert labels_of(task) == (IN_BIOES if learned == "BIOES" else IN_IOB2)
    prefixes = "BIES" if learned == "BIOES" else "BI"
    names = [f"{prefix}-{kind}" for kind in ("LOC", "PER") for prefix in prefixes]
    assert list(task.network.id2label.values()) == ["O", *names]


def test_a_word_without_tokens_shifts_no_label(tmp_path):
    words = [("anna", "B-PER"), ("\u200b", "O"), ("berlin", "B-LOC")]
    expected = [None, "B-PER", "O", "B-LOC", None, None]
    assert labels_of(task_of(tmp_path, written([words]))) == expected


def test_each_word_of_a_long_sentence_is_evaluated_once(tmp_path):
    task = task_of(tmp_path, written([SENTENCE * 9, SENTENCE[:1]]), length=10)
    features = task.features(task._data.train)
    assert features.examples.tolist() == [0] * (len(features) - 1) + [1]
    assert len(features) == task._data.examples > 8
    labels = features.batch(np.arange(len(features)), 10, 0)["labels"]
    true, predicted = task.tags_of(
        {"labels": labels, "predicted": labels, "document": features.examples}
    )
    assert true == predicted == [[tag for _, tag in each] for each in (SENTENCE * 9, SENTENCE[:1])]


def test_the_page_shows_types_and_wrong_tags(tmp_path):
    task = task_of(tmp_path, "anna B-PER\nsaw O\nberlin B-LOC\n\npeter B-PER\n\n<the> O\n")
    features = task.features(task._data.train)
    labels = features.batch(np.arange(3), 16, 0)["labels"]
    # The labels are O, B-LOC, I-LOC, B-PER, I-PER.
    predicted = np.where(labels == 1, 3, labels)
    rows = {"labels": labels, "predicted": predicted, "document": features.examples}
    types, wrong = task.page_sections("dev", rows)
    assert types.title == "Entities by type"
    for cells in (
        ["LOC", 1, 0, "0.000", "0.000", "0.000"],
        ["PER", 2, 3, "0.667", "1.000", "0.800"],
    ):
        assert "".join(f"<td>{cell}" for cell in cells) in types.body
    assert "<td>1<td>anna saw berlin<td>B-PER O B-LOC<td>B-PER O B-PER" in wrong.body
    assert "peter" not in wrong.body


def test_the_weight_of_the_loss_is_the_number_of_labels(tmp_path):
    task = task_of(tmp_path, written([SENTENCE, SENTENCE[:2]]))
    (batch,) = task.evaluation_sets()["dev"].take(1)
    assert float(task.loss_weight(batch)) == 8


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        # 4 words B-LOC, 2 B-PER, 1 I-LOC and 1 O, none I-PER: 8 words of 4 labels.
        ("auto", {"O": 2.0, "B-LOC": 0.5, "I-LOC": 2.0, "B-PER": 1.0, "I-PER": 1.0}),
        ({"B-LOC": 3}, {"O": 1.0, "B-LOC": 3.0, "I-LOC": 1.0, "B-PER": 1.0, "I-PER": 1.0}),
    ],
)
def test_class_weights_are_weights_of_the_words(tmp_path, given, weights):
    sentences = [SENTENCE, [("berlin", "B-LOC"), ("anna", "B-PER")]]
    task = task_of(tmp_path, written(sentences), class_weights=given)
    assert task.config.class_weights == weights
    (batch,) = task.evaluation_sets()["dev"].take(1)
    counts = {"B-LOC": 4, "B-PER": 2, "I-LOC": 1, "O": 1}
    total = sum(weights[name] * count for name, count in counts.items())
    assert float(task.loss_weight(batch)) == total
    # The loss is the sum of the losses of the words, each times the weight of its label.
    model = task.build()
    sums, _ = task.evaluate(model, batch)
    logits = model(task.inputs_of(batch), training=False)["logits"].numpy()
    losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
        logits, np.maximum(batch["labels"], 0)[..., None], -1
    )[..., 0]  # fmt: skip
    counted = (batch["labels"].numpy() >= 0) * batch["sample_weight"].numpy()[:, None]
    by_number = np.array(list(weights.values()))[np.maximum(batch["labels"], 0)]
    expected = (losses * by_number * counted).sum()
    assert float(sums["loss_sum"]) == pytest.approx(expected, rel=1e-4)


def test_tags_without_prefixes_have_an_accuracy_only(tmp_path):
    task = task_of(tmp_path, "anna NN\nsaw VB\n\nthe DT\npeter NN\n")
    assert task.network.id2label == {0: "DT", 1: "NN", 2: "VB"}
    assert task.baselines() == {"dev/token_accuracy": 0.5}


def test_the_column_of_the_words_is_recorded(tmp_path):
    task = task_of(tmp_path, "B-PER anna\nO saw\n", token_column=1, tag_column=0)
    assert task.network.extra == {"token_column": 1}


def test_labels_have_the_order_that_is_given(tmp_path):
    names = ["I-PER", "B-PER", "B-LOC", "I-LOC", "O"]
    task = task_of(tmp_path, written([SENTENCE]), labels=names)
    assert list(task.network.id2label.values()) == names
    assert labels_of(task) == IN_IOB2


def test_a_training_file_is_divided_where_there_is_no_development_set(tmp_path):
    draw = random.Random(1)
    content = written([sentence(draw) for _ in range(50)])
    task = task_of(tmp_path, content, dev=None, dev_fraction=0.3)
    sizes = [len(each.examples) for each in (task._data.train, task._data.dev["dev"])]
    assert sum(sizes) == 50
    assert 5 < sizes[1] < 25


def test_tags_that_break_their_scheme_are_counted_and_read_as_entities(tmp_path):
    task = task_of(tmp_path, "anna B-PER\nberlin I-LOC\nsaw O\n\npeter B-PER\n")
    assert labels_of(task) == [None, "B-PER", "B-LOC", None, "O", None, None, "B-PER", None]
    assert any("1 tag not valid in IOB2" in note for note in task._data.notes)


# === Bad input ===


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("anna O\nsaw\n", {}, "line 2: expected 2 columns as in the first line, found 1: 'saw'"),
        ("anna O x\nsaw O\n", {}, "line 2: expected 3 columns"),
        ("anna O\n", {"tag_column": 3}, "line 1: there is no tag column 3"),
        ("", {}, "own.txt is empty"),
        (b"anna O\n\n\xff\xfe O\n", {}, "line 3: text must be UTF-8"),
        ("anna O\nsaw O\n", {}, "all words of .*own.txt have the tag 'O': there is nothing to"),
        ("anna B-PER\nsaw X\n", {"scheme": "IOB2"}, "line 2: the tag 'X' is neither O nor has a"),
        ("a O\n\nanna B-PER\nsaw B-X\n", {"labels": ["O", "B-PER"]}, "line 4: the tag 'B-X' is"),
        ("anna B-PER\n", {"labels": ["O", "O"]}, "labels must be distinct names, were 'O', 'O'"),
        ("anna B-PER\n", {"labels": ["O", "B-PER", "LOC"]}, "IOB2 must be O, .*, was 'LOC'"),
        ("anna B-PER\n", {"class_weights": {"B-X": 1.0}}, "among 'O', .*, named 'B-X'"),
        ("anna B-PER\n", {"class_weights": "equal"}, "class_weights must be one of auto"),
        ("anna B-PER\n", {"labels": ["O"]}, "labels must be a list of at least 2 values"),
        ("anna B-PER\n", {"scheme": "IOB1"}, "scheme must be one of IOB2, BIOES, none"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(tmp_path, content, settings, message):
    with pytest.raises(InputError, match=message):
        task_of(tmp_path, content, **settings)


def test_a_development_set_without_prefixes_is_refused(tmp_path):
    (tmp_path / "dev.txt").write_text("anna B-PER\nsaw PER\n")
    with pytest.raises(InputError, match=r"dev\.txt, line 2: the tag 'PER' is neither O nor has"):
        task_of(tmp_path, written([SENTENCE]), dev=str(tmp_path / "dev.txt"))


def test_a_metric_of_entities_needs_entities(electra):
    words = ["train", "ner", "INIT=published", "DATA=two.txt", "DEV=two.txt", "LENGTH=32"]
    code, out, err = electra(*words, "MODEL_DIR=x")
    assert code == 2
    assert "two.txt, line 1 has 'NN'; KEEP_BEST=token_accuracy fits" in out
    assert "keep_best must be one of token_accuracy, loss, was 'entity_f1'" in err


def test_a_configuration_without_labels_makes_no_model(tmp_path):
    network = ElectraConfig(vocab_size=len(VOCABULARY))
    tokenizer = nlp.data.ElectraTokenizer(VOCABULARY)
    config = TokenClassificationConfig(length=16).with_network(network, tokenizer)
    with pytest.raises(InputError, match="without training data needs labels and scheme"):
        config.make(None, TrainingConfig()).build()
