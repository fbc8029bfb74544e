"""The configuration: defaults, presets, files, refusals."""

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
def test_presets_are_the_papers(name, sizes, layers, generator_sizes):
    discriminator = ElectraConfig.preset(name)
    generator = discriminator.generator()
    for config, expected in ((discriminator, sizes), (generator, generator_sizes)):
        assert tuple(getattr(config, size) for size in SIZES) == expected
        assert config.num_hidden_layers == layers
        assert (config.vocab_size, config.max_position_embeddings) == (30522, 512)
        assert (config.hidden_act, config.layer_norm_eps) == ("gelu", 1e-12)
    assert generator.generator_size is None


def test_defaults_are_electra_smalls_and_hugging_faces():
    config = ElectraConfig()
    assert dataclasses.replace(config, generator_size=1 / 4) == ElectraConfig.preset("small")
    hugging_face = {
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "embedding_size": 128,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 256,
        "initializer_range": 0.02,
        "intermediate_size": 1024,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "num_attention_heads": 4,
        "num_hidden_layers": 12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
        "summary_type": "first",
        "summary_use_proj": True,
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": 30522,
    }
    assert hugging_face.items() <= config.to_dict().items()


def test_a_generator_of_another_size_and_of_other_tables():
    generator = ElectraConfig(hidden_size=256, vocab_size=99).generator(0.5)
    assert (generator.hidden_size, generator.intermediate_size) == (128, 512)
    assert (generator.num_attention_heads, generator.vocab_size) == (2, 99)


@pytest.mark.parametrize("size", [None, 0, -0.5])
def test_a_generator_needs_a_size(size):
    with pytest.raises(InputError, match=f"positive share .* was {size}; a preset knows its own"):
        ElectraConfig().generator(size)


def test_an_unknown_preset_is_refused():
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
        ({"hidden_dropout_prob": 1.0}, r"hidden_dropout_prob must be a share in \[0, 1\), was 1.0"),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob must be a share"),
        ({"initializer": "zeros"}, "initializer must be one of .*fan_in.*, was 'zeros'"),
        ({"classifier_dropout": 2}, r"classifier_dropout must be a share in \[0, 1\), was 2"),
        ({"summary_last_dropout": "no"}, "summary_last_dropout must be a share .* was 'no'"),
        ({"hidden_dropout_prob": None}, "hidden_dropout_prob must be a share .* was None"),
        ({"layer_norm_eps": 0}, "layer_norm_eps must be a positive number, was 0"),
        ({"initializer_range": "0.02"}, "initializer_range must be a positive number, was '0.02'"),
        (
            {"position_embedding_type": "rotary"},
            "position_embedding_type must be one of absolute, relative_key, .*, was 'rotary'",
        ),
        ({"hidden_act": "golu"}, "hidden_act must be the name of an activation .* was 'golu'"),
        ({"hidden_act": None}, "hidden_act must be the name of an activation .* was None"),
        ({"add_cross_attention": True}, "add_cross_attention must be false where is_decoder"),
    ],
)
def test_values_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        ElectraConfig(**changes)


def test_an_unknown_keyword_is_refused():
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
    ],
)
def test_a_file_says_all_and_comes_back(changes):
    config = ElectraConfig(**changes)
    assert ElectraConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["model_type"] == "electra"


def test_our_own_fields_are_written_only_where_they_say_something():
    assert not {"initializer", "generator_size", "extra"} & ElectraConfig().to_dict().keys()
    assert ElectraConfig(initializer="fan_in").to_dict()["initializer"] == "fan_in"


def test_keys_that_are_not_known_are_kept_and_written_back():
    text = json.dumps({"hidden_size": 64, "architectures": ["X"], "my_note": {"a": 1}})
    config = ElectraConfig.from_json(text)
    assert config.extra == {"architectures": ["X"], "my_note": {"a": 1}}
    assert json.loads(text).items() <= json.loads(config.to_json()).items()


@pytest.mark.parametrize("name", ["hf_tiny_pretraining", "hf_tiny_causal_lm", "hf_tiny_masked_lm"])
def test_hugging_faces_file_comes_back_whole(outside_data, name):
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
def test_files_that_are_not_one_of_ours_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        ElectraConfig.from_json(text)


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ElectraConfig().hidden_size = 3
