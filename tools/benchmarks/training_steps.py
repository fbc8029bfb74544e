"""One process of `tools/benchmark.py train`: it trains ELECTRA-Small on random tokens.

  python tools/benchmarks/training_steps.py ours|tfnlp POLICY BATCH LENGTH

It answers a number of steps with a line of JSON: `wall` and `cpu` seconds of a step, the latter of
all threads; `start`, the seconds from the start of the process to the end of the first step; and
`megabytes`, the most memory so far.

Both train the model as it is trained by its own task: dropout, metrics, schedule, clipping by the
global norm, AdamW. Imports tfnlp (`tf-models-official`), for the comparison alone.
"""

import json
import os
import pathlib
import resource
import sys
import time
import types
from collections.abc import Callable

START = time.time()
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import official_nlp as nlp  # noqa: E402, I001  # It sets what TensorFlow reads when it is imported.
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

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

MASK_ID = 103
GENERATOR_WIDTH, GENERATOR_HEADS, GENERATOR_INNER = 64, 1, 256
PREDICTED = 0.15
STEPS, WARMUP, RATE = 1_000_000, 10_000, 5e-4
Train = Callable[[int], object]


def batches(size: int, length: int) -> tf.data.Dataset:
    """Return endless batches of one batch of random tokens, with tfnlp's names."""
    random = np.random.default_rng(0)
    predictions = round(length * PREDICTED)
    ids = random.integers(1000, VOCABULARY, [size, length], np.int32)
    places = [np.sort(random.permutation(length - 2)[:predictions]) + 1 for _ in range(size)]
    positions = np.int32(places)
    labels = np.take_along_axis(ids, positions, axis=1)
    np.put_along_axis(ids, positions, MASK_ID, axis=1)
    batch = {
        "input_word_ids": ids,
        "input_mask": np.ones_like(ids),
        "input_type_ids": np.zeros_like(ids),
        "masked_lm_positions": positions,
        "masked_lm_ids": labels,
        "masked_lm_weights": np.ones(labels.shape, np.float32),
    }
    return tf.data.Dataset.from_tensors(batch).repeat()


def ours(policy: str, size: int, length: int) -> Train:
    """Return a function that trains a number of steps as `electra train` does."""
    import orbit

    from official_nlp.tasks.pretraining.config import PretrainingConfig
    from official_nlp.training import distribution, phase, precision, trainer

    class Training(nlp.tasks.ElectraPretraining):
        """Pre-training on random tokens instead of a data folder."""

        tokenizer = types.SimpleNamespace(mask_token_id=MASK_ID)

        def train_dataset(self, stage, phase, first_step, host, hosts):
            numbered = tf.data.Dataset.counter(0, step=size).map(
                lambda row: {"stream_position": row + tf.range(size, dtype=tf.int64)}
            )
            both = tf.data.Dataset.zip(batches(size, length), numbered)
            return both.map(lambda batch, numbers: batch | numbers)

    discriminator = nlp.networks.ElectraConfig(**SIZES)
    generator = discriminator.replace(
        hidden_size=GENERATOR_WIDTH,
        num_attention_heads=GENERATOR_HEADS,
        intermediate_size=GENERATOR_INNER,
    )
    task = Training(PretrainingConfig(generator, discriminator))
    settings = nlp.training.TrainingConfig(policy=policy, steps_per_loop=1)
    (stage,) = phase.stages(
        [
            nlp.training.PhaseConfig(steps=STEPS, batch_size=size, length=length).with_loss_weights(
                task.loss_weights
            )
        ]
    )
    strategy = distribution.create_strategy("one_device")
    schedule = nlp.training.WarmupDecay(RATE, STEPS, WARMUP)
    with strategy.scope():
        with precision.policy(policy):
            model = task.build()
        optimizer = nlp.training.AdamW(schedule)
        optimizer.build(task.trainable_variables(model, stage.phase))
        step = orbit.utils.create_global_step()
    loop = trainer.PhaseTrainer(task, model, optimizer, schedule, step, stage, settings, strategy)
    return lambda steps: [loop.train(tf.constant(1)) for _ in range(steps)]


def tfnlp(policy: str, size: int, length: int) -> Train:
    """Return a function that trains a number of steps by tfnlp's task and optimizer."""
    from official.modeling import optimization  # noqa: TID251
    from official.nlp.configs import bert, electra, encoders  # noqa: TID251
    from official.nlp.data import pretrain_dataloader  # noqa: TID251
    from official.nlp.tasks import electra_task  # noqa: TID251

    def encoder(width: int, heads: int, inner: int) -> encoders.EncoderConfig:
        return encoders.EncoderConfig(
            type="bert",
            bert=encoders.BertEncoderConfig(
                vocab_size=VOCABULARY,
                hidden_size=width,
                embedding_size=EMBEDDING,
                num_layers=LAYERS,
                num_attention_heads=heads,
                intermediate_size=inner,
                max_position_embeddings=POSITIONS,
                type_vocab_size=2,
            ),
        )

    tf_keras.mixed_precision.set_global_policy(policy)
    task = electra_task.ElectraPretrainTask(
        electra_task.ElectraPretrainConfig(
            model=electra.ElectraPretrainerConfig(
                num_masked_tokens=round(length * PREDICTED),
                sequence_length=length,
                generator_encoder=encoder(GENERATOR_WIDTH, GENERATOR_HEADS, GENERATOR_INNER),
                discriminator_encoder=encoder(WIDTH, HEADS, INNER),
                cls_heads=[bert.ClsHeadConfig(inner_dim=WIDTH, num_classes=2, name="sentence")],
            ),
            train_data=pretrain_dataloader.BertPretrainDataConfig(use_next_sentence_label=False),
        )
    )
    model = task.build_model()
    settings = optimization.OptimizationConfig(
        {
            "optimizer": {
                "type": "adamw",
                "adamw": {"weight_decay_rate": 0.01, "gradient_clip_norm": 1.0, "epsilon": 1e-6},
            },
            "learning_rate": {
                "type": "polynomial",
                "polynomial": {"initial_learning_rate": RATE, "decay_steps": STEPS},
            },
            "warmup": {"type": "polynomial", "polynomial": {"warmup_steps": WARMUP}},
        }
    )
    factory = optimization.OptimizerFactory(settings)
    optimizer = factory.build_optimizer(factory.build_learning_rate())
    metrics = task.build_metrics(training=True)
    stream = iter(batches(size, length))

    @tf.function
    def step():
        task.train_step(next(stream), model, optimizer, metrics)

    return lambda steps: [step() for _ in range(steps)]


def main(whose: str, policy: str, size: str, length: str) -> None:
    """Train the first step, and as many as each line of input says."""
    train = {"ours": ours, "tfnlp": tfnlp}[whose](policy, int(size), int(length))
    train(1)
    start = time.time() - START
    print("ready", flush=True)
    for line in sys.stdin:
        steps, before = int(line), (time.monotonic(), time.process_time())
        train(steps)
        wall, cpu = time.monotonic() - before[0], time.process_time() - before[1]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        answer = {"wall": wall / steps, "cpu": cpu / steps, "start": start, "megabytes": peak}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
