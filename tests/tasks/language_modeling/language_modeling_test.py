"""Language models through the command, with a tiny network that learns in seconds."""

import json
import math
import random
import re

import numpy as np
import pytest
import tf_keras

import official_nlp as nlp
from official_nlp.cli import main
from official_nlp.data.pretraining.examples import build_examples
from official_nlp.interchange import sources
from official_nlp.modeling.models import ElectraForMaskedLM
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.training import metrics_log
from tests.training.toy import assert_same_state, copy_without_newest_checkpoint, state

# A formulaic text: a word determines those after it.
WORK = {
    "baker": ("bakes", "bread"),
    "fisher": ("catches", "trout"),
    "farmer": ("sows", "wheat"),
    "tailor": ("sews", "coats"),
    "miner": ("digs", "coal"),
    "painter": ("paints", "walls"),
}
TIMES = ["morning", "evening"]
OTHERS = ["the", "in", ".", "and"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *OTHERS, *TIMES]
VOCABULARY += [word for one, others in WORK.items() for word in (one, *others)]
LENGTH = 24
SETTINGS = [
    *("DATA=data", f"LENGTH={LENGTH}", "BATCH_SIZE=16", "LEARNING_RATE=1e-2"),
    *("EVALUATIONS=2", "KEEP=2", "MASK_PROBABILITY=0.25"),
]
# Every token is predicted by the causal one, and a quarter of them by the other.
EPOCHS = {"masked": "EPOCHS=12", "causal": "EPOCHS=4"}
METRICS = {
    "masked": {"mlm_mask_loss", "mlm_mask_accuracy", "mlm_loss", "mlm_accuracy"},
    "causal": {"causal_loss", "perplexity", "next_token_accuracy"},
}
LOSS = {"masked": "mlm_mask_loss", "causal": "causal_loss"}


def sentence(draw):
    worker, (does, thing) = draw.choice(sorted(WORK.items()))
    return f"the {worker} {does} {thing} in the {draw.choice(TIMES)}."


def build(folder, to, held_out, length=LENGTH, tokenizer="published"):
    source = folder / "corpus.txt"
    options = {"length": length, "held_out": held_out, "processes": 1, "progress": False}
    build_examples(source, folder / tokenizer, folder / to, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a generator, whose values are random, and data folders of one text."""
    folder, draw = tmp_path_factory.mktemp("language"), random.Random(0)
    documents = ["\n".join(sentence(draw) for _ in range(9)) for _ in range(120)]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n")
    config = ElectraConfig(
        vocab_size=len(VOCABULARY),
        embedding_size=32,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer="fan_in",
    )
    tf_keras.utils.set_random_seed(0)
    ElectraForMaskedLM(config).save_pretrained(folder / "published")
    for name, words in (("published", VOCABULARY), ("other", [*VOCABULARY, "more"])):
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        nlp.data.ElectraTokenizer(folder / "vocab.txt").save_pretrained(folder / name)
    build(folder, "data", 0.2)
    return folder


@pytest.fixture
def electra(folder, monkeypatch, capsys):
    """Run the command in the folder; return its exit code, standard output and error."""
    monkeypatch.chdir(folder)

    def call(*words):
        code = main.main([str(word) for word in words])
        output = capsys.readouterr()
        return code, " ".join(output.out.split()), " ".join(output.err.split())

    return call


# Masking is that of pre-training, whose tests run by default.
@pytest.fixture(params=[pytest.param("masked", marks=pytest.mark.slow), "causal"])
def objective(request):
    return request.param


@pytest.fixture
def run(electra, folder, objective):
    """A finished run of an objective; the output of its training is beside it."""
    if not (folder / objective).exists():
        words = ["INIT=published", f"MODEL_DIR={objective}", *SETTINGS, EPOCHS[objective]]
        code, out, err = electra("train", f"{objective}_lm", *words)
        assert code == 0, err
        (folder / f"{objective}.txt").write_text(out)
    return folder / objective


# === What a run does ===


def test_it_learns_more_than_frequencies(run, folder, objective):
    out = (folder / f"{objective}.txt").read_text()
    assert "published: 26 tensors loaded" in out
    unigram = float(re.search(r"unigram loss ([\d.]+)", out).group(1))
    assert ("two-sided" in out) == (objective == "masked")
    (metrics,) = json.loads((run / "summary.json").read_text())["median"].values()
    assert set(metrics) == METRICS[objective]
    assert metrics[LOSS[objective]] < 0.7 * unigram
    if objective == "causal":
        assert metrics["perplexity"] == pytest.approx(math.exp(metrics["causal_loss"]))
    lines = metrics_log.read(run / "metrics.jsonl")
    assert sum(f"held_out/{LOSS[objective]}" in line for line in lines) == 2


def test_evaluate_repeats_the_metrics(electra, run, objective):
    (metrics,) = json.loads((run / "summary.json").read_text())["median"].values()
    code, out, _ = electra("evaluate", objective, "data")
    assert code == 0
    for name, value in metrics.items():
        assert f"{name} {value:.4f}" in out


def test_its_model_predicts(electra, run, objective):
    architecture = json.loads((run / "model/config.json").read_text())["architectures"]
    predictor = nlp.Predictor.from_pretrained(run / "model")
    if objective == "masked":
        assert architecture == ["ElectraForMaskedLM"]
        code, out, err = electra("predict", objective, "the miner digs [MASK] in the evening.")
        fillings = re.findall(r"(\w+) \d+%", out)
        assert len(fillings) == 3
        assert set(fillings) <= {thing for _, thing in WORK.values()}
    else:
        assert architecture == ["ElectraForCausalLM"]
        (result,) = predictor(["the miner"], max_new_tokens=6)
        assert result.text.startswith("digs coal in the")
        code, out, err = electra("convert", "causal", "--to", "converted")
        # Its head is that of a generator, but it is none.
        _, _, refusal = electra("evaluate", "converted", "data")
        assert "converted holds ElectraForCausalLM; only generators" in refusal
    assert code == 0, err


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["masked", "causal"], indirect=True)
def test_a_stopped_run_continues_to_the_same_bits(electra, run, folder, objective):
    half = folder / f"half_{objective}"
    last = copy_without_newest_checkpoint(run, half)
    # The source may be gone.
    (folder / "published").rename(folder / "gone")
    try:
        words = ["INIT=published", f"MODEL_DIR={half}", *SETTINGS, EPOCHS[objective]]
        code, out, _ = electra("train", f"{objective}_lm", *words)
    finally:
        (folder / "gone").rename(folder / "published")
    assert code == 0
    assert re.search(rf"continuing after step \d+ of {last}", out)
    assert_same_state(state(half / "checkpoints"), state(run / "checkpoints"))


def test_fine_tuning_starts_from_it(electra, run, folder, objective):
    rows = "".join(f"the {worker},{worker[0]}\n" for worker in WORK)
    (folder / "rows.csv").write_text(f"text,label\n{rows}")
    words = ["DATA=rows.csv", "DEV=rows.csv", "LENGTH=16", "MODEL_DIR=classifier", "--dry-run"]
    code, out, err = electra("train", "text_classification", f"INIT={objective}", *words)
    assert code == 0, err
    # The layer has 16 tensors, the embeddings have 5.
    assert f"{objective}: 21 tensors loaded" in out
    assert ("saw only the tokens before it, and now sees all" in out) == (objective == "causal")


def test_info_describes_it(electra, run, objective):
    code, out, _ = electra("info", objective)
    assert code == 0
    assert "run of LanguageModelConfig" in out
    assert "was initialized from huggingface published" in out


# === Without an evaluation set, and without a source ===


@pytest.mark.slow
def test_nothing_is_evaluated_without_held_out_examples(electra, folder):
    build(folder, "all", 0)
    words = ["INIT=none", "NETWORK=published", "MODEL_DIR=plain", *SETTINGS]
    words += ["DATA=all", "EPOCHS=0.2", "SEEDS=1"]
    code, out, err = electra("train", "masked_lm", *words)
    assert code == 0, err
    assert "no held-out examples" in out
    assert json.loads((folder / "plain/summary.json").read_text())["metric"] is None
    (network,) = sources.open(folder / "plain/model").networks.values()
    (published,) = sources.open(folder / "published").networks.values()
    assert not all(np.array_equal(network.arrays[n], x) for n, x in published.arrays.items())


# === Bad input ===


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["INIT=none"], "INIT=none needs NETWORK"),
        (["LENGTH=16"], "length of phase 1 must be at least 24"),
        (["LENGTH=64"], "at most max_position_embeddings=32, was 64"),
        (["MASK_PROBABILITY=0.99"], "predictions per example of phase 1 must be at most 22"),
        (["KEEP_BEST=rtd_auc"], "keep_best must be one of mlm_mask_loss, mlm_mask_accuracy"),
        (["DATA=mixed"], "has another vocabulary (30 tokens) than the network (29 tokens)"),
        (["DATA=long"], "has examples of 40 tokens, but max_position_embeddings is only 32"),
        (["WHOLE_WORD=true", "ORIGINAL=true"], "cannot be drawn with replacement"),
        (["DATA=corpus.txt"], "corpus.txt"),
    ],
)
def test_wrong_settings_are_explained(electra, folder, words, message):
    if not (folder / "mixed").exists():
        build(folder, "mixed", 0.2, tokenizer="other")
        build(folder, "long", 0.2, length=40)
    given = ["INIT=published", "MODEL_DIR=wrong", *SETTINGS, *words, "--dry-run"]
    code, _, err = electra("train", "masked_lm", *given)
    assert code == 2
    assert message in err
