"""`electra convert`: from a checkpoint to folders that models load, and back; and what it says."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_nlp import data, loss_terms, models, networks
from official_nlp.cli import arguments, main, runs
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


def convert(source, to, **options) -> str:
    """Converts; returns what was printed, every run of spaces and line breaks one space."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runs.convert(source=str(source), to=str(to), **options)
    return " ".join(printed.getvalue().split())


def folders(place) -> dict:
    return {name: huggingface.read_folder(place / name) for name in CLASSES}


# === All five kinds of google's code, all the way to outputs ===


class Converted:
    """A golden checkpoint, converted."""

    def __init__(self, source, to):
        self.source, self.folder = source, to
        self.sharing, self.step, self.count, self.slots = GOLDEN[
            source.name.removeprefix("google_tf1_")
        ]
        self.text = convert(source, to)
        self.expected = np.load(source / "expected.npz")

    def case(self, name) -> tuple[dict, dict]:
        """Inputs and outputs of google's code."""
        parts = {"in": {}, "out": {}}
        for key in self.expected.files:
            case, part, what = key.split("__")
            if case == name:
                parts[part][what] = self.expected[key]
        return parts["in"], parts["out"]


@pytest.fixture(scope="module", params=GOLDEN)
def converted(request, golden, tmp_path_factory):
    source = golden(f"google_tf1_{request.param}")
    return Converted(source, tmp_path_factory.mktemp("converted") / request.param)


@pytest.fixture(scope="module")
def generator(converted):
    return models.ElectraForMaskedLM.from_pretrained(converted.folder / "generator", strict=True)


@pytest.fixture(scope="module")
def discriminator(converted):
    folder = converted.folder / "discriminator"
    return models.ElectraForPreTraining.from_pretrained(folder, strict=True)


@pytest.fixture(scope="module")
def pretrainer(converted):
    """Both in one model, tied as google's were."""
    found = folders(converted.folder)
    configs = [networks.ElectraConfig.from_dict(found[name].config) for name in CLASSES]
    model = models.ElectraPretrainer.from_config_pair(
        *configs, sharing=converted.sharing, average_duplicates=True
    )
    for name, folder in found.items():
        for tensor in pretrainer_tensors.of(model, name):
            tensor.assign_hugging_face(folder.state[tensor.name])
    return model


@pytest.fixture(params=["full", "padded"])
def case(request, converted):
    return converted.case(request.param)


def assert_near(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def assert_insides(outputs, expected, prefix):
    """The encoder's states and probabilities are google's, at padding too."""
    first, *others = outputs["hidden_states"]
    assert_near(first, expected[f"{prefix}_embedding_output"])
    assert_near(others, expected[f"{prefix}_all_layers"])
    assert_near(others[-1], expected[f"{prefix}_sequence_output"])
    assert_near(others[-1][:, 0], expected[f"{prefix}_pooled_output"])
    # The probabilities of padding are 0 in both: google's code takes 10000 from its scores, which
    # leaves nothing of them in float32; ours puts the lowest number in their place.
    assert_near(outputs["attentions"], expected[f"{prefix}_attention"])


def arguments_of(inputs, ids) -> dict:
    return {
        "input_ids": ids,
        "attention_mask": inputs["input_mask"],
        "token_type_ids": inputs["segment_ids"],
        "output_hidden_states": True,
        "output_attentions": True,
    }


def test_the_generator_computes_what_googles_did(generator, case):
    inputs, expected = case
    outputs = generator(**arguments_of(inputs, expected["masked_input_ids"]))
    assert_insides(outputs, expected, "gen")
    positions = expected["masked_lm_positions"]
    logits = np.take_along_axis(outputs["logits"].numpy(), positions[..., np.newaxis], axis=1)
    assert_near(logits, expected["mlm_logits"], 2e-5)
    np.testing.assert_array_equal(logits.argmax(-1), expected["mlm_preds"])
    labels = tf.constant(expected["masked_lm_ids"])
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert_near(each, expected["mlm_per_position_loss"], 2e-5)


def test_the_discriminator_computes_what_googles_did(discriminator, case):
    inputs, expected = case
    outputs = discriminator(
        **arguments_of(inputs, expected["updated_input_ids"]), labels=expected["is_fake_tokens"]
    )
    assert_insides(outputs, expected, "disc")
    assert_near(outputs["logits"], expected["disc_logits"], 2e-5)
    assert_near(tf.sigmoid(outputs["logits"]), expected["disc_probs"])
    assert_near(outputs["loss"], expected["disc_loss"])


def test_both_in_one_model_have_googles_losses(pretrainer, case):
    given, expected = case
    names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
    inputs = {
        "input_word_ids": expected["masked_input_ids"],
        "input_mask": given["input_mask"],
        "input_type_ids": given["segment_ids"],
        **{name: expected[name] for name in names},
    }
    generated = pretrainer.generate(inputs)
    assert_near(generated["lm_outputs"], expected["mlm_logits"], 2e-5)
    corrupted = pretrainer.corrupt(inputs, None, expected["sampled_tokids"])
    np.testing.assert_array_equal(corrupted["input_word_ids"], expected["updated_input_ids"])
    np.testing.assert_array_equal(corrupted["disc_label"], expected["is_fake_tokens"])
    logits = pretrainer.discriminate(
        corrupted["input_word_ids"], given["input_mask"], given["segment_ids"]
    )
    assert_near(logits, expected["disc_logits"], 2e-5)
    terms = losses.electra_loss(inputs, {**generated, **corrupted, "disc_logits": logits})
    for term, name in (("mlm", "mlm_loss"), ("rtd", "disc_loss")):
        loss_sum, weight = terms[term]
        assert_near(loss_sum / weight, expected[name], 2e-5)
    total = loss_terms.weighted_total(terms, {"mlm": 1.0, "rtd": 50.0})
    np.testing.assert_allclose(total, expected["total_loss"], rtol=1e-6)


def test_each_kind_is_reported(converted):
    shown = converted.text
    assert f"google's checkpoint, step {converted.step:,}; {converted.count} variables, " in shown
    assert f"heads and activation: {converted.source / 'config.json'}" in shown
    assert sources.SHARING[converted.sharing] in shown
    assert ("left out, state of the optimizer: 196 (" in shown) == bool(converted.slots)
    assert "left out, the step: 1 (global_step)" in shown
    assert "do_lower_case is True, for no token has a capital and no JSON says" in shown
    for name, folder in folders(converted.folder).items():
        count = sum(value.size for value in folder.state.values())
        assert f"{name}: {CLASSES[name]}, {len(folder.state)} tensors, {count:,} param" in shown
        assert f"heads: {folder.config['num_attention_heads']}; gelu" in shown


def test_each_folder_has_the_tokenizer(converted):
    words = (converted.source / "vocab.txt").read_text().splitlines()
    for name in CLASSES:
        tokenizer = data.ElectraTokenizer.from_pretrained(converted.folder / name)
        assert tokenizer.vocab == words
        assert tokenizer.do_lower_case is True


def test_each_kind_goes_back_to_the_bit(converted, tmp_path):
    shown = convert(converted.folder, tmp_path / "back", form="google")
    assert f"model.ckpt-0: {converted.count} variables, " in shown
    before, after = variables(converted.source), variables(tmp_path / "back")
    of_networks = {name for name in before if "/adam_" not in name and name != "global_step"}
    assert after.pop("global_step") == 0
    assert_same(after, {name: before[name] for name in of_networks})
    for name in ("vocab.txt",):
        wanted = (converted.source / name).read_bytes()
        assert (tmp_path / "back" / name).read_bytes() == wanted
    again = convert(tmp_path / "back", tmp_path / "again")
    assert "by the rule" not in again
    for name, folder in folders(tmp_path / "again").items():
        assert_same(folder.state, huggingface.read_folder(converted.folder / name).state)


# === Folders of Hugging Face ===


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
def test_a_folder_becomes_one_file_of_safetensors(golden, tmp_path, name):
    source = golden(name)
    shown = convert(source, tmp_path / "to")
    before, after = huggingface.read_folder(source), huggingface.read_folder(tmp_path / "to")
    assert after.file == "model.safetensors"
    assert after.dtype == before.dtype
    assert_same(after.state, before.state)
    assert {**after.config, **before.config} == after.config
    assert f"Hugging Face's folder: {before.file}, {before.dtype}" in shown
    assert f"model: {before.config['architectures'][0]}, {len(before.state)} tensors" in shown
    companions = {file.name for file in (tmp_path / "to").iterdir()}
    assert companions == {"config.json", "model.safetensors"} | {
        file.name
        for file in source.iterdir()
        if file.suffix in (".json", ".txt") and "safetensors" not in file.name
    }
    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "to" / file).read_bytes() == (source / file).read_bytes()


# === Small ones of random numbers ===


@pytest.fixture
def checkpoint(tmp_path):
    """google's checkpoint of a pair with common tables, with a vocabulary."""
    write_google(tmp_path / "google", random_networks.pair(), step=9)
    return with_words(tmp_path / "google")


def with_words(folder, words=WORDS):
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    return folder


@pytest.fixture
def pair(checkpoint, tmp_path):
    """The same, as folders of Hugging Face's."""
    convert(checkpoint, tmp_path / "pair")
    return tmp_path / "pair"


def test_a_pair_stays_a_pair(pair, tmp_path):
    shown = convert(pair, tmp_path / "to")
    assert "Hugging Face's folders: model.safetensors, float32; model.safetensors" in shown
    for name, folder in folders(pair).items():
        assert_same(folder.state, huggingface.read_folder(tmp_path / "to" / name).state)
        assert (tmp_path / "to" / name / "vocab.txt").is_file()


def test_half_a_pair_stays_in_its_place(pair, tmp_path):
    shutil.rmtree(pair / "generator")
    convert(pair, tmp_path / "to")
    assert [file.name for file in (tmp_path / "to").iterdir()] == ["discriminator"]


def test_a_discriminator_becomes_googles(pair, tmp_path):
    shown = convert(pair / "discriminator", tmp_path / "to", form="google")
    assert "one network" in shown
    assert not any(name.startswith("generator") for name in variables(tmp_path / "to"))
    assert (tmp_path / "to" / "vocab.txt").read_text().split() == WORDS


def test_a_generator_alone_does_not_become_googles(pair, tmp_path):
    with pytest.raises(InputError, match="google's format needs a discriminator"):
        convert(pair / "generator", tmp_path / "to", form="google")
    assert not (tmp_path / "to").exists()


def test_googles_becomes_googles_without_the_rest(checkpoint, tmp_path):
    shown = convert(checkpoint / "model.ckpt-9.index", tmp_path / "to", form="google")
    before = variables(checkpoint)
    count = len(before) - 1  # without the step
    assert f"model.ckpt-9: {count} variables, one set of tables serves both networks" in shown
    assert_same(variables(tmp_path / "to"), before)


def test_what_has_no_place_in_googles_format_is_told(pair, tmp_path):
    found = huggingface.read_folder(pair / "discriminator")
    state = {**found.state, "classifier.bias": np.zeros(3, np.float32)}
    huggingface.write_folder(pair / "discriminator", json.dumps(found.config), state)
    shown = convert(pair, tmp_path / "to", form="google")
    assert "left out, no part of google's format: discriminator: classifier.bias" in shown


def test_a_configuration_that_leaves_out_what_is_usual_is_completed(tmp_path, checkpoint):
    convert(checkpoint, tmp_path / "pair")
    for name in CLASSES:
        file = tmp_path / "pair" / name / "config.json"
        config = json.loads(file.read_text())
        kept = {key: config[key] for key in config if key not in ("hidden_act", "type_vocab_size")}
        file.write_text(json.dumps(kept))
    shown = convert(tmp_path / "pair", tmp_path / "to", form="google")
    assert "gelu" in shown
    assert_same(
        {**variables(tmp_path / "to"), "global_step": 0},
        {**variables(checkpoint), "global_step": 0},
    )


# === The tokenizer beside a checkpoint ===


def tokenizer_of(folder):
    return data.ElectraTokenizer.from_pretrained(folder / "discriminator")


def test_capitals_in_the_vocabulary_make_a_cased_tokenizer(checkpoint, tmp_path):
    with_words(checkpoint, [*WORDS[:-1], "Word"])
    assert "do_lower_case is False, for tokens have capitals" in convert(
        checkpoint, tmp_path / "to"
    )
    assert tokenizer_of(tmp_path / "to").do_lower_case is False


def test_what_googles_json_says_of_case_goes_before(checkpoint, tmp_path):
    file = checkpoint / "config.json"
    said = json.loads(file.read_text())
    said["pretraining_config"]["do_lower_case"] = False
    file.write_text(json.dumps(said))
    assert "do_lower_case" not in convert(checkpoint, tmp_path / "to")
    assert tokenizer_of(tmp_path / "to").do_lower_case is False


def test_the_padding_is_the_vocabularys(checkpoint, tmp_path):
    with_words(checkpoint, [*SPECIAL[1:], "[PAD]", *WORDS[5:]])
    convert(checkpoint, tmp_path / "to")
    for folder in folders(tmp_path / "to").values():
        assert folder.config["pad_token_id"] == 4


def test_without_vocabulary_there_is_no_tokenizer_and_that_is_told(checkpoint, tmp_path):
    (checkpoint / "vocab.txt").unlink()
    assert "no vocab.txt beside it: the folders have no tok" in convert(checkpoint, tmp_path / "a")
    assert not (tmp_path / "a" / "generator" / "vocab.txt").exists()
    shown = convert(tmp_path / "a", tmp_path / "b", form="google")
    assert "no vocab.txt is written" in shown


def test_rows_without_a_token_are_told(checkpoint, tmp_path):
    with_words(checkpoint, WORDS[:-2])
    assert "30 tokens for 32 rows, of which the last are unused" in convert(
        checkpoint, tmp_path / "to"
    )


# === What is refused ===


def test_a_vocabulary_with_more_tokens_than_rows_is_refused(checkpoint, tmp_path):
    with_words(checkpoint, [*WORDS, "more"])
    with pytest.raises(InputError, match="for each of the 32 rows of the word table, had 33"):
        convert(checkpoint, tmp_path / "to")


def test_a_vocabulary_cut_off_is_refused(tmp_path):
    large = random_networks.sizes(16, vocab_size=300)
    write_google(tmp_path / "google", {"discriminator": random_networks.discriminator(large)})
    with pytest.raises(InputError, match="for each of the 300 rows of the word table, had 32"):
        convert(with_words(tmp_path / "google"), tmp_path / "to")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": "{nowhere}"}, "must be a checkpoint .* it is not there"),
        ({"source": "{empty}"}, "must be a checkpoint .* it holds none of these"),
        ({"source": "{words}"}, "vocab.txt must be a checkpoint.* is another file"),
        ({"source": "{both}"}, "say which is meant with --from"),
        ({"source": "{pair}", "config": "{json}"}, "--config is for a checkpoint of google's"),
        ({"kind": "bert"}, "--from must be one of google, huggingface, tfnlp, run, was 'bert'"),
        ({"form": "bert"}, "--as must be one of huggingface, google, was 'bert'"),
        ({"kind": "huggingface"}, "is google-research.s, .* `electra convert"),
        ({"source": "{pair}", "kind": "google"}, "holds no checkpoint"),
        ({"to": "{pair}"}, "is not empty, and is not overwritten"),
        ({"to": "{words}"}, "is a file, but must be a folder"),
        ({"source": "{objects}"}, "must be a checkpoint of Model Garden's ElectraPretrainer"),
        ({"source": "{objects}", "kind": "google"}, "is a checkpoint of TensorFlow 2"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    checkpoint, pair, tmp_path, options, says
):
    shutil.copytree(checkpoint, tmp_path / "both")
    for file in (pair / "discriminator").iterdir():
        shutil.copy(file, tmp_path / "both" / file.name)
    (tmp_path / "empty").mkdir()
    objects = tf.train.Checkpoint(a=tf.Variable(1.0)).write(str(tmp_path / "objects" / "ckpt"))
    names = {
        "nowhere": tmp_path / "nowhere",
        "empty": tmp_path / "empty",
        "words": checkpoint / "vocab.txt",
        "both": tmp_path / "both",
        "json": checkpoint / "config.json",
        "pair": pair,
        "objects": objects,
    }
    before = sorted(tmp_path.rglob("*"))
    given = {"source": str(checkpoint), "to": str(tmp_path / "to"), **options}
    with pytest.raises(InputError, match=says):
        convert(**{name: value.format(**names) for name, value in given.items()})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["vocab.txt", "generation_config.json"])
def test_what_lies_outside_of_the_source_is_not_copied(tmp_path, pair, name):
    (tmp_path / "secret").write_text("{}")
    (pair / "generator" / name).unlink(missing_ok=True)
    (pair / "generator" / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=f"{name} must lie in its folder, but is a link to"):
        convert(pair, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_what_is_written_halfway_is_not_there(checkpoint, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data.ElectraTokenizer, "save_pretrained", broken)
    with pytest.raises(InputError, match="cannot write"):
        convert(checkpoint, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_the_command_says_what_is_wrong_in_one_line(checkpoint, tmp_path, capsys):
    words = ["convert", str(checkpoint), "--to", str(tmp_path / "to")]
    assert main.main(words) == main.DONE
    assert capsys.readouterr().out.rstrip().endswith(f"wrote {tmp_path / 'to'}")
    assert main.main(words) == main.USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"electra: error: {tmp_path / 'to'} is not empty")
    assert error.count("\n") == 1


def test_the_command_offers_what_there_is(capsys):
    for option, known in (("--from", sources.KINDS), ("--as", convert_module.FORMS)):
        with pytest.raises(InputError) as error:
            arguments.parse("convert", ["a", "--to", "b", option, "bert"])
        assert f"argument {option}: invalid choice: 'bert'" in str(error.value)
        assert all(name in str(error.value) for name in known)
