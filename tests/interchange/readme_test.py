"""The migration page: its examples run in their order, and its tables are complete."""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import sys
import types
import warnings

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
import tf_keras

import official_nlp as nlp
from official_nlp import data
from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.interchange import google
from tests.interchange import random_networks, tensorflow_files

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "official_nlp/interchange/README.md").read_text()
EXAMPLE = re.compile(r"```python\n(.*?)```|^    (electra [^\n]*)$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)

# The recipe of the page has millions of parameters and steps; the test uses few of both.
FEW_STEPS = ["STEPS=2", "WARMUP_STEPS=1", "BATCH_SIZE=2", "LENGTH=128"]
SMALLER = """
from __gin__ import dynamic_registration
from official_nlp import training
from official_nlp.modeling import networks
include "experiments/small_plus_plus.gin"
training.TrainingConfig.evaluation_interval = 0
networks.ElectraConfig.embedding_size = 8
networks.ElectraConfig.num_hidden_layers = 1
networks.ElectraConfig.max_position_embeddings = 128
generator/networks.ElectraConfig.hidden_size = 4
generator/networks.ElectraConfig.num_attention_heads = 1
generator/networks.ElectraConfig.intermediate_size = 16
discriminator/networks.ElectraConfig.hidden_size = 16
discriminator/networks.ElectraConfig.num_attention_heads = 2
discriminator/networks.ElectraConfig.intermediate_size = 24
discriminator/networks.ElectraConfig.generator_size = None
"""
LENGTH = 128
WORDS = ["the", "a", "boat", "river", "no", "never", "past", "sees", "waits", "moves", "."]


def examples() -> list:
    """Return pairs of `python` or `command` and its text, in the order of the page."""
    found = []
    for match in EXAMPLE.finditer(PAGE):
        code, command = match.groups()
        found.append(("python", code) if code else ("command", command))
    return found


def sections() -> dict:
    """Return the text below each heading."""
    _, *parts = HEADING.split(PAGE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def table(heading) -> list:
    """Return the rows of the tables below a heading, as lists of cells."""
    rows = [line.strip("| ").split(" | ") for line in ROW.findall(sections()[heading])]
    return [cells for cells in rows[1:] if not set(cells[0]) <= set("-|")]


def names_in(cell) -> list:
    return re.findall(r"`([^`]+)`", cell)


# === The examples ===
@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with what the examples require: old, google, data."""
    workspace = tmp_path_factory.mktemp("migration")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    vocabulary += [f"word{number}" for number in range(32 - len(vocabulary))]
    tokenizer = nlp.data.ElectraTokenizer(vocabulary)
    _write_old(workspace / "old", tokenizer)
    _write_google(workspace / "google", vocabulary)
    texts = np.random.default_rng(0).choice(WORDS, [40, 30])
    (workspace / "texts.txt").write_text("\n\n".join(" ".join(text) for text in texts))
    options = {"held_out": 0.1, "processes": 1, "progress": False}
    data.build_examples(workspace / "texts.txt", workspace / "old", workspace / "data", **options)
    return workspace


def _write_old(folder, tokenizer):
    """Write a folder as a TensorFlow class of transformers left it."""
    config = nlp.networks.ElectraConfig(
        vocab_size=32,
        hidden_size=16,
        embedding_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    tf_keras.utils.set_random_seed(1)
    model = nlp.models.ElectraForSequenceClassification(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    tensorflow_files.write(folder, model.state())


def _write_google(folder, vocabulary):
    sizes = dataclasses.replace(
        random_networks.DISCRIMINATOR, num_hidden_layers=1, max_position_embeddings=LENGTH
    )
    discriminator = random_networks.discriminator(sizes)
    tables = {k: x for k, x in discriminator.arrays.items() if k.startswith("electra.embeddings.")}
    narrow = random_networks.sizes(4, num_hidden_layers=1, max_position_embeddings=LENGTH)
    generator = random_networks.generator(narrow, shared=tables)
    google.write_google(folder, {"generator": generator, "discriminator": discriminator})
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")


@pytest.fixture(scope="module")
def names_of_examples(workspace):
    """The variables of the examples, after all ran in their order."""
    names = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(workspace)
        for kind, text in examples():
            if kind == "python":
                exec(text, names)
            else:
                _run(text)
    return types.SimpleNamespace(**names)


def _run(command):
    words = shlex.split(command)[1:]
    if words[0] == "train":
        pathlib.Path("smaller.gin").write_text(SMALLER)
        words = ["train", "smaller.gin", *words[2:], *FEW_STEPS]
    assert main.main(words) == main.DONE, command


def test_examples_are_short():
    blocks = [text for kind, text in examples() if kind == "python"]
    assert len(blocks) >= 6
    for text in blocks:
        lines = [line for line in text.splitlines() if line and "import" not in line]
        assert len(lines) <= 5


@pytest.mark.slow
def test_a_tensorflow_model_is_loaded_completely(names_of_examples):
    assert names_of_examples.logits.shape == (2, 2)
    assert not names_of_examples.model.load_report.newly_initialized
    assert not names_of_examples.model.load_report.ignored


@pytest.mark.slow
def test_training_needs_no_loss(names_of_examples):
    assert names_of_examples.history["loss"][-1] < names_of_examples.history["loss"][0] / 2
    assert names_of_examples.history["accuracy"][-1] == 1


@pytest.mark.slow
def test_a_saved_model_is_a_hugging_face_folder(names_of_examples, workspace):
    config = json.loads((workspace / "tuned/config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert config["model_type"] == "electra"
    state = safetensors.numpy.load_file(workspace / "tuned/model.safetensors")
    np.testing.assert_array_equal(
        state["classifier.out_proj.bias"], names_of_examples.model.classifier.out_proj.bias
    )
    assert {"vocab.txt", "tokenizer_config.json"} <= set(os.listdir(workspace / "tuned"))


@pytest.mark.slow
def test_another_head_is_newly_initialized(names_of_examples):
    assert names_of_examples.tagger.load_report.newly_initialized == (
        "classifier.weight",
        "classifier.bias",
    )
    assert names_of_examples.features.shape == (4, 5, 16)


@pytest.mark.slow
def test_both_networks_of_a_google_research_checkpoint_are_loaded(names_of_examples):
    assert names_of_examples.filled.shape == names_of_examples.replaced.shape == (1, 8)
    for model in (names_of_examples.generator, names_of_examples.discriminator):
        assert not model.load_report.newly_initialized


@pytest.mark.slow
def test_the_vocabulary_can_be_extended_and_text_generated(names_of_examples):
    assert names_of_examples.larger.config.vocab_size == 34
    assert names_of_examples.decoder.config.is_decoder
    assert len(names_of_examples.texts) == 1


@pytest.mark.slow
def test_pre_training_continues_and_both_networks_are_exported(names_of_examples, workspace):
    for network, model in (
        ("generator", nlp.models.ElectraForMaskedLM),
        ("discriminator", nlp.models.ElectraForPreTraining),
    ):
        loaded = model.from_pretrained(workspace / "more" / network, strict=True)
        assert loaded.config.vocab_size == 32
        assert (workspace / "more" / network / "README.md").is_file()


# === The tables ===
def expected_names() -> dict:
    """Return the names of transformers by the heading under which the page lists them."""
    found, heading = {}, None
    for line in (pathlib.Path(__file__).parent / "transformers_names.txt").read_text().splitlines():
        if line.startswith("["):
            heading = line.strip("[]")
        elif not line.startswith("#"):
            found.setdefault(heading, []).extend(line.split())
    del found[None]
    return found


@pytest.mark.parametrize("heading", expected_names())
def test_every_name_of_transformers_has_a_row(heading):
    on_page = [name for theirs, *_ in table(heading) for name in names_in(theirs)]
    assert sorted(on_page) == sorted(set(on_page)), "a name has two rows"
    assert set(on_page) == set(expected_names()[heading])


OBJECTS = ("model", "encoder", "config", "tokenizer", "nlp", "official_nlp", "tf", "tf_keras")
FILES = (".txt", ".json", ".safetensors", ".h5", ".bin", ".ckpt")


def our_names() -> list:
    """Return our names on the page, such as `nlp.models.ElectraForMaskedLM`."""
    quoted = set(re.findall(r"`([a-z_]+(?:\.\w+)+)", PAGE))
    return sorted(
        name for name in quoted if name.startswith(tuple(f"{first}." for first in OBJECTS))
        and not name.endswith(FILES)
    )  # fmt: skip


@pytest.fixture(scope="module")
def objects():
    config = nlp.networks.ElectraConfig(num_hidden_layers=1, vocab_size=40, is_decoder=True)
    model = nlp.models.ElectraForCausalLM(config)
    tokenizer = nlp.data.ElectraTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    values = (model, model.encoder, config, tokenizer, nlp, nlp, tf, tf_keras)
    return dict(zip(OBJECTS, values, strict=True))


@pytest.mark.parametrize("name", our_names())
def test_our_names_on_the_page_exist(name, objects):
    first, *rest = name.split(".")
    found = objects[first]
    for part in rest:
        found = getattr(found, part)


@pytest.mark.parametrize("field", expected_names()["The configuration"])
def test_every_field_is_supported_or_retained(field):
    value = nlp.networks.ElectraConfig().to_dict().get(field, "something")
    if field == "pruned_heads":
        value = {}
    if field in ("model_type", "num_labels"):
        value = {"model_type": "electra", "num_labels": 2}[field]
    config = nlp.networks.ElectraConfig.from_json(json.dumps({field: value}))
    assert hasattr(config, field) or config.extra.get(field) == value or field == "model_type"


# === What behaves differently ===
@pytest.mark.slow
def test_the_examples_of_a_batch_have_one_loss(names_of_examples):
    inputs = names_of_examples.tokenizer(["the boat", "a river"], padding=True)
    each = [
        names_of_examples.model(
            {k: x[i : i + 1] for k, x in inputs.items()}, labels=tf.constant([i])
        )["loss"]
        for i in range(2)
    ]
    both = names_of_examples.model(inputs, labels=tf.constant([0, 1]))["loss"]
    np.testing.assert_allclose(both, np.mean(each), rtol=1e-5)
    assert both.shape == ()


@pytest.mark.slow
def test_padding_without_a_mask_is_attended_to(names_of_examples):
    inputs = names_of_examples.tokenizer(["the boat", "a river past the boat"], padding=True)
    masked = names_of_examples.model(inputs)["logits"]
    unmasked = names_of_examples.model(input_ids=inputs["input_ids"])["logits"]
    assert np.abs(masked - unmasked)[0].max() > 1e-4
    np.testing.assert_allclose(masked[1], unmasked[1], atol=1e-6)


# === What errors mean ===
def _cause(message, workspace):
    """Cause the error of a row."""
    model, folder = nlp.models.ElectraForSequenceClassification, workspace / "broken"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (folder / name).write_bytes((workspace / "tuned" / name).read_bytes())
    weights, config = folder / "model.safetensors", folder / "config.json"
    options = {}
    if message == "nothing is downloaded":
        folder = "google/electra-small-discriminator"
    elif message == "is a file: give the folder":
        folder = weights
    elif message == "must have weights":
        weights.unlink()
    elif message == "the folder of another model":
        config.write_text(config.read_text().replace('"electra"', '"bert"'))
    elif message == "matches the model":
        array = np.ones([2, 2], np.float32)
        safetensors.numpy.save_file({"electra.bert.weight": array}, weights)
    elif message == "does not fit the model":
        options = {"num_labels": 7}
    elif message == "strict=True requires the same tensors":
        model, options = nlp.models.ElectraForPreTraining, {"strict": True}
    elif message == "cut off":
        weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    elif message == "is a pickle, which only torch reads safely":
        weights.rename(folder / "pytorch_model.bin")
    elif message == "is a link to":
        weights.unlink()
        weights.symlink_to(workspace / "tuned/model.safetensors")
    elif message == "must not have more tokens than":
        (folder / "vocab.txt").write_text("word\n" * 40)
    elif message == "the configuration contradicts the weights":
        config.write_text(json.dumps({**json.loads(config.read_text()), "num_hidden_layers": 9}))
        nlp.Predictor.from_pretrained(folder)
    elif message == "must hold one network, but its names have the prefixes":
        arrays = safetensors.numpy.load_file(weights)
        pair = {f"{part}.{k}": x for part in ("generator", "model") for k, x in arrays.items()}
        safetensors.numpy.save_file(pair, weights)
    elif message == "which vocab.txt cannot hold":
        nlp.data.ElectraTokenizer(["a\nb"])
    elif message == "must be a field of the configuration":
        options = {"hidden_dropout": 0.0}
    else:
        raise AssertionError(f"the test cannot cause {message!r}")
    model.from_pretrained(folder, **options)


MESSAGES = [names_in(cells[0])[-1] for cells in table("What errors mean")]


@pytest.mark.slow
@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_of_the_table_occurs(message, names_of_examples, workspace, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError) as error:
        _cause(message, workspace)
    (row,) = [cells[0] for cells in table("What errors mean") if message in cells[0]]
    for part in names_in(row):
        assert part in str(error.value)


def test_the_table_has_rows():
    assert len(MESSAGES) >= 10
