"""One process of `tools/benchmark.py serve`: it writes a classifier, or computes with one.

  python tools/benchmarks/served_models.py write ours FOLDER
  python tools/benchmarks/served_models.py write tfnlp FOLDER
  python tools/benchmarks/served_models.py export FORMAT FOLDER TO
  python tools/benchmarks/served_models.py run KIND FOLDER

`run` reads lines of two numbers, batch and length, and optionally a number of calls, and answers
each with a line of JSON: milliseconds of a call, `wall` and `cpu` of all threads.

Imports tfnlp (`tf-models-official`), for the comparison alone.
"""

import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.electra_small import (  # noqa: E402  # found beside this file
    EMBEDDING,
    HEADS,
    INNER,
    LAYERS,
    POSITIONS,
    SIZES,
    VOCABULARY,
    WIDTH,
)

LABELS = 2
# The vocabulary has words of four letters, each of which is one token.
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Names of the inputs of a network.
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
Call = Callable[[], object]


def words() -> list[str]:
    """Return the words of the vocabulary."""
    count = VOCABULARY - len(SPECIAL) - 2 * len(LETTERS)
    four = (a + b + c + d for a in LETTERS for b in LETTERS for c in LETTERS for d in LETTERS)
    return [word for word, _ in zip(four, range(count))]


def texts(batch: int, length: int) -> list[str]:
    """Return texts whose sequences have `length` tokens."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(words(), length - 2)) for _ in range(batch)]


def token_ids(batch: int, length: int) -> dict[str, np.ndarray]:
    """Return int32 inputs `[batch, length]` without padding."""
    ids = np.random.default_rng(0).integers(len(SPECIAL), VOCABULARY, [batch, length], np.int32)
    return dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids))))


# === Models ===


def write_ours(folder: str) -> None:
    """Write a classifier with random weights, and its tokenizer, as a model folder."""
    import official_nlp as nlp

    config = nlp.networks.ElectraConfig(**SIZES, num_labels=LABELS)
    nlp.models.ElectraForSequenceClassification(config).save_pretrained(folder)
    vocabulary = [*SPECIAL, *LETTERS, *("##" + each for each in LETTERS), *words()]
    nlp.data.ElectraTokenizer(vocabulary).save_pretrained(folder)


def write_tfnlp(folder: str) -> None:
    """Write tfnlp's classifier of the same size as a SavedModel that takes token ids."""
    import tensorflow as tf
    from official.nlp.modeling import models, networks  # noqa: TID251

    encoder = networks.BertEncoder(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_layers=LAYERS,
        num_attention_heads=HEADS,
        inner_dim=INNER,
        max_sequence_length=POSITIONS,
        type_vocab_size=2,
        embedding_width=EMBEDDING,
    )
    model = models.BertClassifier(encoder, num_classes=LABELS)
    specs = [tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS]

    @tf.function(input_signature=specs)
    def token_ids(input_word_ids, input_mask, input_type_ids):
        return {"logits": model([input_word_ids, input_mask, input_type_ids], training=False)}

    tf.saved_model.save(model, folder, signatures={"token_ids": token_ids})


def export(format: str, model: str, to: str) -> None:
    """Export a model, or end with the reason why it cannot be exported."""
    from official_nlp.cli import main

    raise SystemExit(main.main(["export", model, "--to", to, "--format", format]))


# === Calls ===


def saved_model(folder: str, signature: str) -> Callable[[int, int], Call]:
    """Return a function of batch and length that returns a call of a SavedModel."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers operations

    loaded = tf.saved_model.load(folder)
    function = loaded.signatures[signature]

    def call(batch: int, length: int) -> Call:
        if signature == "token_ids":
            feed = {name: tf.constant(each) for name, each in token_ids(batch, length).items()}
        else:
            feed = {"text": tf.constant(texts(batch, length))}
        # The function refers to the loaded object weakly.
        return lambda: loaded and [each.numpy() for each in function(**feed).values()]

    return call


def onnx(folder: str) -> Callable[[int, int], Call]:
    """Return a function of batch and length that returns a call of ONNX Runtime."""
    import onnxruntime

    (file,) = pathlib.Path(folder).glob("*.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def call(batch: int, length: int) -> Call:
        feed = {name: each for name, each in token_ids(batch, length).items() if name in names}
        return lambda: session.run(None, feed)

    return call


def litert(folder: str) -> Callable[[int, int], Call]:
    """Return a function of batch and length that returns a call of LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    (file,) = pathlib.Path(folder).glob("*.tflite")
    interpreter = Interpreter(str(file), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner()
    names = list(runner.get_input_details())

    def call(batch: int, length: int) -> Call:
        feed = {name: each for name, each in token_ids(batch, length).items() if name in names}
        return lambda: runner(**feed)

    return call


KINDS: dict[str, Callable[[str], Callable[[int, int], Call]]] = {
    "token_ids": lambda folder: saved_model(folder, "token_ids"),
    "strings": lambda folder: saved_model(folder, "serving_default"),
    "onnx": onnx,
    "litert": litert,
}


def run(kind: str, folder: str) -> None:
    """Answer lines of batch, length and number of calls with the milliseconds of a call."""
    call_of = KINDS[kind](folder)
    print("ready", flush=True)
    calls: dict[tuple[int, int], Call] = {}
    for line in sys.stdin:
        batch, length, count = map(int, line.split())
        if (batch, length) not in calls:
            calls[batch, length] = call_of(batch, length)
        call = calls[batch, length]
        call()  # Buffers of this shape are allocated again after another one.
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        milliseconds = {"wall": 1000 * wall / count, "cpu": 1000 * cpu / count}
        print(json.dumps(milliseconds), flush=True)


def main(verb: str, *arguments: str) -> None:
    if verb == "write":
        {"ours": write_ours, "tfnlp": write_tfnlp}[arguments[0]](arguments[1])
    else:
        {"export": export, "run": run}[verb](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
