"""A run starts from pretrained networks, which compute what they did; misfits are refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import huggingface, sources
from official_nlp.interchange.warm_start import WarmStart
from official_nlp.interchange.weights import OUTPUT_TABLE, WORD_TABLE
from official_nlp.modeling import models
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from tests.data.conftest import VOCABULARY
from tests.interchange import trained_run
from tests.interchange.trained_run import config, network, task_of

NAMES = ("generator", "discriminator")
# Kind of google-research checkpoint: its sharing.
GOOGLE = {
    "tied_projection": "shared",
    "emb_equals_hidden": "shared",
    "emb_equals_hidden_small_gen": "shared",
    "untied_embeddings": "untied",
    "fully_tied": "whole",
}
# Prefix of the names of the tensors that initialize both networks.
SHARED = {
    "shared": "electra.embeddings.",
    "gdes": "electra.embeddings.",
    "word_only": "electra.embeddings.word",
    "untied": "nothing",
    "whole": "electra.",
}


def both(path) -> dict[str, str]:
    return dict.fromkeys(NAMES, str(path))


def complete(task_config: PretrainingConfig) -> PretrainingConfig:
    return task_config.for_vocabulary(len(VOCABULARY))


def started(paths, task_config=None, shared_from=None, tokenizer=None):
    """Return a new model with the pretrained weights, and what `assign` reported."""
    task_config = complete(task_config or config())
    warm_start = WarmStart(
        paths, task_of(task_config), tokenizer or ElectraTokenizer(VOCABULARY), shared_from
    )
    model, lines = task_config.build(), []
    warm_start.assign(model, lines.append)
    return model, [*warm_start.notes, *lines]


def refused(message, paths, task_config=None, **options):
    with pytest.raises(InputError, match=message):
        started(paths, task_config, **options)


def rewrite(folder, change):
    """Change the tensors of a Hugging Face folder."""
    file = folder / "model.safetensors"
    tensors = dict(safetensors.numpy.load_file(file))
    change(tensors)
    safetensors.numpy.save_file(tensors, file, metadata={"format": "pt"})


def reconfigure(folder, **changes):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **changes}))


def tensors_of(model, name) -> dict[str, np.ndarray]:
    return {t.name: t.to_hugging_face() for t in pretrainer_tensors.of(model, name)}


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(actual[key], value, err_msg=key)


# === Checkpoints of other programs ===


def started_from(paths, sharing):
    """Return a model with the sizes and the weights of the sources."""
    found = {name: sources.open(path) for name, path in paths.items()}
    sizes = [
        ElectraConfig.from_dict((x.networks.get(name) or x.networks[""]).config)
        for name, x in found.items()
    ]
    task_config = PretrainingConfig(*sizes, sharing=sharing)
    tokenizer = found["generator"].load_tokenizer()
    model, lines = task_config.build(), []
    WarmStart(paths, task_of(task_config), tokenizer).assign(model, lines.append)
    return model, lines


@pytest.mark.parametrize(("kind", "sharing"), GOOGLE.items())
def test_google_research_checkpoints_compute_what_they_did(outside_data, kind, sharing):
    path = outside_data / "golden" / f"google_tf1_{kind}"
    model, lines = started_from(both(path), sharing)
    arrays = np.load(path / "expected.npz")
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
    assert all("newly initialized" not in line for line in lines)


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "gdes"])
def test_a_hugging_face_pair_computes_what_it_did(outside_data, sharing):
    paths = {name: str(outside_data / "golden" / f"hf_tiny_pair_{name}") for name in NAMES}
    model, _ = started_from(paths, sharing)
    expected = {name: np.load(f"{path}/expected.npz") for name, path in paths.items()}
    ids, mask, types = (
        expected["generator"][f"full__in__{name}"]
        for name in ("input_ids", "attention_mask", "token_type_ids")
    )
    batch = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    every = np.tile(np.arange(ids.shape[1]), [len(ids), 1])
    scores = model.generate({**batch, "masked_lm_positions": every})["lm_outputs"]
    np.testing.assert_allclose(scores, expected["generator"]["full__out__logits"], atol=2e-5)
    inputs = [
        expected["discriminator"][f"full__in__{name}"]
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    logits = model.discriminate(*inputs)
    np.testing.assert_allclose(logits, expected["discriminator"]["full__out__logits"], atol=2e-5)


def test_fields_that_the_source_does_not_state_come_from_the_recipe(outside_data, tmp_path):
    for file in (outside_data / "golden" / "google_tf1_tied_projection").glob("model.ckpt-3*"):
        shutil.copy(file, tmp_path)
    found = sources.open(tmp_path)
    assert found.tokenizer is None
    generator, discriminator = (ElectraConfig.from_dict(found.networks[x].config) for x in NAMES)
    assert discriminator.num_attention_heads == 1
    recipe = PretrainingConfig(generator, dataclasses.replace(discriminator, num_attention_heads=4))
    warm_start = WarmStart(both(tmp_path), task_of(recipe), ElectraTokenizer(VOCABULARY))
    text = " ".join(warm_start.notes)
    assert "does not state num_attention_heads of the discriminator: the recipe's 4 is used" in text
    assert "has no vocabulary: whether it is that of the data is unknown" in text


# === Our own runs and folders ===


@pytest.mark.parametrize("path", ["run", "checkpoint", "pair"])
def test_a_model_starts_with_the_exact_weights_of_another(run, published, path):
    checkpoint = run / f"checkpoints/ckpt-{trained_run.STEPS}"
    model, _ = started(both({"run": run, "checkpoint": checkpoint, "pair": published}[path]))
    for name in NAMES:
        assert_equal(tensors_of(model, name), huggingface.read_folder(published / name).arrays)


def test_replicated_variables_get_the_weights_on_every_device(published, two_devices):
    task_config = complete(config())
    task = task_of(task_config)
    warm_start = WarmStart(both(published), task, ElectraTokenizer(VOCABULARY))
    with tf.distribute.MirroredStrategy(two_devices).scope():
        model = task_config.build()
        warm_start.assign(model, lambda line: None)
    for name in NAMES:
        arrays = huggingface.read_folder(published / name).arrays
        assert_equal(tensors_of(model, name), arrays)
        for tensor in task.named_tensors(model)[name]:
            first, second = (x.numpy() for x in tensor.variable.values)
            np.testing.assert_array_equal(first, second)


def test_the_report_and_the_record_name_source_and_tensors(published):
    task_config = complete(config())
    warm_start = WarmStart(both(published), task_of(task_config), ElectraTokenizer(VOCABULARY))
    described, lines = warm_start.describe(), []
    recorded = warm_start.assign(task_config.build(), lines.append)
    for name, line in zip(NAMES, lines, strict=True):
        count = len(huggingface.read_folder(published / name).arrays)
        assert line == f"{name} from {published}: {count} tensors loaded"
        assert (described[name]["path"], described[name]["kind"]) == (str(published), "huggingface")
        assert len(described[name]["sha256"]) == 64
        assert recorded[name].items() >= described[name].items()
        counts = [recorded[name][key] for key in ("loaded", "missing", "ignored", "tied")]
        assert counts == [count, [], 0, 0]


def test_a_path_of_both_networks_is_opened_once(published, monkeypatch):
    opened = []
    original = sources.open
    monkeypatch.setattr(sources, "open", lambda path: opened.append(path) or original(path))
    started(both(published))
    assert opened == [str(published)]


@pytest.mark.parametrize("sharing", SHARED)
@pytest.mark.parametrize("name", NAMES)
def test_one_network_alone_initializes_what_the_other_shares_with_it(published, sharing, name):
    (other,) = set(NAMES) - {name}
    arrays = huggingface.read_folder(published / name).arrays
    task_config = config(sharing)
    if sharing == "whole":
        sizes = ElectraConfig.from_dict(huggingface.read_config(published / name))
        task_config = dataclasses.replace(task_config, generator=sizes, discriminator=sizes)
    task_config = complete(task_config)
    model, lines = task_config.build(), []
    before = tensors_of(model, other)
    warm_start = WarmStart(
        {name: str(published / name), other: None},
        task_of(task_config),
        ElectraTokenizer(VOCABULARY),
    )
    warm_start.assign(model, lines.append)
    after, prefix = tensors_of(model, other), SHARED[sharing]
    for key in after:
        expected = arrays[key] if key.startswith(prefix) else before[key]
        np.testing.assert_array_equal(after[key], expected, err_msg=key)
    count = sum(key.startswith(prefix) for key in after)
    suffix = f", except for {count} tensors shared with the other network" if count else ""
    assert f"{other}: newly initialized{suffix}" in lines
    assert_equal(tensors_of(model, name), arrays)


def test_a_network_of_the_other_kind_provides_its_encoder(published):
    task_config = dataclasses.replace(config("untied"), generator=network())
    _, lines = started({"generator": str(published / "discriminator")}, task_config)
    text = "\n".join(lines)
    assert "newly initialized, missing in the file: generator_predictions.dense.weight" in text
    assert "ignored, unknown to the model: discriminator_predictions" in text
    assert "discriminator: newly initialized" in text


# === A task with a single network ===


class Single:
    """A task with one network, of the class that it is created with."""

    sharing = "none"

    def __init__(self, architecture, sizes):
        self.architectures = {"": architecture}
        self._sizes = sizes

    def load_tokenizer(self):
        return ElectraTokenizer(VOCABULARY)

    def networks(self):
        return {"": self._sizes}

    def named_tensors(self, model):
        return {"": model.named_tensors()}

    def is_shared(self, tensor_name):
        return False


@pytest.mark.parametrize(
    ("architecture", "network_name"),
    [
        ("ElectraForSequenceClassification", "discriminator"),
        ("ElectraForPreTraining", "discriminator"),
        ("ElectraForMaskedLM", "generator"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_single_network_starts_from_the_matching_one_of_a_pair(
    published, architecture, network_name, alone
):
    source = huggingface.read_folder(published / network_name)
    sizes, lines = ElectraConfig.from_dict(source.config), []
    model = getattr(models, architecture)(sizes)
    path = published / network_name if alone else published
    warm_start = WarmStart(
        {"": str(path)}, Single(architecture, sizes), ElectraTokenizer(VOCABULARY)
    )
    assert list(warm_start.assign(model, lines.append)) == [""]
    after = {tensor.name: tensor.to_hugging_face() for tensor in model.named_tensors()}
    for name, value in source.arrays.items():
        if name in after:
            np.testing.assert_array_equal(after[name], value)
    assert lines[0].startswith(f"{path}: ")
    has_new_head = any("newly initialized" in line for line in lines)
    assert has_new_head == (architecture == "ElectraForSequenceClassification")


def test_a_head_of_other_labels_is_newly_initialized(tmp_path):
    names = dict(enumerate("abc"))
    sizes, lines = network(vocab_size=len(VOCABULARY)), []
    models.ElectraForTokenClassification(sizes.replace(id2label=names)).save_pretrained(tmp_path)
    ElectraTokenizer(VOCABULARY).save_pretrained(tmp_path)
    model = models.ElectraForTokenClassification(sizes)
    task = Single("ElectraForTokenClassification", sizes)
    before = model.classifier.out_proj.kernel.numpy()
    warm_start = WarmStart({"": str(tmp_path)}, task, ElectraTokenizer(VOCABULARY))
    warm_start.assign(model, lines.append)
    assert lines[1:] == [
        "  newly initialized, because the head of the file is another one: classifier.weight, "
        "classifier.bias",
        "  its labels are 'a', 'b', 'c', those of the run 'LABEL_0', 'LABEL_1'",
    ]
    np.testing.assert_array_equal(model.classifier.out_proj.kernel, before)
    arrays = huggingface.read_folder(tmp_path).arrays
    after = {tensor.name: tensor.to_hugging_face() for tensor in model.named_tensors()}
    np.testing.assert_array_equal(after[WORD_TABLE], arrays[WORD_TABLE])

    # Other labels explain no other shape of the encoder.
    def cut(tensors):
        tensors["electra.encoder.layer.0.output.dense.bias"] = np.zeros(3, np.float32)

    rewrite(tmp_path, cut)
    warm_start = WarmStart({"": str(tmp_path)}, task, ElectraTokenizer(VOCABULARY))
    with pytest.raises(InputError, match="shapes contradict its own configuration: electra"):
        warm_start.assign(model, lines.append)


CLASSES = ["ElectraForTokenClassification", "ElectraForSequenceClassification"]


def start_with_labels(folder, architecture, theirs, ours, **options):
    """Save a classifier, start another from it; return both sets of logits and the report."""
    sizes, lines = network(vocab_size=len(VOCABULARY)), []
    kind = getattr(models, architecture)
    source = kind(sizes.replace(**theirs), **options)
    # A bias of zeros would hide that it is not reordered.
    bias = source.classifier.out_proj.bias
    bias.assign(tf.range(bias.shape[0], dtype=tf.float32))
    source.save_pretrained(folder)
    ElectraTokenizer(VOCABULARY).save_pretrained(folder)
    model = kind(sizes.replace(**ours), **options)
    before = model.classifier.out_proj.kernel.numpy()
    task = Single(architecture, sizes.replace(**ours))
    warm_start = WarmStart({"": str(folder)}, task, ElectraTokenizer(VOCABULARY))
    described = warm_start.assign(model, lines.append)
    ids = tf.constant([[5, 6, 7, 8]])
    logits = [each(input_ids=ids)["logits"].numpy() for each in (source, model)]
    is_new = np.array_equal(model.classifier.out_proj.kernel.numpy(), before)
    return *logits, is_new, lines, described


def named(*names):
    return {"id2label": dict(enumerate(names))}


@pytest.mark.parametrize(
    ("architecture", "options"),
    [(CLASSES[0], {}), (CLASSES[1], {"head": "linear"}), (CLASSES[1], {"head": "dense"})],
)
def test_a_head_of_the_same_labels_in_another_order_is_reordered(tmp_path, architecture, options):
    theirs, ours, is_new, lines, _ = start_with_labels(
        tmp_path, architecture, named("a", "b", "c"), named("c", "a", "b"), **options
    )
    np.testing.assert_allclose(ours, theirs[..., [2, 0, 1]], atol=1e-5)
    assert not is_new
    assert lines[1:] == [
        "  the same labels in another order: its head is reordered to 'c', 'a', 'b'"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "new"),
    [
        (named("a", "b"), named("a", "b"), False),
        (named("a", "b"), named("yes", "no"), True),
        (named("a", "b"), named("a", "c"), True),
        # Default names mean nothing but numbers.
        ({"num_labels": 2}, named("0", "1"), False),
        ({"num_labels": 2}, named("no", "yes"), True),
        # A regression has no label.
        (named("score"), named("similarity"), False),
    ],
)
def test_a_head_is_retained_for_equal_labels_only(tmp_path, theirs, ours, new):
    before, after, is_new, lines, described = start_with_labels(tmp_path, CLASSES[0], theirs, ours)
    assert is_new == new
    assert np.allclose(before, after, atol=1e-5) != new
    assert any("the head of the file is another one: classifier." in x for x in lines) == new
    assert any("to keep its head, give its labels these names" in x for x in lines) == new
    assert bool(described[""]["missing"]) == new


def test_a_linear_head_of_another_number_of_labels_is_replaced(tmp_path):
    *_, is_new, lines, _ = start_with_labels(
        tmp_path, CLASSES[1], named("a", "b", "c"), named("a", "b"), head="linear"
    )
    assert is_new
    assert "its labels are 'a', 'b', 'c', those of the run 'a', 'b'" in lines[-1]


def test_a_head_of_another_class_is_replaced(tmp_path):
    sizes, lines = network(vocab_size=len(VOCABULARY)), []
    models.ElectraForMultipleChoice(sizes).save_pretrained(tmp_path)
    ElectraTokenizer(VOCABULARY).save_pretrained(tmp_path)
    sizes = sizes.replace(**named("a", "b"))
    warm_start = WarmStart(
        {"": str(tmp_path)}, Single(CLASSES[0], sizes), ElectraTokenizer(VOCABULARY)
    )
    warm_start.assign(models.ElectraForTokenClassification(sizes), lines.append)
    assert lines[-1] == "  its head is that of ElectraForMultipleChoice"


def test_a_single_network_has_the_setting_init(tmp_path):
    task = Single("ElectraForPreTraining", network(vocab_size=len(VOCABULARY)))
    with pytest.raises(InputError, match=r"^INIT: .*absent must be a run folder"):
        WarmStart({"": str(tmp_path / "absent")}, task, ElectraTokenizer(VOCABULARY))


# === What is refused ===


def test_shared_tables_must_be_equal(pair):
    def change(tensors):
        tensors[WORD_TABLE] = tensors[WORD_TABLE].copy()
        tensors[WORD_TABLE][3, 1] += 0.5

    rewrite(pair / "generator", change)
    refused(
        rf"share 5 tensors, but these differ .*{WORD_TABLE} by up to 0\.5, in 1 of "
        rf"{len(VOCABULARY)} rows; give SHARING=untied .* or INIT_SHARED=discriminator",
        both(pair),
    )
    for winner in NAMES:
        model, _ = started(both(pair), shared_from=winner)
        expected = safetensors.numpy.load_file(pair / winner / "model.safetensors")[WORD_TABLE]
        for name in NAMES:
            np.testing.assert_array_equal(tensors_of(model, name)[WORD_TABLE], expected)
    model, _ = started(both(pair), config("untied"))
    one, other = (tensors_of(model, name)[WORD_TABLE] for name in NAMES)
    assert np.argwhere(np.abs(one - other) > 0.1).tolist() == [[3, 1]]


def test_sizes_must_be_those_of_the_recipe(published):
    other = network(num_hidden_layers=3, intermediate_size=64)
    with pytest.raises(InputError) as error:
        started(both(published), dataclasses.replace(config(), discriminator=other))
    text = str(error.value)
    sizes = "num_hidden_layers 2 (recipe: 3), intermediate_size 32 (recipe: 64); "
    assert f"INIT_DISCRIMINATOR={published} has {sizes}" in text
    assert "INIT_GENERATOR" not in text
    assert "write a recipe of your own that sets these values" in text


def folder_of(path, sizes: ElectraConfig) -> str:
    """Write a Hugging Face folder with the configuration and hardly any weights."""
    arrays = {WORD_TABLE: np.zeros([1, 1], np.float32)}
    huggingface.write_folder(path, sizes.to_json(), arrays)
    return str(path)


@pytest.mark.parametrize(
    ("ours", "theirs", "advice"),
    [
        ("small", "small_plus_plus", "the recipe small_plus_plus has these sizes"),
        ("base", "small", "the recipe small has these sizes"),
    ],
)
def test_the_recipe_with_the_sizes_of_the_source_is_named(tmp_path, ours, theirs, advice):
    recipe = PretrainingConfig(ElectraConfig.preset(ours).generator(), ElectraConfig.preset(ours))
    sizes = ElectraConfig.preset(theirs)
    paths = {
        "generator": folder_of(tmp_path / "a", sizes.generator()),
        "discriminator": folder_of(tmp_path / "b", sizes),
    }
    with pytest.raises(InputError, match=f"INIT_GENERATOR=.*a has .*hidden_size .*; {advice}$"):
        WarmStart(paths, task_of(recipe), ElectraTokenizer(VOCABULARY))


def test_more_rows_and_tables_of_two_widths_have_their_settings(tmp_path):
    ours = complete(config())
    padded = dataclasses.replace(ours.discriminator, vocab_size=80)
    paths = {"discriminator": folder_of(tmp_path / "b", padded)}
    refused(r"b has vocab_size 80 \(recipe: 69\); VOCAB_SIZE=80", paths)
    narrow = dataclasses.replace(ours.generator, embedding_size=4)
    paths = {
        "generator": folder_of(tmp_path / "c", narrow),
        "discriminator": folder_of(tmp_path / "d", ours.discriminator),
    }
    refused("of your own with SHARING=untied, as the tables differ in width", paths)


def test_a_word_table_with_unused_rows_is_loaded(pair):
    rows = len(VOCABULARY) + 3

    def pad(tensors):
        for name in (WORD_TABLE, "generator_lm_head.bias"):
            if name in tensors:
                widths = [(0, 3)] + [(0, 0)] * (tensors[name].ndim - 1)
                tensors[name] = np.pad(tensors[name], widths)

    for name in NAMES:
        rewrite(pair / name, pad)
        reconfigure(pair / name, vocab_size=rows)
    model, _ = started(both(pair), config(vocab_size=rows))
    table = tensors_of(model, "generator")[WORD_TABLE]
    assert table.shape[0] == rows
    assert np.all(table[-3:] == 0)


def test_the_vocabulary_must_be_that_of_the_data(pair):
    for name in NAMES:
        ElectraTokenizer([*VOCABULARY[:-1], "walked"]).save_pretrained(pair / name)
    refused(r"has another vocabulary .*electra examples --tokenizer", both(pair))
    for name in NAMES:
        for file in (pair / name).glob("*"):
            if file.name not in ("config.json", "model.safetensors"):
                file.unlink()
    _, lines = started(both(pair))
    assert "has no vocabulary" in " ".join(lines)


@pytest.mark.parametrize(
    "setting",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"clean_text": False},
        {"never_split": ["boat"]},
    ],
)
def test_another_treatment_of_text_is_reported(pair, setting):
    for name in NAMES:
        ElectraTokenizer(VOCABULARY, **setting).save_pretrained(pair / name)
    _, lines = started(both(pair))
    ((name, value),) = setting.items()
    assert f"another way than that of the data ({name} {value}, not" in " ".join(lines)


def test_an_untied_output_table_is_reported(pair):
    rewrite(pair / "generator", lambda x: x.update({OUTPUT_TABLE: x[WORD_TABLE].copy()}))
    _, lines = started(both(pair))
    assert f"stored although tied: {OUTPUT_TABLE}" in " ".join(lines)
    rewrite(pair / "generator", lambda x: x.update({OUTPUT_TABLE: x[WORD_TABLE] + 1}))
    reconfigure(pair / "generator", tie_word_embeddings=False)
    _, lines = started(both(pair))
    assert "its output table differs from its word table, which replaces it" in " ".join(lines)


def test_sources_that_cannot_be_read_or_lack_the_network_are_refused(pair, tmp_path):
    refused("INIT_DISCRIMINATOR: .*absent must be a run", {"discriminator": "absent"})
    refused("INIT_SHARED must be one of generator, disc", both(pair), shared_from="best")
    one = {"generator": str(pair / "generator")}
    refused("INIT_SHARED chooses between two", one, shared_from="generator")
    (tmp_path / "damaged").mkdir()
    shutil.copytree(pair / "generator", tmp_path / "damaged", dirs_exist_ok=True)
    (tmp_path / "damaged/model.safetensors").write_bytes(b"no tensors")
    refused(r"INIT_GENERATOR: .*model\.safetensors", {"generator": str(tmp_path / "damaged")})
    shutil.rmtree(pair / "generator")
    refused("INIT_GENERATOR=.* must hold a generator, but is .* a discriminator", both(pair))


def test_tensors_that_contradict_the_configuration_are_refused(pair):
    folder = pair / "discriminator"

    def cut(tensors):
        tensors["electra.encoder.layer.0.output.dense.bias"] = np.zeros(3, np.float32)

    def replace(tensors):
        tensors.clear()
        tensors["electra.pooler.weight"] = np.zeros(3, np.float32)

    rewrite(folder, cut)
    refused("shapes contradict its own configuration", {"discriminator": str(folder)})
    rewrite(folder, replace)
    refused("no tensor in .* matches the model", {"discriminator": str(folder)})


# === A whole run ===


@pytest.mark.slow
def test_a_run_records_its_warm_start_and_continues_without_the_source(tmp_path, built, pair):
    run = tmp_path / "run"
    training = dataclasses.replace(trained_run.TRAINING, evaluation_interval=0, keep_best=None)
    printed = trained_run.train(run, built, init=both(pair), training=training)
    assert f"generator from {pair}: " in printed
    recorded = json.loads((run / "run.json").read_text())["origin"]["warm_start"]
    assert {name: x["path"] for name, x in recorded.items()} == both(pair)
    assert all(x["loaded"] > 0 for x in recorded.values())
    found = sources.open(run)
    assert "from huggingface, `pair`" in found.cards["generator"]
    # Few steps lead less far than two random initializations differ.
    key = "discriminator_predictions.dense.weight"
    after = found.networks["discriminator"].arrays[key]
    before = huggingface.read_folder(pair / "discriminator").arrays[key]
    assert 0 < np.abs(after - before).max() < 0.02
    shutil.rmtree(pair)
    trained_run.train(run, built, training=training)
    assert json.loads((run / "run.json").read_text())["origin"]["warm_start"] == recorded
