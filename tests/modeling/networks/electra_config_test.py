"""The configuration: defaults, presets, files and errors."""

import dataclasses
import json

import pytest

from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig

SIZES = ("embedding_size", "hidden_size", "intermediate_size", "num_attention_heads")


@pytest.mark.parametrize(
    ("name", "sizes", "layers", "generator_sizes"),
    [
        ("small", (128, 256, 1024, 4), 12, (128, 64, 256, 1)),
        ("small_plus_plus", (128, 256, 1024, 4), 12, (128, 256, 1024, 4)),
        ("base", (768, 768, 3072, 12), 12, (768, 256, 1024, 4)),
        ("large", (1024, 1024, 4096, 16), 24, (1024, 256, 1024, 4)),
    ],
)
def test_presets_are_those_of_the_paper(name, sizes, layers, generator_sizes):
    discriminator = ElectraConfig.preset(name)
    generator = discriminator.generator()
    for config, expected in ((discriminator, sizes), (generator, generator_sizes)):
        assert tuple(getattr(config, size) for size in SIZES) == expected
        assert config.num_hidden_layers == layers
        assert (config.vocab_size, config.max_position_embeddings) == (30522, 512)
        assert (config.hidden_act, config.layer_norm_eps) == ("gelu", 1e-12)
    assert generator.generator_size is None


def test_defaults_are_those_of_electra_small_and_hugging_face():
    config = ElectraConfig()
    assert dataclasses.replace(config, generator_size=1 / 4) == ElectraConfig.preset("small")
    hugging_face = {
        "add_cross_attention": False,
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": None,
        "classifier_dropout": None,
        "embedding_size": 128,
        "eos_token_id": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 256,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "initializer_range": 0.02,
        "intermediate_size": 1024,
        "is_decoder": False,
        "label2id": {"LABEL_0": 0, "LABEL_1": 1},
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "num_attention_heads": 4,
        "num_hidden_layers": 12,
        "output_attentions": False,
        "output_hidden_states": False,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "problem_type": None,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
        "summary_type": "first",
        "summary_use_proj": True,
        "tie_word_embeddings": True,
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": 30522,
    }
    assert config.to_dict() == hugging_face


def test_a_generator_may_have_another_size():
    generator = ElectraConfig(hidden_size=256, vocab_size=99).generator(0.5)
    assert (generator.hidden_size, generator.intermediate_size) == (128, 512)
    assert (generator.num_attention_heads, generator.vocab_size) == (2, 99)


@pytest.mark.parametrize("size", [None, 0, -0.5])
def test_a_generator_needs_a_size(size):
    with pytest.raises(
        InputError, match=f"positive fraction .* was {size}; presets have a default"
    ):
        ElectraConfig().generator(size)


def test_an_unknown_preset_raises():
    with pytest.raises(InputError, match="one of small, small_plus_plus, base, large, was 'tiny'"):
        ElectraConfig.preset("tiny")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a positive integer, was 0"),
        ({"embedding_size": -1}, "embedding_size must be a positive integer, was -1"),
        ({"hidden_size": 12.0}, "hidden_size must be a positive integer, was 12.0"),
        ({"num_hidden_layers": "2"}, "num_hidden_layers must be a positive integer, was '2'"),
        ({"num_attention_heads": None}, "num_attention_heads must be a positive integer, was None"),
        ({"intermediate_size": 0}, "intermediate_size must be"),
        ({"max_position_embeddings": 0}, "max_position_embeddings must be"),
        ({"type_vocab_size": 0}, "type_vocab_size must be"),
        ({"hidden_size": 30}, "hidden_size must be a multiple of num_attention_heads=4, was 30"),
        (
            {"hidden_dropout_prob": 1.0},
            r"hidden_dropout_prob must be a dropout rate in \[0, 1\), was 1.0",
        ),
        (
            {"attention_probs_dropout_prob": -0.1},
            "attention_probs_dropout_prob must be a dropout rate",
        ),
        ({"initializer": "zeros"}, "initializer must be one of .*fan_in.*, was 'zeros'"),
        (
            {"classifier_dropout": 2},
            r"classifier_dropout must be a dropout rate in \[0, 1\), was 2",
        ),
        ({"summary_last_dropout": "no"}, "summary_last_dropout must be a dropout rate .* was 'no'"),
        ({"hidden_dropout_prob": None}, "hidden_dropout_prob must be a dropout rate .* was None"),
        ({"num_hidden_layers": True}, "num_hidden_layers must be a positive integer, was True"),
        ({"layer_norm_eps": 0}, "layer_norm_eps must be a positive number, was 0"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps must be a positive number, was nan"),
        ({"initializer_range": float("inf")}, "initializer_range must be a positive number, was"),
        ({"initializer_range": "0.02"}, "initializer_range must be a positive number, was '0.02'"),
        (
            {"position_embedding_type": "rotary"},
            "position_embedding_type must be one of absolute, relative_key, .*, was 'rotary'",
        ),
        ({"hidden_act": "golu"}, "hidden_act must be one of gelu, .*relu, .*silu, .*was 'golu'"),
        ({"hidden_act": "leaky_relu"}, "hidden_act must be one of .* was 'leaky_relu'"),
        ({"hidden_act": None}, "hidden_act must be one of .* was None"),
        ({"hidden_act": ["gelu"]}, r"hidden_act must be one of .* was \['gelu'\]"),
        ({"summary_activation": "relu2"}, "summary_activation must be one of .* was 'relu2'"),
        ({"summary_type": "attn"}, "summary_type must be one of first, .*cls_index, was 'attn'"),
        ({"summary_first_dropout": 1}, "summary_first_dropout must be a dropout rate"),
        ({"summary_use_proj": "yes"}, "summary_use_proj must be true or false, was 'yes'"),
        ({"is_decoder": 1}, "is_decoder must be true or false, was 1"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings must be true or false, was None"),
        ({"problem_type": "ranking"}, "problem_type must be one of regression, .* was 'ranking'"),
        ({"pad_token_id": 30522}, "pad_token_id must be .* below vocab_size=30522, was 30522"),
        ({"bos_token_id": -1}, "bos_token_id must be a number below"),
        ({"eos_token_id": [3, 99999]}, r"eos_token_id must be .*, was \[3, 99999\]"),
        ({"num_labels": 0}, "num_labels must be a positive integer, was 0"),
        ({"id2label": {}}, "id2label must be a dict with at least one label, was {}"),
        ({"label2id": ["a"]}, r"label2id must be a dict with at least one label, was \['a'\]"),
        ({"id2label": {"a": 0}}, "labels of id2label must be numbered by integers, was {'a': 0}"),
        (
            {"id2label": {0: "a", 1: "b"}, "num_labels": 3},
            r"num_labels must be 2, the number of names in id2label, was 3; use "
            r"replace\(num_labels=...\)",
        ),
        ({"extra": {"pruned_heads": {"0": [1]}}}, "pruned_heads must be empty, was {'0'"),
        ({"add_cross_attention": True}, "add_cross_attention must be false if is_decoder"),
    ],
)
def test_invalid_values_raise(changes, message):
    with pytest.raises(InputError, match=message):
        ElectraConfig(**changes)


def test_an_unknown_keyword_raises():
    with pytest.raises(TypeError, match="hiden_size"):
        ElectraConfig(hiden_size=3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"initializer": "fan_in", "generator_size": 0.25},
        {"hidden_act": "gelu_new", "vocab_size": 7},
        {"position_embedding_type": "relative_key_query", "classifier_dropout": 0},
        {"is_decoder": True, "add_cross_attention": True, "extra": {"dtype": "float16"}},
        {"num_labels": 5, "problem_type": "multi_label_classification"},
        {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1, "Yes": 1}},
        {"bos_token_id": 2, "eos_token_id": [3, 4], "summary_first_dropout": 0.2},
    ],
)
def test_a_configuration_is_read_back_from_its_file(changes):
    config = ElectraConfig(**changes)
    assert ElectraConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["model_type"] == "electra"


def test_fields_unknown_to_hugging_face_are_written_only_if_set():
    assert not {"initializer", "generator_size", "extra"} & ElectraConfig().to_dict().keys()
    assert ElectraConfig(initializer="fan_in").to_dict()["initializer"] == "fan_in"


def test_unknown_keys_are_retained_and_written_back():
    text = json.dumps({"hidden_size": 64, "architectures": ["X"], "my_note": {"a": 1}})
    config = ElectraConfig.from_json(text)
    assert config.extra == {"architectures": ["X"], "my_note": {"a": 1}}
    assert json.loads(text).items() <= json.loads(config.to_json()).items()


@pytest.mark.parametrize(
    "name",
    [
        "hf_tiny_pretraining",
        "hf_tiny_causal_lm",
        "hf_tiny_masked_lm",
        "hf_tiny_sequence_classification",
        "hf_tiny_sequence_multilabel",
        "hf_tiny_sequence_regression",
    ],
)
def test_a_hugging_face_file_is_written_back_completely(outside_data, name):
    text = (outside_data / "golden" / name / "config.json").read_text()
    written = json.loads(ElectraConfig.from_json(text).to_json())
    assert json.loads(text).items() <= written.items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be a JSON object: Expecting"),
        ("", "must be a JSON object: Expecting"),
        ("[1, 2]", r"must be a JSON object, was '\[1, 2\]'"),
        ('{"model_type": "bert"}', "model_type must be 'electra', was 'bert'"),
        ('{"hidden_size": "big"}', "hidden_size must be a positive integer, was 'big'"),
    ],
)
def test_invalid_files_raise(text, message):
    with pytest.raises(InputError, match=message):
        ElectraConfig.from_json(text)


UNNAMED = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


@pytest.mark.parametrize(
    ("given", "id2label", "label2id"),
    [
        ({}, {0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}),
        ({"num_labels": 3}, UNNAMED, {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, {0: "a", 1: "b", 2: "c"}, None),
        ({"label2id": {"no": 0, "yes": 1}}, {0: "no", 1: "yes"}, {"no": 0, "yes": 1}),
        ({"num_labels": 1, "id2label": {"0": "score"}}, {0: "score"}, {"score": 0}),
        # Older files have a number beside default names.
        ({"num_labels": 3, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, UNNAMED, None),
    ],
)
def test_labels_follow_from_their_number_or_their_names(given, id2label, label2id):
    config = ElectraConfig.from_dict(given)
    assert config.num_labels == len(id2label)
    assert config.id2label == id2label
    assert config.label2id == (label2id or {name: number for number, name in id2label.items()})


def test_a_file_contains_label_names_instead_of_their_number():
    written = json.loads(ElectraConfig(num_labels=3).to_json())
    assert written["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    assert written["label2id"] == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert "num_labels" not in written


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"num_labels": 3}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"num_labels": 2}, ["no", "yes"]),
        ({"hidden_size": 64}, ["no", "yes"]),
        ({"id2label": {0: "a", 1: "b", 2: "c"}}, ["a", "b", "c"]),
        ({"label2id": {"a": 0}}, ["a"]),
        ({"id2label": None}, ["LABEL_0", "LABEL_1"]),
    ],
)
def test_label_fields_stay_consistent_when_one_is_replaced(changes, names):
    config = ElectraConfig(id2label={0: "no", 1: "yes"}).replace(**changes)
    assert list(config.id2label.values()) == list(config.label2id) == names
    assert config.num_labels == len(names)


def test_null_values_are_written_as_hugging_face_reads_them():
    config = ElectraConfig.from_json('{"summary_activation": null, "summary_last_dropout": null}')
    written = json.loads(config.to_json())
    assert (written["summary_activation"], written["summary_last_dropout"]) == ("", 0.0)
    assert config == ElectraConfig(summary_activation="", summary_last_dropout=0.0)


def test_a_flag_may_be_a_string_as_in_some_published_files():
    assert ElectraConfig.from_json('{"summary_use_proj": "true"}').summary_use_proj is True


def test_a_configuration_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ElectraConfig().hidden_size = 3
