"""Conversion of checkpoints to folders that models load, and back."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import data, loss_terms, models, networks
from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.interchange import convert as convert_module
from official_nlp.interchange import huggingface, sources
from official_nlp.interchange.google import write_google
from official_nlp.modeling import losses
from official_nlp.modeling.models import pretrainer_tensors
from tests.interchange import random_networks
from tests.interchange.google_test import GOLDEN
from tests.interchange.named_variables import assert_same, variables

CLASSES = {"generator": "ElectraForMaskedLM", "discriminator": "ElectraForPreTraining"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, *(f"word{i}" for i in range(27))]


def convert(source, to, kind=None, form="huggingface", config=None) -> str:
    """Convert; return title and notes of the source and of what was written."""
    found = sources.open(source, kind, config)
    written = convert_module.write(found, to, form)
    return "\n".join([found.title, *found.notes, *written])


def folders(path) -> dict:
    return {name: huggingface.read_folder(path / name) for name in CLASSES}


# === All five kinds of google-research checkpoints, up to their outputs ===


class Converted:
    """A golden checkpoint, converted."""

    def __init__(self, path, to):
        self.path, self.folder = path, to
        self.sharing, self.step, self.count, self.slots = GOLDEN[
            path.name.removeprefix("google_tf1_")
        ]
        self.source = sources.open(path)
        convert_module.write(self.source, to, "huggingface")
        self.expected = np.load(path / "expected.npz")

    def case(self, name) -> tuple[dict, dict]:
        """Return inputs and outputs of google-research's code."""
        parts = {"in": {}, "out": {}}
        for key in self.expected.files:
            case, part, what = key.split("__")
            if case == name:
                parts[part][what] = self.expected[key]
        return parts["in"], parts["out"]


@pytest.fixture(scope="module", params=GOLDEN)
def converted(request, golden, tmp_path_factory):
    path = golden(f"google_tf1_{request.param}")
    return Converted(path, tmp_path_factory.mktemp("converted") / request.param)


@pytest.fixture(scope="module")
def generator(converted):
    return models.ElectraForMaskedLM.from_pretrained(converted.folder / "generator", strict=True)


@pytest.fixture(scope="module")
def discriminator(converted):
    folder = converted.folder / "discriminator"
    return models.ElectraForPreTraining.from_pretrained(folder, strict=True)


@pytest.fixture(scope="module")
def pretrainer(converted):
    """Return both networks as one model, tied as in the checkpoint."""
    found = folders(converted.folder)
    configs = [networks.ElectraConfig.from_dict(found[name].config) for name in CLASSES]
    model = models.ElectraPretrainer.from_config_pair(
        *configs, sharing=converted.sharing, average_duplicates=True
    )
    for name, folder in found.items():
        for tensor in pretrainer_tensors.of(model, name):
            tensor.assign_hugging_face(folder.arrays[tensor.name])
    return model


@pytest.fixture(params=["full", "padded"])
def case(request, converted):
    return converted.case(request.param)


def assert_near(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def assert_same_encoder(outputs, expected, prefix):
    """Assert that hidden states and attention equal google-research's, at padding too."""
    first, *others = outputs["hidden_states"]
    assert_near(first, expected[f"{prefix}_embedding_output"])
    assert_near(others, expected[f"{prefix}_all_layers"])
    assert_near(others[-1], expected[f"{prefix}_sequence_output"])
    assert_near(others[-1][:, 0], expected[f"{prefix}_pooled_output"])
    # The probabilities of padding are 0 in both, by different means: google-research subtracts
    # 10000 from the scores, which rounds them away in float32; we use the lowest number.
    assert_near(outputs["attentions"], expected[f"{prefix}_attention"])


def arguments_of(inputs, ids) -> dict:
    return {
        "input_ids": ids,
        "attention_mask": inputs["input_mask"],
        "token_type_ids": inputs["segment_ids"],
        "output_hidden_states": True,
        "output_attentions": True,
    }


def test_the_generator_computes_what_it_did_before(generator, case):
    inputs, expected = case
    outputs = generator(**arguments_of(inputs, expected["masked_input_ids"]))
    assert_same_encoder(outputs, expected, "gen")
    positions = expected["masked_lm_positions"]
    logits = np.take_along_axis(outputs["logits"].numpy(), positions[..., np.newaxis], axis=1)
    assert_near(logits, expected["mlm_logits"], 2e-5)
    np.testing.assert_array_equal(logits.argmax(-1), expected["mlm_preds"])
    labels = tf.constant(expected["masked_lm_ids"])
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert_near(each, expected["mlm_per_position_loss"], 2e-5)


def test_the_discriminator_computes_what_it_did_before(discriminator, case):
    inputs, expected = case
    outputs = discriminator(
        **arguments_of(inputs, expected["updated_input_ids"]), labels=expected["is_fake_tokens"]
    )
    assert_same_encoder(outputs, expected, "disc")
    assert_near(outputs["logits"], expected["disc_logits"], 2e-5)
    assert_near(tf.sigmoid(outputs["logits"]), expected["disc_probs"])
    assert_near(outputs["loss"], expected["disc_loss"])


def test_both_networks_in_one_model_have_the_same_losses(pretrainer, case):
    features, expected = case
    names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
    inputs = {
        "input_word_ids": expected["masked_input_ids"],
        "input_mask": features["input_mask"],
        "input_type_ids": features["segment_ids"],
        **{name: expected[name] for name in names},
    }
    generated = pretrainer.generate(inputs)
    assert_near(generated["lm_outputs"], expected["mlm_logits"], 2e-5)
    corrupted = pretrainer.corrupt(inputs, None, expected["sampled_tokids"])
    np.testing.assert_array_equal(corrupted["input_word_ids"], expected["updated_input_ids"])
    np.testing.assert_array_equal(corrupted["disc_label"], expected["is_fake_tokens"])
    logits = pretrainer.discriminate(
        corrupted["input_word_ids"], features["input_mask"], features["segment_ids"]
    )
    assert_near(logits, expected["disc_logits"], 2e-5)
    terms = losses.electra_loss(inputs, {**generated, **corrupted, "disc_logits": logits})
    for term, name in (("mlm", "mlm_loss"), ("rtd", "disc_loss")):
        loss_sum, weight = terms[term]
        assert_near(loss_sum / weight, expected[name], 2e-5)
    total = loss_terms.weighted_total(terms, {"mlm": 1.0, "rtd": 50.0})
    np.testing.assert_allclose(total, expected["total_loss"], rtol=1e-6)


def test_each_kind_is_described(converted):
    source = converted.source
    title = f"google-research checkpoint, step {converted.step:,}; {converted.count} variables, "
    assert source.title == title + sources.SHARING[converted.sharing]
    assert f"heads and activation: {converted.path / 'config.json'}" in source.notes
    assert "tokenizer: assumed do_lower_case True, as no token has capitals" in source.notes
    assert len(source.dropped.get("state of the optimizer", ())) == converted.slots
    assert source.dropped["the step"] == ("global_step",)
    for name, folder in folders(converted.folder).items():
        assert_same(source.networks[name].arrays, folder.arrays)
        assert source.networks[name].parameters == sum(x.size for x in folder.arrays.values())


def test_each_folder_has_the_tokenizer(converted):
    words = (converted.path / "vocab.txt").read_text().splitlines()
    for name in CLASSES:
        tokenizer = data.ElectraTokenizer.from_pretrained(converted.folder / name)
        assert tokenizer.vocab == words
        assert tokenizer.do_lower_case is True


def test_each_kind_is_converted_back_exactly(converted, tmp_path):
    notes = convert(converted.folder, tmp_path / "back", form="google")
    assert f"model.ckpt-0: {converted.count} variables, " in notes
    before, after = variables(converted.path), variables(tmp_path / "back")
    of_networks = {name for name in before if "/adam_" not in name and name != "global_step"}
    assert after.pop("global_step") == 0
    assert_same(after, {name: before[name] for name in of_networks})
    words = (converted.path / "vocab.txt").read_bytes()
    assert (tmp_path / "back/vocab.txt").read_bytes() == words
    assert "by the rule" not in convert(tmp_path / "back", tmp_path / "again")
    for name, folder in folders(tmp_path / "again").items():
        assert_same(folder.arrays, huggingface.read_folder(converted.folder / name).arrays)


# === Hugging Face folders ===


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"hf_tf_h5_{kind}"
            for kind in (
                "masked_lm",
                "model_base",
                "multiple_choice",
                "pretraining",
                "question_answering",
                "sequence_classification",
                "token_classification",
            )
        ),
        "hf_tiny_causal_lm",
        "hf_tiny_fp16_stored_pretraining",
        "hf_tiny_masked_lm_untied",
        "hf_tiny_sharded_pretraining",
    ],
)
def test_a_folder_is_converted_to_one_safetensors_file(golden, tmp_path, name):
    path = golden(name)
    notes = convert(path, tmp_path / "to")
    before, after = huggingface.read_folder(path), huggingface.read_folder(tmp_path / "to")
    assert after.file == "model.safetensors"
    assert after.dtype == before.dtype
    assert_same(after.arrays, before.arrays)
    assert {**after.config, **before.config} == after.config
    assert f"Hugging Face folder: {before.file}, {before.dtype}" in notes
    assert {file.name for file in (tmp_path / "to").iterdir()} == {
        "config.json",
        "model.safetensors",
        *(
            file.name
            for file in path.iterdir()
            if file.suffix in (".json", ".txt") and "safetensors" not in file.name
        ),
    }
    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "to" / file).read_bytes() == (path / file).read_bytes()


# === Small networks of random numbers ===


@pytest.fixture
def checkpoint(tmp_path):
    """A google-research checkpoint of a pair with common tables, with a vocabulary."""
    write_google(tmp_path / "google", random_networks.pair(), step=9)
    return with_words(tmp_path / "google")


def with_words(folder, words=WORDS):
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    return folder


@pytest.fixture
def pair(checkpoint, tmp_path):
    """The same networks as Hugging Face folders."""
    convert(checkpoint, tmp_path / "pair")
    return tmp_path / "pair"


def test_a_pair_is_converted_to_a_pair(pair, tmp_path):
    notes = convert(pair, tmp_path / "to")
    assert "Hugging Face folders: model.safetensors, float32; model.safetensors" in notes
    for name, folder in folders(pair).items():
        assert_same(folder.arrays, huggingface.read_folder(tmp_path / "to" / name).arrays)
        assert (tmp_path / "to" / name / "vocab.txt").is_file()


def test_one_network_of_a_pair_stays_in_its_folder(pair, tmp_path):
    shutil.rmtree(pair / "generator")
    convert(pair, tmp_path / "to")
    assert [file.name for file in (tmp_path / "to").iterdir()] == ["discriminator"]


def test_a_discriminator_alone_is_written_as_a_checkpoint(pair, tmp_path):
    assert "one network" in convert(pair / "discriminator", tmp_path / "to", form="google")
    assert not any(name.startswith("generator") for name in variables(tmp_path / "to"))
    assert (tmp_path / "to" / "vocab.txt").read_text().split() == WORDS


def test_a_generator_alone_is_not_written_as_a_checkpoint(pair, tmp_path):
    with pytest.raises(InputError, match="google-research format requires a discriminator"):
        convert(pair / "generator", tmp_path / "to", form="google")
    assert not (tmp_path / "to").exists()


def test_a_checkpoint_is_written_again_without_other_variables(checkpoint, tmp_path):
    notes = convert(checkpoint / "model.ckpt-9.index", tmp_path / "to", form="google")
    before = variables(checkpoint)
    count = len(before) - 1  # without the step
    assert f"model.ckpt-9: {count} variables, both networks share one set of tables" in notes
    assert_same(variables(tmp_path / "to"), before)


def test_tensors_without_a_counterpart_are_reported(pair, tmp_path):
    found = huggingface.read_folder(pair / "discriminator")
    arrays = {**found.arrays, "classifier.bias": np.zeros(2, np.float32)}
    huggingface.write_folder(pair / "discriminator", json.dumps(found.config), arrays)
    notes = convert(pair, tmp_path / "to", form="google")
    line = "left out, not part of the google-research format: discriminator: classifier.bias"
    assert line in notes


def test_a_configuration_that_omits_defaults_is_completed(tmp_path, checkpoint):
    convert(checkpoint, tmp_path / "pair")
    for name in CLASSES:
        file = tmp_path / "pair" / name / "config.json"
        config = json.loads(file.read_text())
        shorter = {
            key: config[key] for key in config if key not in ("hidden_act", "type_vocab_size")
        }
        file.write_text(json.dumps(shorter))
    convert(tmp_path / "pair", tmp_path / "to", form="google")
    assert_same(
        {**variables(tmp_path / "to"), "global_step": 0},
        {**variables(checkpoint), "global_step": 0},
    )
    written = json.loads((tmp_path / "to/config.json").read_text())
    assert written["discriminator_bert_config"]["hidden_act"] == "gelu"


# === The tokenizer beside a checkpoint ===


def tokenizer_of(folder):
    return data.ElectraTokenizer.from_pretrained(folder / "discriminator")


def test_capitals_in_the_vocabulary_indicate_a_cased_tokenizer(checkpoint, tmp_path):
    with_words(checkpoint, [*WORDS[:-1], "Word"])
    notes = convert(checkpoint, tmp_path / "to")
    assert "assumed do_lower_case False, as some tokens have capitals" in notes
    assert tokenizer_of(tmp_path / "to").do_lower_case is False


def test_the_casing_in_the_json_file_takes_precedence(checkpoint, tmp_path):
    file = checkpoint / "config.json"
    values = json.loads(file.read_text())
    values["pretraining_config"]["do_lower_case"] = False
    file.write_text(json.dumps(values))
    assert "do_lower_case" not in convert(checkpoint, tmp_path / "to")
    assert tokenizer_of(tmp_path / "to").do_lower_case is False


def test_the_padding_id_comes_from_the_vocabulary(checkpoint, tmp_path):
    with_words(checkpoint, [*SPECIAL[1:], "[PAD]", *WORDS[5:]])
    convert(checkpoint, tmp_path / "to")
    for folder in folders(tmp_path / "to").values():
        assert folder.config["pad_token_id"] == 4


def test_a_missing_vocabulary_is_reported(checkpoint, tmp_path):
    (checkpoint / "vocab.txt").unlink()
    notes = convert(checkpoint, tmp_path / "a")
    assert "no vocab.txt beside it: the folders will have no tokenizer" in notes
    assert not (tmp_path / "a" / "generator" / "vocab.txt").exists()
    assert "no vocab.txt was written" in convert(tmp_path / "a", tmp_path / "b", form="google")


def test_unused_rows_of_the_word_table_are_reported(checkpoint, tmp_path):
    with_words(checkpoint, WORDS[:-2])
    notes = convert(checkpoint, tmp_path / "to")
    assert "30 tokens for 32 rows of the word table: the last 2 rows are unused" in notes


def test_a_folder_with_tokenizer_json_alone_has_a_tokenizer(golden, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(golden("hf_tf_h5_masked_lm"), folder)
    expected = sources.open(folder).load_tokenizer().vocab_hash
    (folder / "vocab.txt").unlink()
    assert sources.open(folder).load_tokenizer().vocab_hash == expected


# === What is refused ===


def test_a_vocabulary_with_more_tokens_than_rows_is_refused(checkpoint, tmp_path):
    with_words(checkpoint, [*WORDS, "more"])
    with pytest.raises(InputError, match=r"more tokens than the 32 rows .* has 33"):
        convert(checkpoint, tmp_path / "to")


def test_a_vocabulary_much_shorter_than_the_table_is_reported(tmp_path):
    large = random_networks.sizes(16, vocab_size=300)
    write_google(tmp_path / "google", {"discriminator": random_networks.discriminator(large)})
    notes = convert(with_words(tmp_path / "google"), tmp_path / "to")
    assert "32 tokens for 300 rows of the word table: the last 268 rows are unused" in notes


def edit(folder, change=dict, **fields):
    """Change fields of the configuration of a folder, and apply a function to its tensors."""
    found = huggingface.read_folder(folder)
    huggingface.write_folder(folder, json.dumps(found.config | fields), change(found.arrays))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden_layers": 3}, "num_hidden_layers: 2 in the file, 3 in the model"),
        ({"vocab_size": 35}, r"word_embeddings.weight: \[32, 8\] in the file, \[35, 8\]"),
        ({"hidden_act": "x"}, "pair generator: hidden_act must be one of"),
    ],
)
def test_a_folder_that_no_model_loads_is_not_converted(pair, tmp_path, fields, message):
    edit(pair / "generator", **fields)
    with pytest.raises(InputError, match=message):
        convert(pair, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_bias_of_another_size_is_not_converted(pair, tmp_path):
    name = "generator_lm_head.bias"
    edit(pair / "generator", lambda arrays: arrays | {name: arrays[name][1:]})
    with pytest.raises(InputError, match=f"{name}: .* in the file"):
        convert(pair, tmp_path / "to")


def test_tensors_that_the_configuration_does_not_declare_are_reported(pair, tmp_path):
    edit(pair / "generator", num_hidden_layers=1)
    assert "generator has 16 tensors that its configuration" in convert(pair, tmp_path / "to")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"source": "{absent}"},
            "must be a run folder .* it does not exist; nothing is downloaded: .* `hf download",
        ),
        ({"source": "{empty}"}, "must be a run folder .* it holds none of these"),
        ({"source": "{words}"}, "vocab.txt must be a checkpoint.* is another file"),
        ({"source": "{both}"}, "choose one with --from"),
        ({"source": "{pair}", "config": "{json}"}, "--config applies to google-research checkp"),
        ({"kind": "bert"}, "--from must be one of google, huggingface, tfnlp, run, was 'bert'"),
        ({"form": "bert"}, "--as must be one of huggingface, google, was 'bert'"),
        ({"kind": "huggingface"}, "belongs to a google-research checkpoint; .*`electra convert"),
        ({"source": "{pair}", "kind": "google"}, "holds no checkpoint"),
        ({"to": "{pair}"}, "is not empty"),
        ({"to": "{words}"}, "is a file"),
        ({"source": "{objects}"}, "must be a checkpoint of Model Garden's ElectraPretrainer"),
        ({"source": "{objects}", "kind": "google"}, "is a checkpoint of TensorFlow 2"),
    ],
)
def test_errors_are_raised_before_anything_is_written(checkpoint, pair, tmp_path, options, message):
    shutil.copytree(checkpoint, tmp_path / "both")
    for file in (pair / "discriminator").iterdir():
        shutil.copy(file, tmp_path / "both" / file.name)
    (tmp_path / "empty").mkdir()
    objects = tf.train.Checkpoint(a=tf.Variable(1.0)).write(str(tmp_path / "objects" / "ckpt"))
    names = {
        "absent": tmp_path / "absent",
        "empty": tmp_path / "empty",
        "words": checkpoint / "vocab.txt",
        "both": tmp_path / "both",
        "json": checkpoint / "config.json",
        "pair": pair,
        "objects": objects,
    }
    before = sorted(tmp_path.rglob("*"))
    arguments = {"source": str(checkpoint), "to": str(tmp_path / "to"), **options}
    with pytest.raises(InputError, match=message):
        convert(**{name: value.format(**names) for name, value in arguments.items()})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["vocab.txt", "generation_config.json"])
def test_files_outside_the_source_are_not_copied(tmp_path, pair, name):
    (tmp_path / "secret").write_text("{}")
    (pair / "generator" / name).unlink(missing_ok=True)
    (pair / "generator" / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=f"{name} .*link to"):
        convert(pair, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_folder_that_cannot_be_completed_does_not_appear(checkpoint, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data.ElectraTokenizer, "save_pretrained", broken)
    with pytest.raises(ValueError, match="could not be written"):
        convert(checkpoint, tmp_path / "to")
    assert not (tmp_path / "to").exists()


# === The command ===


def test_the_command_converts_and_reports_errors_in_one_line(checkpoint, tmp_path, capsys):
    words = ["convert", str(checkpoint), "--to", str(tmp_path / "to")]
    assert main.main(words) == main.DONE
    assert capsys.readouterr().out.rstrip().endswith(f"{tmp_path / 'to'}")
    assert folders(tmp_path / "to").keys() == CLASSES.keys()
    assert main.main(words) == main.USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"electra: error: {tmp_path / 'to'} is not empty")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "choices"), [("--from", sources.KINDS), ("--as", convert_module.FORMS)]
)
def test_the_command_lists_the_formats(option, choices, capsys):
    assert main.main(["convert", "a", "--to", "b", option, "bert"]) == main.USAGE
    error = capsys.readouterr().err
    assert f"argument {option}: invalid choice: 'bert'" in error
    assert all(name in error for name in choices)
