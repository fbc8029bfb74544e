"""Models are loaded from folders and saved to them, and report on every tensor."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import huggingface
from official_nlp.modeling import models, networks, tensor_names
from official_nlp.modeling.layers import DisentangledEmbeddings
from official_nlp.modeling.pretrained import Pretrained
from tests.modeling import tiny

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(f"w{i}" for i in range(5, tiny.VOCABULARY)),
]
IDS = np.array([[2, 5, 6, 7, 3]])


@pytest.fixture(scope="module")
def discriminator():
    return filled(models.ElectraForPreTraining(tiny.without_dropout()))


@pytest.fixture(scope="module")
def folder(discriminator, tmp_path_factory):
    """A folder with a discriminator; no test writes to it."""
    folder = tmp_path_factory.mktemp("discriminator")
    discriminator.save_pretrained(folder)
    return folder


@pytest.fixture
def own_folder(discriminator, tmp_path):
    """A folder with the same discriminator, which a test may change."""
    discriminator.save_pretrained(tmp_path)
    return tmp_path


def filled(model):
    """Assign values to all variables that no initializer results in."""
    random = np.random.default_rng(7)
    for variable in model.variables:
        variable.assign(random.normal(size=variable.shape))
    return model


def edit(folder, **changes):
    """Change fields of a folder's config.json."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def edit_state(folder, change):
    """Apply a function to the weights of a folder."""
    found = huggingface.read_folder(folder)
    huggingface.write_folder(folder, json.dumps(found.config), change(found.arrays))


def assert_same(found: dict, expected: dict):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


# === Names ===
ENCODERS = {
    "plain": {},
    "without projection": {"embedding_size": 16},
    "relative": {"position_embedding_type": "relative_key"},
    "decoder": {"is_decoder": True, "add_cross_attention": True},
}


@pytest.mark.parametrize("name", ENCODERS)
def test_every_variable_of_the_encoder_has_one_name(name):
    encoder = networks.ElectraEncoder(tiny.config(**ENCODERS[name]))
    named = encoder.named_tensors()
    assert len({tensor.name for tensor in named}) == len(named)
    assert {tensor.variable.ref() for tensor in named} == {v.ref() for v in encoder.variables}


@pytest.mark.parametrize("name", ENCODERS)
def test_saving_and_loading_an_encoder_changes_no_bit(name, tmp_path):
    encoder = filled(networks.ElectraEncoder(tiny.config(**ENCODERS[name])))
    encoder.save_pretrained(tmp_path, max_shard_size=1000)
    again = networks.ElectraEncoder.from_pretrained(tmp_path, strict=True)
    assert again.config == encoder.config.replace(extra=again.config.extra)
    for old, new in zip(encoder.variables, again.variables):
        np.testing.assert_array_equal(old, new)


def test_a_weight_matrix_is_transposed_and_its_heads_are_merged():
    kernel = tf.Variable(tf.reshape(tf.range(24.0), [4, 3, 2]))
    weight, bias = tensor_names.linear("query", kernel, tf.Variable(tf.zeros([3, 2])))
    assert (weight.name, weight.shape, bias.name, bias.shape) == (
        "query.weight",
        (6, 4),
        "query.bias",
        (6,),
    )
    assert weight.to_hugging_face().flags.c_contiguous
    np.testing.assert_array_equal(weight.to_hugging_face(), np.arange(24).reshape(4, 6).T)
    weight.assign_hugging_face(2 * weight.to_hugging_face())
    np.testing.assert_array_equal(kernel, 2 * np.arange(24).reshape(4, 3, 2))
    assert [tensor.name for tensor in tensor_names.linear("x", kernel, None)] == ["x.weight"]


def test_names_begin_with_a_chosen_prefix():
    encoder = networks.ElectraEncoder(tiny.config())
    assert all(tensor.name.startswith("g.") for tensor in tensor_names.encoder(encoder, "g."))


def test_disentangled_embeddings_are_saved_as_sums_and_loaded_as_differences(tmp_path):
    config = tiny.without_dropout()
    base = filled(networks.ElectraEncoder(config))
    lean = DisentangledEmbeddings(base.embeddings, name="embeddings")
    lean.build(None)
    encoder = filled(networks.ElectraEncoder(config, embeddings=lean))
    encoder.save_pretrained(tmp_path)
    plain = networks.ElectraEncoder.from_pretrained(tmp_path, strict=True)
    expected = encoder(IDS)["sequence_output"]
    np.testing.assert_allclose(plain(IDS)["sequence_output"], expected, rtol=1e-5, atol=1e-5)
    table = base.get_embedding_table().numpy()
    encoder.load_state({name: 2 * value for name, value in plain.state().items()}, "doubled")
    np.testing.assert_array_equal(base.get_embedding_table().numpy(), table)
    doubled = 2 * plain.get_embedding_table()
    np.testing.assert_allclose(encoder.get_embedding_table(), doubled, rtol=1e-5, atol=1e-5)


def test_a_class_must_define_its_tensors():
    with pytest.raises(NotImplementedError, match="Nameless must define named_tensors"):
        type("Nameless", (Pretrained,), {})().state()


# === Loading ===
def test_a_loaded_model_has_the_outputs_of_the_saved_one(discriminator, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = models.ElectraForPreTraining.from_pretrained(str(folder))
    assert_same(again.state(), discriminator.state())
    np.testing.assert_array_equal(again(IDS)["logits"], discriminator(IDS)["logits"])
    assert again.load_report.newly_initialized == again.load_report.ignored == ()
    assert str(again.load_report) == f"{folder}/model.safetensors: 43 tensors loaded"


def test_a_generator_of_a_discriminators_folder_has_a_newly_initialized_head(discriminator, folder):
    with pytest.warns(UserWarning, match="ElectraForMaskedLM: newly initialized, because .*: gen"):
        model = models.ElectraForMaskedLM.from_pretrained(folder)
    report = model.load_report
    assert all(name.startswith("generator_") for name in report.missing)
    assert len(report.missing) == 5
    assert all(name.startswith("discriminator_predictions.") for name in report.ignored)
    assert len(report.ignored) == 4
    assert_same(model.encoder.state(), discriminator.encoder.state())
    assert "newly initialized, missing in the file: generator_" in str(report)
    assert "ignored, unknown to the model: discriminator_" in str(report)


def test_a_discriminator_of_a_generators_folder_has_a_newly_initialized_head(tmp_path):
    generator = filled(models.ElectraForMaskedLM(tiny.config()))
    generator.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"lacks them: discriminator_predictions.*before you use"):
        model = models.ElectraForPreTraining.from_pretrained(tmp_path)
    assert_same(model.encoder.state(), generator.encoder.state())
    assert len(model.load_report.missing) == 4
    assert len(model.load_report.ignored) == 5


def test_there_is_one_warning_which_names_the_line_of_the_caller(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models.ElectraForMaskedLM.from_pretrained(folder)
    (warning,) = caught
    assert warning.filename == __file__


def test_an_encoder_is_loaded_from_any_folder_without_a_warning(discriminator, folder):
    encoder = networks.ElectraEncoder.from_pretrained(folder)
    assert_same(encoder.state(), discriminator.encoder.state())


def test_any_model_is_loaded_from_the_folder_of_an_encoder(discriminator, tmp_path):
    discriminator.encoder.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="newly initialized"):
        model = models.ElectraForPreTraining.from_pretrained(tmp_path)
    assert_same(model.encoder.state(), discriminator.encoder.state())


def test_a_tied_output_table_may_be_stored_in_the_file(tmp_path):
    generator = filled(models.ElectraForMaskedLM(tiny.config()))
    state = generator.state()
    table = state["electra.embeddings.word_embeddings.weight"]
    report = generator.load_state({**state, "generator_lm_head.weight": table}, "x", strict=True)
    assert report.tied == ("generator_lm_head.weight",)
    assert "stored although tied: generator_lm_head.weight" in str(report)
    report = generator.load_state({**state, "generator_lm_head.weight": table + 1}, "x")
    assert (report.tied, report.ignored) == ((), ("generator_lm_head.weight",))


def test_strict_loading_requires_the_same_tensors(folder):
    assert models.ElectraForPreTraining.from_pretrained(folder, strict=True)
    with pytest.raises(
        InputError, match=r"strict.* missing in the file: generator_.* model: discriminator_"
    ):
        models.ElectraForMaskedLM.from_pretrained(folder, strict=True)
    with pytest.raises(
        InputError, match=r"missing in the file: none; unknown to the model: discriminator_"
    ):
        networks.ElectraEncoder.from_pretrained(folder, strict=True)


def test_loading_that_raises_assigns_nothing(discriminator):
    model = models.ElectraForPreTraining(tiny.config())
    before = model.state()
    state = discriminator.state()
    state["discriminator_predictions.dense.bias"] = np.zeros([3], np.float32)
    with pytest.raises(InputError, match=r"dense.bias: \[3\] in the file, \[16\] in the model"):
        model.load_state(state, "a state")
    with pytest.raises(InputError, match="strict=True requires"):
        model.load_state(state, "a state", strict=True)
    assert_same(model.state(), before)
    assert model.load_report is None


def test_tensors_of_another_shape_can_be_newly_initialized(own_folder):
    edit(own_folder, intermediate_size=24)
    with pytest.raises(
        InputError, match=r"\[32, 16\] in the file, \[24, 16\] in the mo.*ignore_mism"
    ):
        models.ElectraForPreTraining.from_pretrained(own_folder)
    with pytest.warns(UserWarning, match=r"layer.0.intermediate.dense.weight"):
        model = models.ElectraForPreTraining.from_pretrained(
            own_folder, ignore_mismatched_sizes=True
        )
    assert len(model.load_report.mismatched) == 6  # two kernels and a bias a layer
    assert (
        model.load_report.newly_initialized[0]
        == "electra.encoder.layer.0.intermediate.dense.weight"
    )


def test_declared_sizes_are_checked_before_the_model_is_allocated(own_folder):
    edit(own_folder, max_position_embeddings=10**8, intermediate_size=10**8)
    with pytest.raises(InputError, match=r"\[100000000, 8\] in the model, .*100000"):
        models.ElectraForPreTraining.from_pretrained(own_folder)


def test_a_configuration_with_more_layers_than_the_file_is_refused_before_they_are_built(folder):
    with pytest.raises(InputError, match=r"num_hidden_layers: 2 in the file, 1000 in the model"):
        models.ElectraForPreTraining.from_pretrained(folder, num_hidden_layers=1000)
    with pytest.warns(UserWarning, match=r"newly initialized.* electra.encoder.layer.2.attention"):
        models.ElectraForPreTraining.from_pretrained(
            folder, num_hidden_layers=3, ignore_mismatched_sizes=True
        )


def test_layers_that_the_configuration_does_not_declare_are_reported(own_folder):
    edit(own_folder, num_hidden_layers=1)
    with pytest.warns(
        UserWarning, match=r"16 tensors of the encoder .*layer\.1\..* declares num_hidden_layers=1"
    ):
        models.ElectraForPreTraining.from_pretrained(own_folder)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "discriminator.", "module.model."])
def test_names_with_the_prefix_of_a_wrapper_are_read(discriminator, own_folder, prefix):
    edit_state(own_folder, lambda state: {prefix + name: x for name, x in state.items()})
    with pytest.warns(UserWarning, match=f"read without their prefix '{prefix}'"):
        model = models.ElectraForPreTraining.from_pretrained(own_folder, strict=True)
    assert_same(model.state(), discriminator.state())


def test_two_networks_in_one_file_are_refused_with_the_prefixes_to_strip(own_folder):
    edit_state(
        own_folder,
        lambda state: {
            f"{part}.{k}": x for part in ("generator", "discriminator") for k, x in state.items()
        },
    )
    with pytest.raises(
        InputError, match=r"prefixes 'discriminator\.' and 'generator\.'.*removeprefix"
    ):
        models.ElectraForPreTraining.from_pretrained(own_folder)


def test_an_override_that_changes_shapes_is_refused(folder):
    with pytest.raises(InputError, match=r"\[32, 8\] in the file, \[40, 8\] in the model"):
        models.ElectraForPreTraining.from_pretrained(folder, vocab_size=40)


def test_fields_of_the_configuration_are_overridden(folder):
    model = models.ElectraForPreTraining.from_pretrained(
        folder, hidden_dropout_prob=0.3, output_hidden_states=True
    )
    assert model.config.hidden_dropout_prob == 0.3
    assert len(model(IDS)["hidden_states"]) == 3


@pytest.mark.parametrize(
    ("override", "labels"),
    [
        ({"num_labels": 3}, {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}),
        ({"id2label": {0: "a", 1: "b", 2: "c"}}, {0: "a", 1: "b", 2: "c"}),
    ],
)
def test_labels_are_overridden_together(own_folder, override, labels):
    edit(own_folder, id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    with pytest.warns(UserWarning, match="classifier"):
        model = models.ElectraForSequenceClassification.from_pretrained(own_folder, **override)
    assert (model.config.num_labels, model.config.id2label) == (3, labels)
    assert model(IDS)["logits"].shape == [1, 3]


def test_options_of_the_model_are_passed_to_it(folder):
    model = models.ElectraForPreTraining.from_pretrained(
        folder, dtype="mixed_bfloat16", recompute=True, name="mine"
    )
    assert (model.encoder.compute_dtype, model.encoder.recompute) == ("bfloat16", True)
    assert model.name == "mine"
    assert {variable.dtype for variable in model.variables} == {tf.float32}


# === Saving ===
def test_the_configuration_is_in_hugging_face_format_and_retains_unknown_keys(own_folder, tmp_path):
    edit(own_folder, future_option={"a": [1, None]}, torch_dtype="float16", architectures=["Old"])
    encoder = networks.ElectraEncoder.from_pretrained(own_folder)
    encoder.save_pretrained(tmp_path / "new")
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["model_type"] == "electra"
    assert config["architectures"] == ["ElectraModel"]
    assert config["future_option"] == {"a": [1, None]}
    assert config["torch_dtype"] == config["dtype"] == "float32"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_are_loaded_as_they_were_stored(discriminator, tmp_path, dtype):
    discriminator.save_pretrained(tmp_path, dtype=dtype)
    again = models.ElectraForPreTraining.from_pretrained(tmp_path, strict=True)
    expected = {
        name: tf.cast(tf.cast(value, dtype), tf.float32).numpy()
        for name, value in discriminator.state().items()
    }
    assert_same(again.state(), expected)
    again.save_pretrained(tmp_path / "again", dtype=dtype)
    assert huggingface.read_folder(tmp_path / "again").dtype == dtype


def test_model_and_tokenizer_are_saved_to_one_folder_in_either_order(discriminator, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = ElectraTokenizer.from_pretrained(tmp_path)
    for first, second in ((discriminator, tokenizer), (tokenizer, discriminator)):
        folder = tmp_path / type(first).__name__
        first.save_pretrained(folder)
        second.save_pretrained(folder)
        model = models.ElectraForPreTraining.from_pretrained(folder, strict=True)
        encoded = ElectraTokenizer.from_pretrained(folder)(["w5 w6", "w7"], padding=True)
        assert model({**encoded})["logits"].shape == [2, 4]


def test_a_model_is_saved_to_the_folder_that_it_was_loaded_from(own_folder):
    model = models.ElectraForPreTraining.from_pretrained(own_folder)
    before = model.state()
    model.save_pretrained(own_folder, max_shard_size=1000)
    again = models.ElectraForPreTraining.from_pretrained(own_folder, strict=True)
    assert_same(again.state(), before)


# === Refused ===
def test_an_override_that_is_no_field_is_refused(folder):
    with pytest.raises(InputError, match=r"hiden_size .* is none \(did you mean hidden_size\?\)"):
        models.ElectraForPreTraining.from_pretrained(folder, hiden_size=3)
    with pytest.raises(
        InputError, match=r"is none; ElectraConfig lists the fields, and .*README.md"
    ):
        models.ElectraForPreTraining.from_pretrained(folder, cache_dir="x")


def test_a_key_of_the_file_that_is_no_field_can_be_overridden(own_folder):
    edit(own_folder, future_option=1)
    model = models.ElectraForPreTraining.from_pretrained(own_folder, future_option=2)
    assert model.config.extra["future_option"] == 2


def test_a_truncated_file_is_refused(own_folder):
    file = own_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match="was cut off"):
        models.ElectraForPreTraining.from_pretrained(own_folder)


def test_a_file_with_other_layers_is_refused_when_nothing_matches(discriminator, own_folder):
    edit_state(own_folder, lambda state: {"electra.encoder.layer.9.x": np.ones(3, np.float32)})
    with pytest.raises(InputError, match=r"no tensor in .*model.safetensors matches the model"):
        models.ElectraForPreTraining.from_pretrained(own_folder)


def test_another_models_folder_is_refused(own_folder):
    edit(own_folder, model_type="bert")
    with pytest.raises(InputError, match="model_type must be 'electra', was 'bert'"):
        models.ElectraForPreTraining.from_pretrained(own_folder)


# === The vocabulary beside the weights ===
@pytest.fixture
def long_table(tmp_path):
    """A folder with a word table of 300 vectors."""
    networks.ElectraEncoder(tiny.config(vocab_size=300)).save_pretrained(tmp_path)
    return tmp_path


def write_vocabulary(folder, count):
    (folder / "vocab.txt").write_text("".join(f"w{i}\n" for i in range(count)))


def test_a_vocabulary_as_long_as_the_table_is_not_mentioned(long_table):
    write_vocabulary(long_table, 300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = networks.ElectraEncoder.from_pretrained(long_table)
    assert model.load_report.notes == ()


@pytest.mark.parametrize("count", [290, 100])
def test_a_vocabulary_shorter_than_the_table_is_reported(long_table, count):
    write_vocabulary(long_table, count)
    unused = f"{count} tokens for 300 rows of the word table: the last {300 - count} rows are unus"
    with pytest.warns(UserWarning, match=unused):
        model = networks.ElectraEncoder.from_pretrained(long_table)
    assert unused in str(model.load_report)


def test_a_tokenizer_that_cannot_be_read_is_reported(long_table):
    (long_table / "vocab.txt").write_bytes(b"\xff")
    with pytest.warns(UserWarning, match="was not compared .*vocab.txt must be UTF-8"):
        networks.ElectraEncoder.from_pretrained(long_table)


@pytest.mark.parametrize("count", [4, 22, 200])
def test_a_folder_with_added_tokens_is_loaded_without_a_warning(discriminator, tmp_path, count):
    tokenizer = ElectraTokenizer(WORDS, additional_special_tokens=[f"<{i}>" for i in range(count)])
    tokenizer.save_pretrained(tmp_path)
    discriminator.resize_token_embeddings(len(tokenizer)).save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.ElectraForPreTraining.from_pretrained(tmp_path)
    discriminator.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"more tokens than the 32 rows .* has {32 + count}"):
        models.ElectraForPreTraining.from_pretrained(tmp_path)


def test_a_vocabulary_with_ids_beyond_the_table_is_refused(long_table):
    write_vocabulary(long_table, 301)
    with pytest.raises(InputError, match=r"than the 300 rows .* ids up to 300;"):
        networks.ElectraEncoder.from_pretrained(long_table, ignore_mismatched_sizes=True)
