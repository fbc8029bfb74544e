"""A run's networks are given back in Hugging Face's form, as they are, with a card."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import official_nlp as nlp
from official_nlp.cli import main
from official_nlp.cli.commands import train
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import sources
from official_nlp.interchange.saved_run import SavedRun
from official_nlp.training import TrainingConfig, metrics_log
from tests.data.conftest import (  # noqa: F401
    VOCABULARY,
    built,
    text_file,
    tokenizer,
    tokenizer_folder,
)
from tests.tasks.conftest import config, phase

TRAINING = TrainingConfig(
    learning_rate=1e-3,
    warmup_steps=2,
    steps_per_loop=2,
    checkpoint_interval=2,
    evaluation_interval=4,
    keep_best="rtd_loss",
    seed=5,
)
MODES = ["shared", "gdes", "whole"]
BATCH = {
    "input_word_ids": np.int32([[2, 7, 4, 9, 30, 3], [2, 8, 4, 3, 0, 0]]),
    "input_mask": np.int32([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
    "input_type_ids": np.int32([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]]),
}


def trained(to, data, sharing="shared", steps=6, **changes):
    arguments = {"task": config(sharing), "phases": (phase(steps=steps),), "training": TRAINING}
    train.train(model_dir=str(to), data=str(data), **{**arguments, **changes})
    return to


@pytest.fixture(scope="module")
def run(tmp_path_factory, built):  # noqa: F811
    return trained(tmp_path_factory.mktemp("shared") / "run", built)


@pytest.fixture(scope="module", params=MODES)
def given_back(request, tmp_path_factory, built, run):  # noqa: F811
    """A run, and the folder of its networks."""
    place = tmp_path_factory.mktemp(request.param)
    if request.param != "shared":
        run = trained(place / "run", built, request.param)
    assert main.main(["convert", str(run), "--to", str(place / "published")]) == main.DONE
    return run, place / "published"


def test_both_networks_compute_what_the_runs_do(given_back):
    run, published = given_back
    model = SavedRun(run).model
    generator = nlp.models.ElectraForMaskedLM.from_pretrained(published / "generator", strict=True)
    positions = tf.constant([[0, 1, 2, 3, 4, 5]] * 2)
    expected = model.generate({**BATCH, "masked_lm_positions": positions})["lm_outputs"]
    actual = generator(BATCH)["logits"]
    np.testing.assert_array_equal(actual, expected)
    discriminator = nlp.models.ElectraForPreTraining.from_pretrained(
        published / "discriminator", strict=True
    )
    expected = model.discriminate(*[BATCH[name] for name in BATCH])
    # Sums of differences are sums in another order.
    tolerance = 1e-6 if model.sharing == "gdes" else 0.0
    actual = discriminator(BATCH)["logits"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_the_folders_have_configuration_tokenizer_and_card(given_back):
    run, published = given_back
    assert {path.name for path in published.iterdir()} == {"generator", "discriminator"}
    for name in ("generator", "discriminator"):
        files = {path.name for path in (published / name).iterdir()}
        assert files >= {"config.json", "model.safetensors", "vocab.txt", "README.md"}
        tokens = ElectraTokenizer.from_pretrained(published / name)
        assert tokens.vocab_hash == ElectraTokenizer.from_pretrained(run / "tokenizer").vocab_hash
        read = nlp.networks.ElectraConfig.from_json((published / name / "config.json").read_text())
        ours = getattr(SavedRun(run).config, name)
        assert (read.hidden_size, read.vocab_size) == (ours.hidden_size, len(VOCABULARY))
        assert "languages" not in (published / name / "README.md").read_text()


def test_the_card_says_data_steps_sizes_and_metrics(given_back, built):  # noqa: F811
    run, published = given_back
    card = (published / "discriminator/README.md").read_text()
    described, last = SavedRun(run), metrics_log.read(run / "metrics.jsonl")[-1]
    parameters = sum(x.size for x in described.state("discriminator").values())
    counts = nlp.data.open_folder(built)
    for part in (
        "library_name: transformers",
        f"| parameters | {parameters:,} |",
        "| steps | 6 |",
        "6 steps of 4 rows of 32 tokens",
        f"| name | `{built.name}` |",
        f"| examples | {counts.count('train'):,} |",
        f"| held out | {counts.count('held_out'):,} |",
        described.fixed["data"],
        described.tokenizer.vocab_hash,
        f"| rtd_auc | {last['held_out/rtd_auc']:.4f} |",
        "at step 6",
        "learning rate | 0.001, warm-up of 2 steps",
        f"tensorflow {tf.__version__}",
        'nlp.models.ElectraForPreTraining.from_pretrained("FOLDER")',
        'transformers.ElectraForPreTraining.from_pretrained("FOLDER")',
        "All variables began at random.",
        "Licence and language",
    ):
        assert part in card, part
    assert "mlm_" not in card
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1]
    assert "language" not in front
    assert "pipeline_tag: fill-mask" in (published / "generator/README.md").read_text()


def test_a_checkpoint_is_chosen(run, tmp_path, capsys):
    newest = sources.read(run, "run")
    early = sources.read(run, "run", checkpoint=4)
    assert (newest.step, early.step) == (6, 4)
    assert sources.read(run, "run", checkpoint="best").step in (4, 6)
    assert sources.guess(run / "checkpoints/ckpt-4") == "run"
    named = sources.read(run / "checkpoints/ckpt-4", "run")
    assert named.step == 4
    name = "discriminator_predictions.dense.weight"
    states = [x.networks["discriminator"].state[name] for x in (newest, early, named)]
    assert np.any(states[0] != states[1])
    np.testing.assert_array_equal(states[1], states[2])
    words = ["convert", str(run), "--to", str(tmp_path / "to"), "--checkpoint", "4"]
    assert main.main(words) == main.DONE
    assert "a run, step 4 of 6, sharing shared" in capsys.readouterr().out
    card = (tmp_path / "to/generator/README.md").read_text()
    assert "| steps | 4 of 6 planned |" in card
    assert "at step 4" in card


def test_a_checkpoint_that_is_none_is_refused(run, built, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="no checkpoint of step 5 in"):
        sources.read(run, "run", checkpoint=5)
    with pytest.raises(InputError, match="must be newest, best or the number of a step, was 'x'"):
        sources.read(run, "run", checkpoint="x")
    (tmp_path / "model.ckpt.index").write_bytes(b"")
    with pytest.raises(InputError, match=r"--checkpoint is for a run; .* is google"):
        sources.read(tmp_path / "model.ckpt", "google", checkpoint=5)


def test_what_an_old_run_did_not_record_is_said_to_be_unknown(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    del described["beginning"]
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    (tmp_path / "run/metrics.jsonl").unlink()
    card = sources.read(tmp_path / "run", "run").cards["generator"]
    assert "| name | not recorded |" in card
    assert "| examples | not recorded |" in card
    assert "nothing was measured on text that was held out." in card


def test_oddities_of_the_original_are_on_the_card(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    assert "oddities of the original code | none |" in sources.read(run, "run").cards["generator"]
    described["fixed"]["training"]["reference_quirks"]["bias_correction"] = False
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    card = sources.read(tmp_path / "run", "run").cards["generator"]
    assert "| oddities of the original code | bias_correction |" in card
