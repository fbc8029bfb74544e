"""google-research checkpoints are read and written; similar files are refused."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError, StorageError
from official_nlp.interchange.google import read_google, write_google
from official_nlp.interchange.weights import Weights
from tests.interchange import random_networks
from tests.interchange.named_variables import assert_same, save, variables

SHARING = ("shared", "untied", "whole")
# Kind of golden checkpoint: sharing, step, variables of networks, slots of the optimizer.
GOLDEN = {
    "tied_projection": ("shared", 3, 98, 196),
    "emb_equals_hidden": ("shared", 1234567, 46, 0),
    "emb_equals_hidden_small_gen": ("shared", 1234567, 80, 0),
    "untied_embeddings": ("untied", 1234567, 85, 0),
    "fully_tied": ("whole", 1234567, 48, 0),
}
QUERY = "electra.encoder.layer.0.attention.self.query.weight"


@pytest.fixture(params=SHARING)
def sharing(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    """A folder with a checkpoint of a pair with common tables, at step 7, and its JSON file."""
    write_google(tmp_path / "folder", random_networks.pair(), step=7)
    return tmp_path / "folder"


@pytest.fixture
def changed(folder, tmp_path):
    """A function that writes the checkpoint of `folder` without some variables, and with others."""

    def make(without=(), **added):
        names = {name.replace("__", "/"): value for name, value in added.items()}
        others = {n: v for n, v in variables(folder).items() if not n.startswith(tuple(without))}
        return save(tmp_path / "changed" / "model.ckpt-7", {**others, **names})

    return make


# === All five kinds, written by google-research ===


@pytest.fixture(params=GOLDEN)
def checkpoint(request, golden):
    return golden(f"google_tf1_{request.param}")


def test_each_kind_is_read_completely(checkpoint):
    found = read_google(checkpoint)
    sharing, step, count, slots = GOLDEN[checkpoint.name.removeprefix("google_tf1_")]
    assert (found.sharing, found.step, len(found.converted)) == (sharing, step, count)
    assert {reason: len(names) for reason, names in found.dropped.items()} == {
        **({"state of the optimizer": slots} if slots else {}),
        "the step": 1,
    }
    assert found.notes == ()
    assert found.vocabulary == checkpoint / "vocab.txt"
    values = json.loads((checkpoint / "config.json").read_text())
    for name, network in found.networks.items():
        bert = values[f"{name}_bert_config"]
        assert {key: network.config[key] for key in bert} == bert
        assert all(value.dtype == np.float32 for value in network.arrays.values())


def test_each_kind_is_written_unchanged(checkpoint, tmp_path):
    found = read_google(checkpoint)
    written = write_google(tmp_path, found.networks, found.step)
    assert (written.sharing, written.dropped) == (found.sharing, {})
    before = variables(checkpoint)
    of_networks = {name: before[name] for name in (*found.converted, "global_step")}
    assert_same(variables(tmp_path), of_networks)
    old, new = (json.loads((p / "config.json").read_text()) for p in (checkpoint, tmp_path))
    for name in ("generator_bert_config", "discriminator_bert_config"):
        assert new[name] == old[name]
    for name in ("untied_generator", "untied_generator_embeddings", "embedding_size", "vocab_size"):
        assert new["pretraining_config"][name] == old["pretraining_config"][name]


# === Writing and reading ===


def test_written_networks_are_read_unchanged(sharing, tmp_path):
    networks = random_networks.pair(sharing)
    written = write_google(tmp_path, networks, step=12, do_lower_case=False)
    found = read_google(tmp_path)
    assert written.prefix == found.prefix == tmp_path / "model.ckpt-12"
    assert (found.sharing, found.step, found.do_lower_case) == (sharing, 12, False)
    assert set(found.converted) == set(written.converted)
    for name, network in networks.items():
        assert_same(found.networks[name].arrays, network.arrays)
        assert {**found.networks[name].config, **network.config} == found.networks[name].config


@pytest.mark.parametrize("has_head", [True, False])
def test_a_discriminator_alone_is_written_and_read(tmp_path, has_head):
    network = random_networks.discriminator()
    if not has_head:
        encoder = {n: v for n, v in network.arrays.items() if n.startswith("electra.")}
        network = Weights({**network.config, "architectures": ["ElectraModel"]}, encoder)
    write_google(tmp_path, {"discriminator": network})
    found = read_google(tmp_path)
    assert list(found.networks) == ["discriminator"]
    assert found.sharing is None
    assert_same(found.networks["discriminator"].arrays, network.arrays)
    assert (
        found.networks["discriminator"].config["architectures"] == network.config["architectures"]
    )
    assert "it holds no generator" in found.notes


def test_a_stored_copy_of_the_word_table_is_dropped(tmp_path):
    networks = random_networks.pair()
    arrays = networks["generator"].arrays
    table = arrays["electra.embeddings.word_embeddings.weight"]
    more = {**arrays, "generator_lm_head.weight": table, "classifier.weight": table}
    networks["generator"] = dataclasses.replace(networks["generator"], arrays=more)
    assert write_google(tmp_path, networks).dropped == {
        "a copy of the word table": ("generator: generator_lm_head.weight",),
        "not part of the google-research format": ("generator: classifier.weight",),
    }


# === Contents of a checkpoint ===


def test_half_precision_is_converted_to_float32(folder, changed):
    name = "discriminator_predictions/dense/bias"
    half = variables(folder)[name].astype(np.float16)
    found = read_google(changed(**{name.replace("/", "__"): half}))
    value = found.networks["discriminator"].arrays["discriminator_predictions.dense.bias"]
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, half)


def test_variables_without_a_counterpart_are_dropped_with_a_reason(changed):
    value = np.float32(1)
    found = read_google(
        changed(
            temperature=value,
            electra__encoder__layer_0__output__dense__bias__adam_m=np.zeros(16, np.float32),
            electra__encoder__layer_0__output__dense__bias__adam_v=np.zeros(16, np.float32),
            beta1_power=value,
            task_specific__mnli__dense__kernel=value,
            something__else=value,
        )
    )
    assert {reason: list(names) for reason, names in found.dropped.items()} == {
        "state of the optimizer": [
            "beta1_power",
            "electra/encoder/layer_0/output/dense/bias/adam_m",
            "electra/encoder/layer_0/output/dense/bias/adam_v",
        ],
        "the step": ["global_step"],
        "unknown to ELECTRA": ["something/else"],
        "a fine-tuned task, for which Hugging Face has other heads": [
            "task_specific/mnli/dense/kernel"
        ],
        "a setting of the sampling": ["temperature"],
    }


def test_a_fine_tuned_checkpoint_is_an_encoder(changed):
    found = read_google(
        changed(
            without=["generator", "discriminator_predictions", "global_step"],
            task_specific__qa__logits=np.float32(1),
        )
    )
    assert list(found.networks) == ["discriminator"]
    assert found.step is None
    assert found.networks["discriminator"].config["architectures"] == ["ElectraModel"]
    assert found.notes[:2] == (
        "it holds no generator",
        "discriminator: it holds no discriminator_predictions, so the result is an encoder without "
        "head, ElectraModel",
    )


def test_a_generator_without_its_head_is_an_encoder(changed):
    found = read_google(changed(without=["generator_predictions"]))
    assert found.sharing == "shared"
    assert found.networks["generator"].config["architectures"] == ["ElectraModel"]
    assert "generator: it holds no generator_predictions" in found.notes[0]


def test_a_generator_may_be_alone(changed):
    found = read_google(changed(without=["electra/encoder", "discriminator_predictions"]))
    assert list(found.networks) == ["generator"]
    assert found.notes[0] == "it holds no discriminator"


def test_one_transformer_trained_as_bert_is_a_generator(tmp_path):
    write_google(tmp_path / "whole", random_networks.pair("whole"))
    whole = variables(tmp_path / "whole")
    bert = {n: v for n, v in whole.items() if not n.startswith("discriminator_predictions")}
    found = read_google(save(tmp_path / "bert" / "model", bert))
    assert list(found.networks) == ["generator"]
    assert found.networks["generator"].config["architectures"] == ["ElectraForMaskedLM"]


@pytest.mark.parametrize("head", ["generator_predictions", "cloze_predictions"])
def test_beside_a_generator_of_two_towers_the_discriminator_is_read(changed, head):
    value = np.float32(1)
    scopes = {f"generator_{way}__encoder__kernel": value for way in ("ltr", "rtl")}
    found = read_google(changed(without=["generator"], **scopes, **{f"{head}__output_bias": value}))
    assert list(found.networks) == ["discriminator"]
    names = {name for reason, names in found.dropped.items() if "lacks" in reason for name in names}
    assert names == {
        "generator_ltr/encoder/kernel",
        "generator_rtl/encoder/kernel",
        f"{head}/output_bias",
    }


@pytest.mark.parametrize(
    ("without", "added", "message"),
    [
        (
            ["generator_predictions/dense/kernel", "generator_predictions/LayerNorm"],
            {},
            "lacks generator_predictions/dense/kernel and 2 more",
        ),
        (["electra/embeddings_project/bias"], {}, "lacks electra/embeddings_project/bias;"),
        (
            ["electra/embeddings/word_embeddings"],
            {},
            "electra/embeddings/word_embeddings, but lacks it",
        ),
        (
            [],
            {"electra__embeddings__word_embeddings": np.zeros(3, np.float32)},
            r"must be a matrix, had the shape \[3\]",
        ),
        (["generator/encoder/layer_0/"], {}, "has 1 of them and no layer_0"),
        (
            [],
            {"electra__encoder__layer_1__output__dense__bias": np.zeros(3, np.float32)},
            r"layer_1/output/dense/bias must be \[16\] to fit the other variables, was \[3\]",
        ),
    ],
)
def test_an_incomplete_network_is_refused(changed, without, added, message):
    with pytest.raises(InputError, match=message):
        read_google(changed(without=without, **added))


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    prefix = save(tmp_path / "bert_model.ckpt", {"bert/pooler/dense/bias": np.zeros(3)})
    with pytest.raises(
        InputError, match=r"must contain variables of ELECTRA.*1 others: bert/pooler"
    ):
        read_google(prefix)


def test_an_object_based_checkpoint_is_refused(tmp_path):
    prefix = tf.train.Checkpoint(a=tf.Variable(1.0)).write(str(tmp_path / "ckpt"))
    with pytest.raises(InputError, match=r"is a checkpoint of TensorFlow 2.*--from tfnlp"):
        read_google(prefix)


# === The JSON file ===


def heads(found) -> dict:
    return {name: n.config["num_attention_heads"] for name, n in found.networks.items()}


@pytest.mark.parametrize("beside", [None, '{"num_labels": 3}', "no JSON"])
def test_without_a_json_file_heads_are_assumed_and_reported(folder, beside):
    (folder / "config.json").unlink()
    if beside:
        (folder / "config.json").write_text(beside)
    found = read_google(folder)
    assert heads(found) == {"generator": 1, "discriminator": 1}
    assert found.notes[2:] == (
        "discriminator: assumed num_attention_heads 1 by the rule width / 64, as there is no JSON "
        "file (--config FILE)",
        "discriminator: assumed hidden_act gelu, as there is no JSON file (--config FILE)",
    )


def test_the_rule_yields_the_heads_of_the_released_models(tmp_path):
    sizes = random_networks.sizes(256, embedding_size=8)
    write_google(tmp_path, {"discriminator": random_networks.discriminator(sizes)})
    (tmp_path / "config.json").unlink()
    assert heads(read_google(tmp_path)) == {"discriminator": 4}


def test_a_single_bert_config_describes_the_discriminator(folder, tmp_path):
    file = tmp_path / "bert.json"
    bert = {"num_attention_heads": 8, "hidden_act": "relu", "hidden_dropout_prob": 0.3}
    file.write_text(json.dumps(bert))
    found = read_google(folder, config=file)
    assert heads(found) == {"generator": 1, "discriminator": 8}
    for network in found.networks.values():
        assert network.config["hidden_act"] == "relu"
        assert network.config["hidden_dropout_prob"] == 0.3
    assert found.notes == (
        f"generator: assumed num_attention_heads 1 by the rule width / 64, as {file} does not "
        "state it",
        "generator: its head uses gelu in Hugging Face's model and in ours, but relu in "
        "google-research's: the scores will differ",
    )


def test_a_single_bert_config_describes_the_only_transformer(tmp_path):
    write_google(tmp_path, random_networks.pair("whole"))
    (tmp_path / "config.json").write_text('{"num_attention_heads": 4, "do_lower_case": true}')
    found = read_google(tmp_path)
    assert heads(found) == {"generator": 4, "discriminator": 4}
    assert found.do_lower_case is True


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"num_attention_heads": 1, "hidden_size": 32},
            "hidden_size of the discriminator must be 16",
        ),
        (
            {"num_attention_heads": 3},
            "num_attention_heads of the discriminator must divide its width 16, was 3",
        ),
        ({"num_attention_heads": "four"}, "was 'four'"),
        (
            {"num_attention_heads": 1, "hidden_act": "mish"},
            "hidden_act of the generator must be one of gelu",
        ),
        ({"model_type": "bert"}, "must be a google-research JSON file"),
        ([], "must hold a JSON object, but holds a list"),
    ],
)
def test_a_json_file_that_does_not_fit_is_refused(folder, tmp_path, values, message):
    (tmp_path / "other.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        read_google(folder, config=tmp_path / "other.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON: maximum recursion"),
    ],
)
def test_a_json_file_that_cannot_be_read_is_refused(folder, tmp_path, content, message):
    if content:
        (tmp_path / "other.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_google(folder, config=tmp_path / "other.json")


@pytest.mark.parametrize("name", ["vocab.txt", "config.json"])
def test_links_out_of_the_folder_are_refused(folder, tmp_path, name):
    (tmp_path / "outside").write_text("{}")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match=f"{name} .*link to"):
        read_google(folder)


# === What the format cannot represent ===


def with_config(network, **changes):
    return dataclasses.replace(network, config={**network.config, **changes})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "discriminator",
            {"position_embedding_type": "relative_key"},
            "position_embedding_type of",
        ),
        ("generator", {"layer_norm_eps": 1e-5}, "layer_norm_eps of the generator must be 1e-12"),
        ("generator", {"is_decoder": True}, "is_decoder of the generator must be False"),
        ("generator", {"tie_word_embeddings": False}, "tie_word_embeddings of the generator"),
        (
            "discriminator",
            {"hidden_act": "gelu_new"},
            "hidden_act of the discriminator must be one",
        ),
        ("generator", {"hidden_act": "relu"}, "hidden_act of the generator must be one of gelu in"),
        ("generator", {"num_attention_heads": 2}, "num_attention_heads of the generator must be 1"),
        (
            "discriminator",
            {"max_position_embeddings": 13},
            "max_position_embeddings of the generator",
        ),
    ],
)
def test_unsupported_configurations_are_refused(tmp_path, name, changes, message):
    networks = random_networks.pair()
    networks[name] = with_config(networks[name], **changes)
    with pytest.raises(InputError, match=f"{message}.*--as huggingface"):
        write_google(tmp_path / "to", networks)
    assert not (tmp_path / "to").exists()


def test_tables_that_cannot_be_stored_separately_are_refused(tmp_path):
    networks = {**random_networks.pair(), "generator": random_networks.generator()}
    with pytest.raises(InputError, match=r"electra.embeddings.* must be the same in generator"):
        write_google(tmp_path, networks)


def test_an_untied_output_table_is_refused(tmp_path):
    networks = random_networks.pair()
    other = {"generator_lm_head.weight": np.zeros([32, 8], np.float32)}
    arrays = {**networks["generator"].arrays, **other}
    networks["generator"] = dataclasses.replace(networks["generator"], arrays=arrays)
    with pytest.raises(InputError, match=r"generator_lm_head.weight must equal the word table"):
        write_google(tmp_path, networks)


def test_missing_tensors_are_refused(tmp_path):
    networks = random_networks.pair()
    del networks["discriminator"].arrays[QUERY]
    with pytest.raises(InputError, match=f"the discriminator must have {QUERY}"):
        write_google(tmp_path, networks)


def test_tensors_of_another_shape_are_refused(tmp_path):
    networks = random_networks.pair()
    networks["discriminator"].arrays[QUERY] = np.zeros([16, 15], np.float32)
    with pytest.raises(
        InputError, match=r"query/kernel must be \[16, 16\] according .* was \[15, 16\]"
    ):
        write_google(tmp_path, networks)


def test_a_generator_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="google-research format requires a discriminator"):
        write_google(tmp_path, {"generator": random_networks.generator()})


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write the checkpoint"):
        write_google(tmp_path / "file" / "folder", random_networks.pair())


def test_a_full_disk_is_a_storage_error(tmp_path, monkeypatch):
    def full(**_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.raw_ops, "SaveV2", full)
    with pytest.raises(StorageError, match=r"cannot write .*No space left"):
        write_google(tmp_path, random_networks.pair())
