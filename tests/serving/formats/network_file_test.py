"""Networks as files: what is written, that it was run, and what an export that fails leaves."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.inference.predictor import Predictor
from official_nlp.modeling import models
from official_nlp.serving import clean_process, heads
from official_nlp.serving.export_model import export
from official_nlp.serving.formats.onnx import OnnxWriter
from tests.inference.conftest import LABELS, MODELS, build, config
from tests.inference.predictor_test import OPTIONS, TABLE, assert_close
from tests.serving.conftest import FILES
from tests.serving.export_model_test import TEXTS, written

# === What is written ===


@pytest.mark.parametrize("name", FILES)
def test_an_export_is_a_file_and_what_describes_it(files, name):
    folder = files / name
    assert written(folder) == ["1"]
    assert written(folder / "1") == sorted(["assets.extra", FILES[name]])
    assert "vocab.txt" in written(folder / "1" / exported_files.TOKENIZER)
    described = exported_files.Description.read(folder / "1")
    assert (described.format, described.head) == (name, "SequenceClassifier")
    assert described.networks[""]["file"] == FILES[name]
    assert described.measured["differences"]["token_ids"]["logits"] < 1e-4


@pytest.mark.parametrize("name", FILES)
def test_the_command_and_info_print_inputs_and_outputs(files, name, capsys):
    printed = (files / f"{name}.txt").read_text()
    assert f"a process with {PACKAGES[name]} and numpy alone ran it" in printed
    assert main.main(["info", str(files / name)]) == main.DONE
    for text in (printed, capsys.readouterr().out):
        for line in (
            f"exported model, version 1, as {name}: SequenceClassifier",
            "signature token_ids",
            "input input_word_ids: int32 [batch, ?]",
            "output logits: float32 [batch, 3]",
            "largest differences from the model in token_ids: logits ",
        ):
            assert line in text


PACKAGES = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}


@pytest.mark.parametrize("name", FILES)
def test_predict_writes_the_same_for_a_file_as_for_the_model(exported, files, tmp_path, name):
    lines = [json.dumps({"text": text}) for text in TEXTS]
    lines.append(json.dumps({"text": "red", "text_pair": "boat"}))
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    results = []
    for number, model in enumerate((exported / "model", files / name)):
        to = tmp_path / f"{number}.jsonl"
        words = [str(model), "--file", str(tmp_path / "texts.jsonl"), "--to", str(to)]
        assert main.main(["predict", *words]) == main.DONE
        results.append([json.loads(line) for line in to.read_text().splitlines()])
    assert_close(results[0], results[1])


# === Every head in every format ===

CASES = {
    **{name: {} for name in MODELS if name != "decoder"},
    "pair": {},
    "joint_questions": {},
    "label_words": {},
    # Choices of a configuration that change the operations of a network.
    "relative_keys": {"position_embedding_type": "relative_key_query"},
    "tanh_gelu": {"hidden_act": "gelu_new"},
    "relu": {"hidden_act": "relu", "embedding_size": 16},
    "silu": {"hidden_act": "silu", "type_vocab_size": 1},
}


def model_of(name):
    if name in (*MODELS, "pair"):
        return build(name)
    build("encoder")  # It sets the seed.
    if name == "joint_questions":
        return models.ElectraForJointQuestionAnswering(config())
    if name == "label_words":
        words = dict(zip(LABELS.values(), ("red", "old", "boat")))
        return models.ElectraForPreTraining(config(id2label=LABELS, extra={"label_words": words}))
    return models.ElectraForSequenceClassification(config(id2label=LABELS, **CASES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("format", exported_files.FORMATS[1:])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:truncated")
def test_every_head_predicts_the_same_in_every_format(tokenizer, tmp_path, name, format):
    of = Predictor(model_of(name), tokenizer)
    version = export(of, tmp_path, format)
    opened = Predictor.from_pretrained(tmp_path)
    kind = {"joint_questions": "questions", "label_words": "classification"}.get(name, name)
    inputs = TABLE[kind][0] if kind in TABLE else ["the red boat", "a stone"]
    if name == "pair":
        inputs = [*inputs, "the [MASK] boat"]
    if name in ("label_words", "silu"):
        inputs = ["the red boat", "a stone"]
    options = OPTIONS.get(kind, {})
    found = [each.to_dict() for each in opened(inputs, **options)]
    own = [each.to_dict() for each in of(inputs, **options)]
    assert len(found) == len(own)
    if "int8" not in format:
        assert_close(found, own)
    measured = exported_files.Description.read(version).measured["differences"]
    assert len(measured) == len(of.parts)
    for outputs in measured.values():
        assert all(np.isfinite(value) for value in outputs.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_8_bit_weights_make_smaller_files_with_nearly_the_same_results(tokenizer, tmp_path, name):
    sizes = {"embedding_size": 64, "hidden_size": 128, "intermediate_size": 512}
    build("encoder")  # It sets the seed.
    usual = config(id2label=LABELS, initializer_range=0.05, **sizes)
    of = Predictor(models.ElectraForSequenceClassification(usual), tokenizer)
    by_format = {}
    for format in (name, f"{name}-int8"):
        export(of, tmp_path / format, format)
        file = tmp_path / format / "1" / FILES[name]
        by_format[format] = file.stat().st_size
    assert by_format[f"{name}-int8"] < 0.4 * by_format[name]
    measured = exported_files.Description.read(tmp_path / f"{name}-int8" / "1").measured
    assert 1e-5 < measured["differences"]["token_ids"]["logits"] < 0.1


# === Nothing is exported that was not run ===


@pytest.fixture(scope="module")
def networks(predictor):
    """Return the networks of a regression, traced once."""
    of = predictor("regression")
    return heads.served_networks(of.head, of.parts)


@pytest.fixture
def quick(monkeypatch, networks):
    """Export a regression without conversion, and run "files" in this process.

    The fixture is the function that runs them.
    """

    def run(file, batches):
        assert file.read_bytes() == b"network"
        results = []
        for batch in batches:
            found = networks[""]({name: tf.constant(each) for name, each in batch.items()})
            results.append({name: tensor.numpy() for name, tensor in found.items()})
        return results

    monkeypatch.setattr(heads, "served_networks", lambda *_: networks)
    monkeypatch.setattr(OnnxWriter, "convert", lambda self, _, file: file.write_bytes(b"network"))
    monkeypatch.setattr(clean_process, "run_network", run)
    return run


def test_the_next_export_is_the_next_version(predictor, tmp_path, quick):
    assert export(predictor("regression"), tmp_path, "onnx") == tmp_path / "1"
    assert export(predictor("regression"), tmp_path, "onnx-int8") == tmp_path / "2"
    assert exported_files.newest_version(tmp_path) == tmp_path / "2"


def test_a_result_that_differs_leaves_no_version(predictor, tmp_path, quick, monkeypatch):
    def other(file, batches):
        results = quick(file, batches)
        results[1]["logits"][2] += 2e-3
        return results

    monkeypatch.setattr(clean_process, "run_network", other)
    message = r"logits of model.onnx must be .* differ by up to 0.002 for token ids \[3, 16\]"
    with pytest.raises(InputError, match=message):
        export(predictor("regression"), tmp_path, "onnx")
    assert written(tmp_path) == []
    # Those of 8-bit weights are measured and recorded.
    version = export(predictor("regression"), tmp_path, "onnx-int8")
    found = exported_files.Description.read(version).measured
    assert found == {"differences": {"token_ids": {"logits": pytest.approx(2e-3, rel=1e-2)}}}


def test_8_bit_weights_whose_results_are_no_numbers_leave_no_version(
    predictor, tmp_path, quick, monkeypatch
):
    def other(file, batches):
        results = quick(file, batches)
        results[0]["logits"][0] = np.nan
        return results

    monkeypatch.setattr(clean_process, "run_network", other)
    with pytest.raises(InputError, match="differ by up to inf"):
        export(predictor("regression"), tmp_path, "onnx-int8")
    assert written(tmp_path) == []


def test_a_converter_that_fails_leaves_no_version(predictor, tmp_path, quick, monkeypatch):
    def fail(self, network, file):
        raise RuntimeError("no handler for Erfc\nin node 7")

    monkeypatch.setattr(OnnxWriter, "convert", fail)
    with pytest.raises(InputError, match=r"cannot be converted to model.onnx: 'no handler"):
        export(predictor("regression"), tmp_path, "onnx")
    assert written(tmp_path) == []


def test_a_full_disk_leaves_no_version(predictor, tmp_path, quick, monkeypatch):
    def fail(self, network, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(OnnxWriter, "convert", fail)
    with pytest.raises(InputError, match=r"could not be written to .* No space left"):
        export(predictor("regression"), tmp_path, "onnx")
    assert written(tmp_path) == []


def test_a_process_that_fails_leaves_no_version(predictor, tmp_path, quick, monkeypatch):
    def fail(file, batches):
        raise clean_process.CleanProcessError("INVALID_GRAPH")

    monkeypatch.setattr(clean_process, "run_network", fail)
    with pytest.raises(InputError, match=r"model.onnx could not be run in .* 'INVALID_GRAPH'"):
        export(predictor("regression"), tmp_path, "onnx")
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("format", "package", "extra"),
    [
        ("onnx", "tf2onnx", "onnx"),
        ("onnx-int8", "onnxruntime", "onnx"),
        ("litert", "ai_edge_litert", "litert"),
    ],
)
def test_a_missing_package_is_an_error_before_the_work(
    predictor, tmp_path, monkeypatch, format, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"needs the package {package}: pip install 'official_nlp\[{extra}\]'"
    with pytest.raises(InputError, match=message):
        export(predictor("regression"), tmp_path, format)
    assert written(tmp_path) == []


@pytest.mark.slow
def test_a_file_that_is_no_network_fails_in_the_process(tmp_path):
    for name in FILES.values():
        (tmp_path / name).write_bytes(b"no network")
        with pytest.raises(clean_process.CleanProcessError, match=r"(?i)protobuf|flatbuffer"):
            clean_process.run_network(tmp_path / name, [])


# === The server ===


def test_the_server_refuses_files_of_networks(files, tmp_path):
    from official_nlp.serving.server.limits import Limits
    from official_nlp.serving.server.repository import Repository

    for folder in (files / "onnx", files / "onnx/1"):
        with pytest.raises(InputError, match=r"the format onnx, .* with --format saved_model"):
            Repository([folder], lambda version: None, Limits(), lambda *_, **__: None)
