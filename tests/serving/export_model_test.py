"""Export: what is written, that it was run, and what remains of an export that fails."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.inference.predictor import Predictor
from official_nlp.modeling import models
from official_nlp.serving import clean_process
from official_nlp.serving.comparison import is_close
from official_nlp.serving.export_model import export
from tests.inference.conftest import LENGTH, build, config
from tests.inference.predictor_test import OPTIONS, TABLE, assert_close
from tests.serving.conftest import arrays
from tests.serving.heads_test import REQUESTS

TEXTS = ["The red boat.", "", "old " * 60, "a 中文 b\u00e9 bird"]


def written(folder) -> list[str]:
    """Return what a server, or anybody, sees in a folder."""
    return sorted(os.listdir(folder)) if folder.exists() else []


# === What is written ===


def test_an_export_is_a_numbered_version_and_nothing_else(exported):
    assert written(exported / "served") == ["1"]
    found = {str(p.relative_to(exported / "served/1")) for p in exported.rglob("served/1/**/*")}
    assert {"saved_model.pb", "variables/variables.index", "assets.extra/electra.json"} <= found
    assert "assets.extra/tokenizer/vocab.txt" in found


def test_the_command_prints_the_signatures(exported, capsys):
    printed = (exported / "printed.txt").read_text()
    for line in (
        "signature serving_default",
        "input text: string [batch]",
        "output scores: float32 [batch, 3]",
        "output truncated: bool [batch]",
        "input text_pair: string [batch]",
        "input input_word_ids: int32 [batch, ?]",
        "a process with tensorflow and tensorflow_text alone ran it",
    ):
        assert line in printed
    assert main.main(["info", str(exported / "served")]) == main.DONE
    assert "output scores: float32 [batch, 3]" in capsys.readouterr().out


def test_a_copy_elsewhere_returns_what_the_predictor_does(exported, predictor, tmp_path):
    folder = shutil.copytree(exported / "served/1", tmp_path / "copy/7")
    loaded = tf.saved_model.load(str(folder))
    outputs = arrays(loaded.signatures["serving_default"](text=tf.constant(TEXTS)))
    with pytest.warns(UserWarning, match="truncated 1 of 4"):
        expected = predictor("classification")(TEXTS)
    assert outputs["label"].tolist() == [result.label for result in expected]
    assert outputs["truncated"].tolist() == [False, False, True, False]
    for name in ("scores", "classes"):
        assert outputs[name].shape == (4, 3)
    for row, scores, result in zip(outputs["classes"], outputs["scores"].tolist(), expected):
        assert is_close(dict(zip(row, scores)), result.scores)


def test_the_graph_has_each_variable_once_and_no_compiled_block(exported, predictor):
    names = tf.train.list_variables(str(exported / "served/1/variables/variables"))
    saved = [name for name, _ in names if name.endswith("VARIABLE_VALUE")]
    assert len(saved) == len(predictor("classification").model.weights)
    assert (
        b"_XlaMustCompile\x12\x02(\x01" not in (exported / "served/1/saved_model.pb").read_bytes()
    )


def test_predict_writes_the_same_for_an_export_as_for_the_model(exported, tmp_path):
    lines = [json.dumps({"text": text}) for text in TEXTS]
    lines.append(json.dumps({"text": "red", "text_pair": "boat"}))
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    results = []
    for name in ("model", "served"):
        to = tmp_path / f"{name}.jsonl"
        words = [str(exported / name), "--file", str(tmp_path / "texts.jsonl"), "--to", str(to)]
        assert main.main(["predict", *words]) == main.DONE
        results.append([json.loads(line) for line in to.read_text().splitlines()])
    assert_close(results[0], results[1])


def test_the_next_export_is_the_next_version(predictor, tmp_path, here):
    (tmp_path / "6").mkdir()
    (tmp_path / "notes").mkdir()
    assert export(predictor("regression"), tmp_path) == tmp_path / "7"
    assert written(tmp_path) == ["6", "7", "notes"]
    assert exported_files.newest_version(tmp_path) == tmp_path / "7"
    assert exported_files.newest_version(tmp_path / "7") == tmp_path / "7"


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_every_head_is_run_by_another_process_and_predicts_the_same(predictor, tmp_path, name):
    export(predictor(name), tmp_path)
    inputs = TABLE[name][0] if name in TABLE else ["the red boat", "the [MASK] boat"]
    options = OPTIONS.get(name, {})
    found = Predictor.from_pretrained(tmp_path)(inputs, **options)
    for one, other in zip(found, predictor(name)(inputs, **options), strict=True):
        assert_close(one.to_dict(), other.to_dict())


# === Nothing is exported that was not run ===


def test_a_result_that_differs_leaves_no_version(predictor, tmp_path, here, monkeypatch):
    def other(folder, requests):
        results = here(folder, requests)
        results["pairs"]["value"][0] += 1e-3
        return results

    monkeypatch.setattr(clean_process, "run", other)
    with pytest.raises(InputError, match="signature pairs of the exported model must return"):
        export(predictor("regression"), tmp_path)
    assert written(tmp_path) == []


def test_a_process_that_fails_leaves_no_version(predictor, tmp_path, here, monkeypatch):
    def fail(folder, requests):
        raise clean_process.CleanProcessError("Op type not registered")

    monkeypatch.setattr(clean_process, "run", fail)
    with pytest.raises(InputError, match=r"could not be run .* 'Op type not registered'"):
        export(predictor("regression"), tmp_path)
    assert written(tmp_path) == []


def test_a_full_disk_is_an_error_and_leaves_no_version(predictor, tmp_path, here):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old[1]))
        with pytest.raises(InputError, match=r"could not be written to .* MB free there"):
            export(predictor("regression"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert written(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["variables", "saved_model.pb", exported_files.DESCRIPTION])
def test_a_killed_export_leaves_nothing_that_a_server_loads(exported, tmp_path, file):
    words = ["export", str(exported / "model"), "--to", str(tmp_path / "served")]
    process = subprocess.Popen([sys.executable, "-m", "official_nlp", *words])
    partial = tmp_path / "served/.1.partial"
    while not (partial / file).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert exported_files.versions(tmp_path / "served") == []
    assert main.main(words) == main.DONE
    assert written(tmp_path / "served") == ["1"]


# === The process ===


@pytest.mark.slow
def test_a_folder_that_is_no_model_fails_with_the_last_line(tmp_path):
    with pytest.raises(clean_process.CleanProcessError, match=r"SavedModel file does not exist"):
        clean_process.run(tmp_path, {})


def test_a_process_that_imported_this_package_fails(exported, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    with pytest.raises(SystemExit, match="must load without official_nlp"):
        clean_process._main(str(exported / "served/1"))


def test_a_program_that_does_not_start_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(clean_process.CleanProcessError, match="No such file"):
        clean_process.run(tmp_path, {})


# === What cannot be exported ===


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("decoder", "no format has a loop that generates text"),
        ("pretrainer", "an ElectraPretrainer cannot be exported as it is"),
    ],
)
def test_some_models_are_refused(predictor, tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        export(predictor(name), tmp_path)
    assert written(tmp_path) == []


def test_a_choice_that_depends_on_padding_is_refused(tokenizer, tmp_path):
    model = build("choices").from_config({**build("choices").get_config()})
    model.config = type(model.config)(**{**vars(model.config), "summary_type": "mean"})
    with pytest.raises(InputError, match="must have summary_type='first'"):
        export(Predictor(model, tokenizer, length=LENGTH), tmp_path)


def test_a_classifier_by_words_of_labels_is_no_saved_model(tokenizer, tmp_path):
    extra = {"label_words": {"good": "old", "bad": "red"}}
    names = {0: "good", 1: "bad"}
    model = models.ElectraForPreTraining(config(id2label=names, extra=extra))
    with pytest.raises(InputError, match=r"no templates .* export it as onnx or litert"):
        export(Predictor(model, tokenizer), tmp_path)


def test_long_texts_are_for_models_that_take_texts(predictor, tmp_path):
    with pytest.raises(
        InputError, match=r"long_texts is for saved_model, .* but the format is litert"
    ):
        export(predictor("classification"), tmp_path / "x", "litert", long_texts="truncate")
    assert not (tmp_path / "x").exists()


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="format must be one of saved_model, onnx"):
        export(tmp_path / "model", tmp_path / "to", "torch")


def test_versions_of_another_kind_are_refused(exported, files, tmp_path):
    for folder, format in ((exported / "served", "onnx"), (files / "onnx", "litert-int8")):
        with pytest.raises(InputError, match=r"must hold versions of one kind, but .*/1 has the"):
            export(exported / "model", folder, format)
        assert written(folder) == ["1"]


def test_an_export_is_not_exported_again(exported, tmp_path):
    with pytest.raises(InputError, match="copy its folder"):
        export(exported / "served", tmp_path)
