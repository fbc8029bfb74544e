"""The networks of a run are written as Hugging Face folders, with tokenizer and model card."""

import json
import re
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

import official_nlp as nlp
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import convert, saved_run, sources
from official_nlp.training import metrics_log
from tests.data.conftest import VOCABULARY
from tests.interchange import trained_run
from tests.interchange.trained_run import STEPS, config, task_of

NAMES = ("generator", "discriminator")
BATCH = {
    "input_word_ids": np.int32([[2, 7, 4, 9, 30, 3], [2, 8, 4, 3, 0, 0]]),
    "input_mask": np.int32([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
    "input_type_ids": np.int32([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]]),
}


def open_with_model(run, monkeypatch):
    """Return the source of a run, and the model that was restored for it."""
    restored = []
    original = saved_run.load_run

    def load_run(*arguments):
        restored.append(original(*arguments))
        return restored[0]

    monkeypatch.setattr(saved_run, "load_run", load_run)
    return sources.open(run), restored[0].model


def assert_computes_the_same(folder, model):
    generator = nlp.models.ElectraForMaskedLM.from_pretrained(folder / "generator", strict=True)
    positions = tf.constant([[0, 1, 2, 3, 4, 5]] * 2)
    expected = model.generate({**BATCH, "masked_lm_positions": positions})["lm_outputs"]
    np.testing.assert_array_equal(generator(BATCH)["logits"], expected)
    discriminator = nlp.models.ElectraForPreTraining.from_pretrained(
        folder / "discriminator", strict=True
    )
    expected = model.discriminate(*[BATCH[name] for name in BATCH])
    # Sums of differences are computed in another order.
    tolerance = 1e-6 if model.sharing == "gdes" else 0.0
    np.testing.assert_allclose(discriminator(BATCH)["logits"], expected, rtol=0, atol=tolerance)


def test_both_networks_compute_what_those_of_the_run_do(run, tmp_path, monkeypatch):
    source, model = open_with_model(run, monkeypatch)
    convert.write(source, tmp_path / "to", "huggingface")
    assert_computes_the_same(tmp_path / "to", model)


@pytest.mark.parametrize(
    ("sharing", "note"),
    [("gdes", "differences to the generator's: merged"), ("whole", "are one encoder")],
)
def test_other_sharing_modes_are_written_as_two_whole_networks(
    run, tmp_path, monkeypatch, sharing, note
):
    original = saved_run.load_run(run)
    task_config = config(sharing).for_vocabulary(len(VOCABULARY))
    model = task_config.build()
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * random.normal(size=variable.shape))
    fields = ("path", "described", "tokenizer", "step", "last_step", "evaluation")
    changed = types.SimpleNamespace(
        **{name: getattr(original, name) for name in fields},
        task=task_of(task_config),
        model=model,
    )
    monkeypatch.setattr(saved_run, "load_run", lambda *arguments: changed)
    source = sources.open(run)
    assert f"sharing {sharing}" in source.title
    assert note in source.notes[0]
    convert.write(source, tmp_path / "to", "huggingface")
    assert_computes_the_same(tmp_path / "to", model)


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["gdes", "whole"])
def test_runs_of_other_sharing_modes_are_converted(tmp_path, built, monkeypatch, sharing):
    trained_run.train(tmp_path / "run", built, sharing)
    source, model = open_with_model(tmp_path / "run", monkeypatch)
    convert.write(source, tmp_path / "to", "huggingface")
    assert_computes_the_same(tmp_path / "to", model)


def test_the_folders_contain_configuration_tokenizer_and_card(run, published):
    assert {path.name for path in published.iterdir()} == set(NAMES)
    vocab_hash = ElectraTokenizer.from_pretrained(run / "tokenizer").vocab_hash
    for name in NAMES:
        files = {path.name for path in (published / name).iterdir()}
        assert files >= {"config.json", "model.safetensors", "vocab.txt", "README.md"}
        assert ElectraTokenizer.from_pretrained(published / name).vocab_hash == vocab_hash
        written = json.loads((published / name / "config.json").read_text())
        ours = getattr(config(), name)
        assert written["hidden_size"] == ours.hidden_size
        assert written["vocab_size"] == len(VOCABULARY)
        assert written["pad_token_id"] == VOCABULARY.index("[PAD]")
    assert written["architectures"] == ["ElectraForPreTraining"]


def test_the_card_states_data_steps_sizes_and_metrics(run, published, built):
    card = (published / "discriminator/README.md").read_text()
    last = metrics_log.read(run / "metrics.jsonl")[-1]
    source = sources.open(run)
    data = nlp.data.open_folder(built)
    for part in (
        "library_name: transformers",
        f"| parameters | {source.networks['discriminator'].parameters:,} |",
        f"| steps | {STEPS} |",
        f"{STEPS} steps of 4 sequences of 32 tokens",
        "masked language modelling 1, replaced token detection 50",
        f"| name | `{built.name}` |",
        f"| training examples | {data.count('train'):,} |",
        f"| held-out examples | {data.count('held_out'):,} |",
        source.tokenizer.vocab_hash,
        f"| rtd_auc | {last['held_out/rtd_auc']:.4f} |",
        f"at step {STEPS}",
        "learning rate | 0.001, warm-up over 2 steps",
        "| reference quirks | none |",
        f"tensorflow {tf.__version__}",
        'nlp.models.ElectraForPreTraining.from_pretrained("FOLDER")',
        'transformers.ElectraForPreTraining.from_pretrained("FOLDER")',
        "All variables were initialized randomly.",
        "The licence and the language",
    ):
        assert part in card, part
    assert re.search(r"hash of the examples \(sha256\) \| `[0-9a-f]{64}`", card)
    assert "mlm_" not in card
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1]
    assert "language" not in front
    assert "pipeline_tag: fill-mask" in (published / "generator/README.md").read_text()


def test_a_checkpoint_can_be_chosen(run):
    newest, early = sources.open(run), sources.open(run, checkpoint=2)
    assert (newest.step, early.step) == (STEPS, 2)
    assert early.title == f"a run, step 2 of {STEPS}, sharing shared"
    assert f"| steps | 2 of {STEPS} planned |" in early.cards["generator"]
    assert "at step 2" in early.cards["generator"]
    assert sources.open(run, checkpoint="best").step in (2, STEPS)
    named = sources.open(run / "checkpoints/ckpt-2")
    assert (named.kind, named.step) == ("run", 2)
    key = "discriminator_predictions.dense.weight"
    arrays = [x.networks["discriminator"].arrays[key] for x in (newest, early, named)]
    assert np.any(arrays[0] != arrays[1])
    np.testing.assert_array_equal(arrays[1], arrays[2])


def test_a_checkpoint_that_does_not_exist_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="no checkpoint of step 5 in"):
        sources.open(run, checkpoint=5)
    with pytest.raises(InputError, match="must be newest, best or the number of a step, was 'x'"):
        sources.open(run, checkpoint="x")
    (tmp_path / "model.ckpt.index").write_bytes(b"")
    with pytest.raises(InputError, match=r"--checkpoint applies to runs; .* is of kind google"):
        sources.open(tmp_path / "model.ckpt", "google", checkpoint=5)


def test_the_run_of_a_task_without_networks_is_refused(run, monkeypatch):
    class Regression:
        pass

    other = types.SimpleNamespace(path=run, task=Regression())
    monkeypatch.setattr(saved_run, "load_run", lambda *arguments: other)
    with pytest.raises(InputError, match="a run of Regression, whose model has no ELECTRA network"):
        sources.open(run)


def test_a_run_without_record_of_its_origin_and_metrics_is_converted(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    del described["origin"]
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    (tmp_path / "run/metrics.jsonl").unlink()
    card = sources.open(tmp_path / "run").cards["generator"]
    assert "| name | not recorded |" in card
    assert "No evaluation on the held-out set was recorded" in card


def test_a_run_that_declares_more_than_its_checkpoint_holds_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    described = json.loads((run / "run.json").read_text())
    described["task"]["config"]["generator"]["num_hidden_layers"] = 1000
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"1000 layers of width 8 .* holds only [\d,]+ numbers"):
        sources.open(tmp_path / "run")
