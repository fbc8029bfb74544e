"""Signatures of every head in this process, and one model that was exported by the command."""

import contextlib
import functools
import io
import json

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.cli import main
from official_nlp.serving import clean_process, heads
from tests import made_once
from tests.inference.conftest import build, predictor, text_file, tokenizer  # noqa: F401


def arrays(outputs: dict) -> dict:
    """Return the outputs of a signature as arrays, with strings as `str`."""
    found = {name: tensor.numpy() for name, tensor in outputs.items()}
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object else array
        for name, array in found.items()
    }


def served_head(predictor, *long_texts):  # noqa: F811
    """Return the served head of a predictor."""
    networks = heads.served_networks(predictor.head, predictor.parts)
    return heads.served_head(predictor.head, networks, *long_texts)


@pytest.fixture(scope="session")
def served(predictor):  # noqa: F811
    """Return the served head of a model by its name, and its signatures; each is made once."""

    @functools.cache
    def make(name):
        head = served_head(predictor(name))
        return head, head.signatures()

    return make


@pytest.fixture(scope="session")
def exported(tokenizer, tmp_path_factory):  # noqa: F811
    """Return a folder with `model`, a classifier, and `served`, its export; not to be changed."""

    def make(folder):
        build("classification").save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = main.main(["export", str(folder / "model"), "--to", str(folder / "served")])
        assert code == main.DONE
        (folder / "printed.txt").write_text(printed.getvalue())

    return made_once.folder(tmp_path_factory, "exported", make)


@pytest.fixture(scope="session")
def loaded(exported):
    """Return the signatures of the classifier that was exported."""
    return tf.saved_model.load(str(exported / "served/1")).signatures


@pytest.fixture(scope="session")
def signatures(loaded, served):
    """Return the signatures of a model by its name; the classifier's are those of its export."""
    return lambda name: loaded if name == "classification" else served(name)[1]


FILES = {"onnx": "model.onnx", "litert": "model.tflite"}


@pytest.fixture(scope="session")
def files(exported, tmp_path_factory):
    """Return a folder with an export of `model` of `exported` in each format; not to be changed.

    What the command printed is in `onnx.txt` and `litert.txt`.
    """

    def make(folder):
        for name in FILES:
            printed = io.StringIO()
            words = [str(exported / "model"), "--to", str(folder / name), "--format", name]
            with contextlib.redirect_stdout(printed):
                assert main.main(["export", *words]) == main.DONE
            (folder / f"{name}.txt").write_text(printed.getvalue())

    return made_once.folder(tmp_path_factory, "files", make)


@pytest.fixture
def here(monkeypatch, served):
    """Export a regression that is traced once, and run its requests in this process.

    Another process takes seconds to start.
    """

    def run(folder, requests):
        loaded = tf.saved_model.load(str(folder))
        results = {}
        for name, request in requests.items():
            feed = {key: tf.constant(values, tf.string) for key, values in request.items()}
            outputs = arrays(loaded.signatures[name](**feed))
            results[name] = {key: array.tolist() for key, array in outputs.items()}
        return json.loads(json.dumps(results))

    head, functions = served("regression")
    monkeypatch.setattr(head, "signatures", lambda: dict(functions))
    monkeypatch.setattr(heads, "served_networks", lambda *_: head.networks)
    monkeypatch.setattr(heads, "served_head", lambda *_: head)
    monkeypatch.setattr(clean_process, "run", run)
    return run
