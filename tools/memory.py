"""Measures the memory of one step of pre-training, forward and backward, beside tfnlp's.

  python tools/memory.py compare
  python tools/memory.py slope

`compare` takes ELECTRA-Small (generator a quarter as wide, 12 layers each) at 32 rows of 128 tokens
and 20 predictions, our `ElectraPretrainer` of our encoders and tfnlp's of its `BertEncoder`s, in
turns, and prints the medians. `slope` takes our pre-trainer of two encoders of one layer, so that
nothing but the scores over the vocabulary can be the peak, at several sizes of the vocabulary, and
prints how the peak grows with it, in float32 numbers for each prediction and token: 1 is one tensor
`[rows, predictions, vocabulary]`.

Every measurement is a process of its own. `before` is its resident size when the model is built and
its step traced, `peak` the largest of the whole process, and `step` what lies between. Gradients
are given back as dense tensors, as an optimizer gets them.

Imports tfnlp (`tf-models-official`), for the comparison alone.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

VOCABULARY, EMBEDDING, SEGMENTS = 30522, 128, 2
GENERATOR = {"hidden_size": 64, "num_attention_heads": 1, "intermediate_size": 256}
DISCRIMINATOR = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
_MEGABYTE = 1e6


def main(words: list[str] | None = None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["compare", "slope", "measure"])
    parser.add_argument("--of", choices=["ours", "tfnlp"], default="ours")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[])
    parser.add_argument("--layers", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--policy", default="float32")
    parser.add_argument("--jit", action="store_true", help="compile the step with XLA")
    parser.add_argument("--disallow-correct", action="store_true")
    options = parser.parse_args(words)
    verbs = {"compare": _compare, "slope": _slope, "measure": _measure}
    print(json.dumps(verbs[options.verb](options)))


# === Verbs ===
def _compare(options) -> dict:
    """Returns the medians in bytes, theirs and ours, and the ratios of ours to theirs."""
    options.layers = options.layers or 12
    sizes = options.vocabulary or [VOCABULARY]
    runs = {"ours": [], "tfnlp": []}
    for _ in range(options.repeats):
        for name, found in runs.items():
            found.append(_in_a_process(options, of=name, vocabulary=sizes[0]))
    result = {name: _medians(found) for name, found in runs.items()}
    ratios = {key: result["ours"][key] / result["tfnlp"][key] for key in ("step", "peak")}
    for name, found in runs.items():
        for key in ("before", "step", "peak"):
            values = sorted(run[key] / _MEGABYTE for run in found)
            print(
                f"{name:6} {key:7} median {statistics.median(values):8.1f} MB, from "
                f"{values[0]:.1f} to {values[-1]:.1f}",
                file=sys.stderr,
            )
    for key, ratio in ratios.items():
        print(f"ours / tfnlp, {key}: {ratio:.3f}", file=sys.stderr)
    return {**result, "ratios": ratios}


def _slope(options) -> dict:
    """Returns the growth of the step's peak, in tensors `[rows, predictions, vocabulary]`."""
    options.layers = options.layers or 1
    sizes = options.vocabulary or [20_000, 40_000, 60_000, 80_000]
    steps = []
    for size in sizes:
        found = [
            _in_a_process(options, of=options.of, vocabulary=size) for _ in range(options.repeats)
        ]
        steps.append(_medians(found)["step"])
        print(f"vocabulary {size}: step {steps[-1] / _MEGABYTE:.1f} MB", file=sys.stderr)
    slope = statistics.linear_regression(sizes, steps).slope
    tensor, table = 4 * options.rows * options.predictions, 4 * EMBEDDING
    # The gradient of the word table is there whatever the scores need: dense, as it is given back.
    result = {
        "slope": slope,
        "tensors": slope / tensor,
        "without_gradient": (slope - table) / tensor,
    }
    print(
        f"a token of the vocabulary costs {slope:.0f} bytes: {result['tensors']:.2f} tensors "
        f"[rows, predictions, vocabulary]; without the {table} of the word table's gradient "
        f"{result['without_gradient']:.2f}",
        file=sys.stderr,
    )
    return result


def _in_a_process(options, of, vocabulary) -> dict:
    words = [sys.executable, __file__, "measure", "--of", of, "--vocabulary", str(vocabulary)]
    for name in ("rows", "length", "predictions", "layers", "policy"):
        words += [f"--{name}", str(getattr(options, name))]
    words += ["--jit"] * options.jit + ["--disallow-correct"] * options.disallow_correct
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _medians(runs) -> dict:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


# === One measurement ===
def _measure(options) -> dict:
    import tensorflow as tf
    import tf_keras

    from official_nlp import loss_terms
    from official_nlp.modeling import losses

    tf_keras.mixed_precision.set_global_policy(options.policy)
    build = _ours if options.of == "ours" else _tfnlp
    model, batch = build(options), _batch(options)

    @tf.function(jit_compile=options.jit or None)
    def step(batch):
        with tf.GradientTape() as tape:
            terms = losses.electra_loss(batch, model(batch, training=True))
            total = loss_terms.weighted_total(terms, {"rtd": 50.0})
        gradients = tape.gradient(total, model.trainable_variables)
        return total, [tf.convert_to_tensor(g) for g in gradients if g is not None]

    step.get_concrete_function(batch)
    before = _resident()
    for _ in range(2):
        total, gradients = step(batch)
        assert float(total) > 0
        del gradients
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"before": before, "peak": peak, "step": peak - before}


def _resident() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _ours(options):
    from official_nlp.modeling import models, networks

    def config(**sizes):
        return networks.ElectraConfig(
            vocab_size=options.vocabulary[0],
            embedding_size=EMBEDDING,
            num_hidden_layers=options.layers,
            max_position_embeddings=options.length,
            type_vocab_size=SEGMENTS,
            **sizes,
        )

    return models.ElectraPretrainer.from_config_pair(
        config(**GENERATOR),
        config(**DISCRIMINATOR),
        num_token_predictions=options.predictions,
        disallow_correct=options.disallow_correct,
    )


def _tfnlp(options):
    import tf_keras
    from official.nlp.modeling import models, networks  # noqa: TID251

    def encoder(sizes, embedding_layer=None):
        return networks.BertEncoder(
            vocab_size=options.vocabulary[0],
            hidden_size=sizes["hidden_size"],
            num_layers=options.layers,
            num_attention_heads=sizes["num_attention_heads"],
            inner_dim=sizes["intermediate_size"],
            max_sequence_length=options.length,
            type_vocab_size=SEGMENTS,
            embedding_width=EMBEDDING,
            embedding_layer=embedding_layer,
            dict_outputs=True,
        )

    generator = encoder(GENERATOR)
    return models.ElectraPretrainer(
        generator,
        encoder(DISCRIMINATOR, generator.get_embedding_layer()),
        vocab_size=options.vocabulary[0],
        num_classes=2,
        num_token_predictions=options.predictions,
        mlm_activation=tf_keras.activations.gelu,
        disallow_correct=options.disallow_correct,
    )


def _batch(options) -> dict:
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    rows, length, slots = options.rows, options.length, options.predictions
    ids = random.integers(5, options.vocabulary[0], [rows, length])
    positions = np.stack(
        [np.sort(random.choice(np.arange(1, length), slots, replace=False)) for _ in range(rows)]
    )
    values = {
        "input_word_ids": ids,
        "input_mask": np.ones_like(ids),
        "input_type_ids": np.zeros_like(ids),
        "masked_lm_positions": positions,
        "masked_lm_ids": np.take_along_axis(ids, positions, axis=1),
    }
    batch = {name: tf.constant(value, tf.int32) for name, value in values.items()}
    return {**batch, "masked_lm_weights": tf.ones([rows, slots])}


if __name__ == "__main__":
    main()
