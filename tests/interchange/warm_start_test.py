"""A run begins with given networks, which compute what they did; what cannot be is refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from official_nlp.cli import runs
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import warm_start
from official_nlp.interchange.saved_run import SavedRun
from official_nlp.interchange.weights import Network
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from official_nlp.training import TrainingConfig
from official_nlp.training.run_folder import RunFolder
from tests.data.conftest import (  # noqa: F401
    VOCABULARY,
    built,
    text_file,
    tokenizer,
    tokenizer_folder,
)
from tests.tasks.conftest import config, network, phase
from tests.training.toy import assert_same_state, state

NAMES = ("generator", "discriminator")
GOOGLE = {
    "tied_projection": "shared",
    "emb_equals_hidden": "shared",
    "emb_equals_hidden_small_gen": "shared",
    "untied_embeddings": "untied",
    "fully_tied": "whole",
}
TRAINING = TrainingConfig(
    learning_rate=1e-3,
    warmup_steps=2,
    steps_per_loop=2,
    checkpoint_interval=2,
    evaluation_interval=0,
    seed=5,
)
# No variable of float32 can follow it.
STANDSTILL = dataclasses.replace(TRAINING, learning_rate=1e-30)


def train(folder, to, steps=4, sharing="shared", **changes):
    arguments = {"task": config(sharing), "phases": (phase(steps=steps),), "training": TRAINING}
    return runs.train(model_dir=str(to), data=str(folder), **{**arguments, **changes})


def both(place) -> dict:
    return {f"init_{name}": str(place) for name in NAMES}


def both_networks(place) -> dict:
    return warm_start.read(dict.fromkeys(NAMES, place))


def begin(given, task=None, shared_from=None, say=lambda line: None):
    """Returns a pre-trainer that begins with the networks."""
    task = (task or config()).for_vocabulary(len(VOCABULARY))
    model = task.build()
    words = ElectraTokenizer(VOCABULARY)
    warm_start.WarmStart(given, task, words, shared_from).assign_to(model, say)
    return model


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture(scope="module")
def source(tmp_path_factory, built):  # noqa: F811
    """A run of a few steps, and beside it the folders of its networks; not to be changed."""
    place = tmp_path_factory.mktemp("source")
    train(built, place / "run")
    runs.convert(source=str(place / "run"), to=str(place / "pair"))
    return place


@pytest.fixture
def pair(tmp_path, source):
    """The two folders, to be changed."""
    shutil.copytree(source / "pair", tmp_path / "pair")
    return tmp_path / "pair"


def rewrite(folder, change):
    """Changes the tensors in a folder."""
    file = folder / "model.safetensors"
    tensors = dict(safetensors.numpy.load_file(file))
    change(tensors)
    safetensors.numpy.save_file(tensors, file, metadata={"format": "pt"})


def reconfigure(folder, **changes):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **changes}))


def tensors(model, name) -> dict:
    return {t.name: t.to_hugging_face() for t in pretrainer_tensors.of(model, name)}


# === What others trained ===


def begun(paths, sharing, shared_from=None):
    """A pre-trainer that begins with the networks, of their sizes."""
    given = warm_start.read(paths)
    sizes = [ElectraConfig.from_dict(given[name].network.config) for name in NAMES]
    task = PretrainingConfig(*sizes, sharing=sharing)
    first = warm_start.WarmStart(given, task, given["generator"].tokenizer, shared_from)
    model = task.build()
    lines = []
    first.assign_to(model, lines.append)
    return model, lines


@pytest.mark.parametrize(("kind", "sharing"), GOOGLE.items())
def test_googles_checkpoints_compute_what_they_did(outside_data, kind, sharing):
    place = outside_data / "golden" / f"google_tf1_{kind}"
    model, lines = begun(dict.fromkeys(NAMES, place), sharing)
    arrays = np.load(place / "expected.npz")
    for case in ("full", "padded"):
        x = {key.partition("__")[2]: arrays[key] for key in arrays.files if key.startswith(case)}
        batch = {
            "input_word_ids": x["out__masked_input_ids"],
            "input_mask": x["in__input_mask"],
            "input_type_ids": x["in__segment_ids"],
            "masked_lm_positions": x["out__masked_lm_positions"],
        }
        scores = model.generate(batch)["lm_outputs"]
        np.testing.assert_allclose(scores, x["out__mlm_logits"], atol=2e-5)
        logits = model.discriminate(
            x["out__updated_input_ids"], x["in__input_mask"], x["in__segment_ids"]
        )
        np.testing.assert_allclose(logits, x["out__disc_logits"], atol=2e-5)
    assert all("fresh" not in line for line in lines)


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "gdes"])
def test_hugging_faces_pair_computes_what_it_did(outside_data, sharing):
    places = {name: outside_data / "golden" / f"hf_tiny_pair_{name}" for name in NAMES}
    model, _ = begun(places, sharing)
    arrays = np.load(places["generator"] / "expected.npz")
    ids, mask, types = (
        arrays[f"full__in__{name}"] for name in ("input_ids", "attention_mask", "token_type_ids")
    )
    batch = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    every = np.tile(np.arange(ids.shape[1]), [len(ids), 1])
    scores = model.generate({**batch, "masked_lm_positions": every})["lm_outputs"]
    np.testing.assert_allclose(scores, arrays["full__out__logits"], atol=2e-5)
    arrays = np.load(places["discriminator"] / "expected.npz")
    inputs = [
        arrays[f"full__in__{name}"] for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    logits = model.discriminate(*inputs)
    np.testing.assert_allclose(logits, arrays["full__out__logits"], atol=2e-5)


def test_heads_that_no_json_says_are_the_recipes(outside_data, tmp_path):
    place = outside_data / "golden" / "google_tf1_tied_projection"
    for file in place.glob("model.ckpt-3*"):
        shutil.copy(file, tmp_path)
    given = warm_start.read(dict.fromkeys(NAMES, tmp_path))
    assert given["discriminator"].tokenizer is None
    sizes = ElectraConfig.from_dict(given["discriminator"].network.config)
    assert sizes.num_attention_heads == 1
    task = PretrainingConfig(
        ElectraConfig.from_dict(given["generator"].network.config),
        dataclasses.replace(sizes, num_attention_heads=4),
    )
    first = warm_start.WarmStart(given, task, ElectraTokenizer(VOCABULARY))
    text = " ".join(first.notes)
    assert "does not say num_attention_heads of the discriminator: the recipe's 4 is taken" in text
    assert "has no vocabulary beside it" in text


# === Our own ===


@pytest.mark.parametrize("place", ["run", "run/checkpoints/ckpt-4", "pair"])
def test_a_model_begins_with_the_bits_of_another(source, place):
    model = begin(both_networks(source / place))
    before = SavedRun(source / "run").model
    for name in NAMES:
        now, then = tensors(model, name), tensors(before, name)
        assert now.keys() == then.keys()
        for key in then:
            np.testing.assert_array_equal(now[key], then[key], err_msg=key)


def test_a_run_begins_with_the_bits_of_another(tmp_path, built, source, two_devices):  # noqa: F811
    del two_devices
    mirrored = dataclasses.replace(STANDSTILL, strategy="mirrored")
    train(built, tmp_path / "run", steps=2, training=mirrored, **both(source / "pair"))
    model, before = SavedRun(tmp_path / "run").model, SavedRun(source / "run").model
    for name in NAMES:
        now, then = tensors(model, name), tensors(before, name)
        assert now.keys() == then.keys()
        for key in then:
            np.testing.assert_array_equal(now[key], then[key], err_msg=key)


def test_a_run_that_goes_on_with_others_weights_resumes_without_them(
    tmp_path,
    built,  # noqa: F811
    source,
    pair,
    capsys,
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(built, whole, steps=6, **both(pair))
    shutil.copytree(whole, stopped)
    for file in (stopped / "checkpoints").glob("ckpt-[46].*"):
        file.unlink()
    (stopped / "checkpoints/checkpoint").write_text(
        'model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-2"\n'
    )
    shutil.rmtree(pair)
    capsys.readouterr()
    train(built, stopped, steps=6, **both(pair))
    text = said(capsys)
    assert "not looked at: INIT_GENERATOR and INIT_DISCRIMINATOR, as the run goes on" in text
    assert "continuing after step 2 of 6" in text
    assert_same_state(state(stopped / "checkpoints"), state(whole / "checkpoints"))
    # Six steps lead less far than two seeds are apart.
    key = "electra.embeddings.word_embeddings.weight"
    now, then = (tensors(SavedRun(run).model, "generator")[key] for run in (whole, source / "run"))
    assert 0 < np.abs(now - then).max() < 0.02


def test_what_was_taken_is_printed_and_recorded(tmp_path, built, source, capsys):  # noqa: F811
    init = both(source / "pair")
    train(built, tmp_path / "run", steps=2, **init)
    text = said(capsys)
    first = RunFolder(tmp_path / "run").describe()["beginning"]["initial"]
    for name in NAMES:
        count = len(tensors(SavedRun(source / "run").model, name))
        assert f"{name} from {source / 'pair'}: {count} tensors loaded" in text
        told = first[name]
        assert (told["path"], told["kind"]) == (str(source / "pair"), "huggingface")
        assert (told["loaded"], told["missing"], told["ignored"]) == (count, [], 0)
        assert len(told["sha256"]) == 64
    runs.info(path=tmp_path / "run")
    assert f"discriminator began with huggingface {source / 'pair'}" in said(capsys)
    runs.convert(source=tmp_path / "run", to=tmp_path / "published")
    card = (tmp_path / "published/generator/README.md").read_text()
    assert "huggingface, `pair`" in card


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "gdes", "whole"])
@pytest.mark.parametrize("name", NAMES)
def test_one_network_alone_gives_the_other_what_they_share(source, sharing, name):
    (other,) = set(NAMES) - {name}
    given = warm_start.read({name: source / "pair" / name})
    task = config(sharing, vocab_size=len(VOCABULARY))
    if sharing == "whole":
        sizes = ElectraConfig.from_dict(given[name].network.config)
        task = dataclasses.replace(task, generator=sizes, discriminator=sizes)
    task = task.for_vocabulary(len(VOCABULARY))
    model, lines = task.build(), []
    before = tensors(model, other)
    first = warm_start.WarmStart(given, task, ElectraTokenizer(VOCABULARY))
    first.assign_to(model, lines.append)
    now, theirs = tensors(model, other), given[name].state
    prefix = {
        "shared": "electra.embeddings.",
        "gdes": "electra.embeddings.",
        "word_only": "electra.embeddings.word",
        "untied": "nothing",
        "whole": "electra.",
    }[sharing]
    for key in now:
        expected = theirs[key] if key.startswith(prefix) else before[key]
        np.testing.assert_array_equal(now[key], expected, err_msg=key)
    count = sum(key.startswith(prefix) for key in now)
    but = f", but for {count} tensors that it shares with the other network" if count else ""
    assert f"{other}: fresh{but}" in lines
    for key, value in tensors(model, name).items():
        np.testing.assert_array_equal(value, theirs[key], err_msg=key)


def test_a_network_for_the_other_task_lends_its_encoder(built, source, tmp_path, capsys):  # noqa: F811
    task = dataclasses.replace(config("untied"), generator=network())
    init = {"init_generator": source / "pair/discriminator"}
    train(built, tmp_path / "run", task=task, dry_run=True, **init)
    text = said(capsys)
    assert "fresh, for they are not in the file: generator_predictions.dense.weight" in text
    assert "ignored, for the model has no place for them: discriminator_predictions" in text
    assert "discriminator: fresh" in text


def test_a_dry_run_looks_at_the_files_too(built, source, pair, tmp_path, capsys):  # noqa: F811
    train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert f"generator from {pair}: " in said(capsys)
    (pair / "generator/model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"INIT_GENERATOR: .*model\.safetensors"):
        train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert not (tmp_path / "run").exists()


# === What cannot be ===


def test_tables_that_are_to_be_one_must_be_equal(built, pair, tmp_path):  # noqa: F811
    words = "electra.embeddings.word_embeddings.weight"

    def change(tensors):
        tensors[words] = tensors[words].copy()
        tensors[words][3, 1] += 0.5

    rewrite(pair / "generator", change)
    with pytest.raises(
        InputError,
        match=rf"5 tensors are one in both .*{words} by up to 0\.5, in 1 of {len(VOCABULARY)} "
        "rows; give SHARING=untied .* or INIT_SHARED=discriminator",
    ):
        train(built, tmp_path / "run", **both(pair))
    assert not (tmp_path / "run").exists()
    for winner in NAMES:
        model = begin(both_networks(pair), shared_from=winner)
        expected = safetensors.numpy.load_file(pair / winner / "model.safetensors")[words]
        for name in NAMES:
            np.testing.assert_array_equal(tensors(model, name)[words], expected)
    model = begin(both_networks(pair), config("untied"))
    apart = np.abs(tensors(model, "generator")[words] - tensors(model, "discriminator")[words])
    assert np.argwhere(apart > 0.1).tolist() == [[3, 1]]


def test_sizes_must_be_the_recipes(built, source, tmp_path):  # noqa: F811
    odd = dataclasses.replace(
        config(), discriminator=network(num_hidden_layers=3, intermediate_size=64)
    )
    with pytest.raises(InputError) as error:
        train(built, tmp_path / "run", task=odd, **both(source / "pair"))
    text = str(error.value)
    place = source / "pair"
    sizes = "num_hidden_layers 2 (the recipe 3), intermediate_size 32 (the recipe 64); "
    assert f"INIT_DISCRIMINATOR={place} has {sizes}" in text
    assert "INIT_GENERATOR" not in text
    assert "a recipe of your own can have these values" in text
    assert not (tmp_path / "run").exists()


def in_memory(name, sizes: ElectraConfig):
    state = {"electra.embeddings.word_embeddings.weight": np.zeros([1, 1], np.float32)}
    return warm_start.Given(name, "huggingface", Network(sizes.to_dict(), state), (), None)


@pytest.mark.parametrize(
    ("ours", "theirs", "advice"),
    [
        ("small", "small_plus_plus", "the recipe small_plus_plus has these sizes"),
        ("base", "small", "the recipe small has these sizes"),
    ],
)
def test_the_recipe_that_fits_is_named(ours, theirs, advice):
    task = PretrainingConfig(ElectraConfig.preset(ours).generator(), ElectraConfig.preset(ours))
    sizes = ElectraConfig.preset(theirs)
    given = {
        "generator": in_memory("a", sizes.generator()),
        "discriminator": in_memory("b", sizes),
    }
    with pytest.raises(InputError, match=f"INIT_GENERATOR=a has .*hidden_size .*; {advice}$"):
        warm_start.WarmStart(given, task, ElectraTokenizer(VOCABULARY))


def test_tables_of_two_widths_and_more_rows_have_their_settings():
    task = config().for_vocabulary(len(VOCABULARY))
    words = ElectraTokenizer(VOCABULARY)
    padded = dataclasses.replace(task.discriminator, vocab_size=80)
    with pytest.raises(InputError, match=r"=b has vocab_size 80 \(the recipe 69\); VOCAB_SIZE=80"):
        warm_start.WarmStart({"discriminator": in_memory("b", padded)}, task, words)
    narrow = dataclasses.replace(task.generator, embedding_size=4)
    given = {
        "generator": in_memory("a", narrow),
        "discriminator": in_memory("b", task.discriminator),
    }
    with pytest.raises(InputError, match="of your own, with SHARING=untied, as the tables have"):
        warm_start.WarmStart(given, task, words)


def test_a_table_with_unused_rows_is_taken(pair):
    rows = len(VOCABULARY) + 3

    def pad(tensors):
        for name in ("electra.embeddings.word_embeddings.weight", "generator_lm_head.bias"):
            if name in tensors:
                wide = [(0, 3)] + [(0, 0)] * (tensors[name].ndim - 1)
                tensors[name] = np.pad(tensors[name], wide)

    for name in NAMES:
        rewrite(pair / name, pad)
        reconfigure(pair / name, vocab_size=rows)
    model = begin(both_networks(pair), config(vocab_size=rows))
    table = tensors(model, "generator")["electra.embeddings.word_embeddings.weight"]
    assert table.shape[0] == rows
    assert np.all(table[-3:] == 0)


def test_the_vocabulary_must_be_the_datas(built, pair, tmp_path, capsys):  # noqa: F811
    for name in NAMES:
        words = [*VOCABULARY[:-1], "walked"]
        ElectraTokenizer(words).save_pretrained(pair / name)
    with pytest.raises(InputError, match=r"has another vocabulary .*electra examples --tokenizer"):
        train(built, tmp_path / "run", dry_run=True, **both(pair))
    for name in NAMES:
        ElectraTokenizer(VOCABULARY, do_lower_case=False).save_pretrained(pair / name)
    capsys.readouterr()
    train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert "was cased, that of the data is lower-cased" in said(capsys)
    for name in NAMES:
        for file in (pair / name).glob("*"):
            if file.name not in ("config.json", "model.safetensors"):
                file.unlink()
    train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert "has no vocabulary beside it" in said(capsys)


def test_an_output_table_of_its_own_is_told(built, pair, tmp_path, capsys):  # noqa: F811
    words, head = "electra.embeddings.word_embeddings.weight", "generator_lm_head.weight"
    rewrite(pair / "generator", lambda x: x.update({head: x[words].copy()}))
    train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert f"stored again, though tied: {head}" in said(capsys)
    rewrite(pair / "generator", lambda x: x.update({head: x[words] + 1}))
    reconfigure(pair / "generator", tie_word_embeddings=False)
    train(built, tmp_path / "run", dry_run=True, **both(pair))
    assert "its output table is not its word table: here it becomes that" in said(capsys)


def test_files_that_are_no_network_are_refused(built, pair, source, tmp_path):  # noqa: F811
    def refused(message, **init):
        with pytest.raises(InputError, match=message):
            train(built, tmp_path / "run", dry_run=True, **init)

    refused("INIT_DISCRIMINATOR: .*nowhere must be a checkpoint", init_discriminator="nowhere")
    refused("INIT_SHARED must be one of generator, disc", **both(pair), init_shared="best")
    refused(
        "INIT_SHARED says which of two",
        init_generator=pair / "generator",
        init_shared="generator",
    )
    shutil.rmtree(pair / "generator")
    refused("INIT_GENERATOR=.* must hold a generator, but is .* a discriminator", **both(pair))

    def cut(tensors):
        tensors["electra.encoder.layer.0.output.dense.bias"] = np.zeros(3, np.float32)

    place = pair / "discriminator"
    rewrite(place, cut)
    refused("tensors of other shapes than its own", init_discriminator=place)

    def leave(tensors):
        tensors.clear()
        tensors["electra.pooler.weight"] = np.zeros(3, np.float32)

    rewrite(place, leave)
    refused("nothing in .* matched the model", init_discriminator=place)


@pytest.mark.slow
def test_a_run_without_checkpoint_begins_with_the_same_again(built, source, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    train(built, run, steps=2, **both(source / "pair"))
    expected = state(run / "checkpoints")
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").unlink()
    for init in ({}, {"init_generator": source / "pair"}):
        with pytest.raises(InputError, match="has no checkpoint yet, and was begun with INIT_GEN"):
            train(built, run, steps=2, **init)
    # The same numbers in another place.
    train(built, run, steps=2, **both(source / "run"))
    assert_same_state(state(run / "checkpoints"), expected)
