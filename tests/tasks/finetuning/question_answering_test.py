"""Question answering through the command, with a tiny network that learns in seconds."""

import json
import random

import pytest

import official_nlp as nlp
from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.modeling.models import ElectraForPreTraining
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import QuestionAnsweringConfig
from official_nlp.training import TrainingConfig, metrics_log
from tests.training.toy import assert_same_state, state

# A question names a kind, and its answer is the word of this kind in the context, if there is one.
KINDS = {
    "colour": ["red", "green", "blue", "white"],
    "animal": ["bird", "horse", "fish", "cat"],
    "number": ["two", "three", "five", "nine"],
}
OTHERS = ["the", "a", "and", "of", "river", "walks", "sings", "stone", "near", "old", "boat", "it"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, "which", *KINDS, *OTHERS, *sum(KINDS.values(), [])]
FAST = ["LENGTH=16", "STRIDE=4", "LEARNING_RATE=5e-3", "EPOCHS=4", "EVALUATIONS=2"]


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
    tokenizer = nlp.data.ElectraTokenizer(VOCABULARY)
    config = ElectraConfig(
        vocab_size=len(VOCABULARY),
        embedding_size=32,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer="fan_in",
    )
    ElectraForPreTraining(config).save_pretrained(folder / "published")
    tokenizer.save_pretrained(folder / "published")
    for name, count in (("train", 150), ("dev", 40), ("test", 20)):
        # Contexts of more than ten words need several windows.
        parts = [paragraph(draw, f"{name}{n}", draw.choice([8, 20])) for n in range(count)]
        (folder / f"{name}.json").write_text(json.dumps(squad(parts)))
    return folder


@pytest.fixture
def electra(folder, monkeypatch, capsys):
    """Run the command in the folder; return its exit code, standard output and error."""
    monkeypatch.chdir(folder)

    def call(*words):
        code = main.main([str(word) for word in words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


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


def test_it_learns(run, folder):
    out = (folder / "out.txt").read_text()
    print(out)
