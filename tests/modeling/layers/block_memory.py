"""Print the peak memory of a training step of six blocks, in MB beyond their variables.

Usage: python -m tests.modeling.layers.block_memory eager|graph yes|no. This is a separate process,
because the peak of a process never falls.
"""

import pathlib
import re
import sys

import tensorflow as tf

from official_nlp.modeling import layers

BLOCKS, BATCH, LENGTH, WIDTH = 6, 8, 128, 128


def main(executor, recompute):
    """Run the step on a tiny batch first, so that loading and tracing are not counted."""
    blocks = [
        layers.TransformerEncoderBlock(
            4, 4 * WIDTH, "gelu", output_dropout=0.1, attention_dropout=0.1, recompute=recompute
        )
        for _ in range(BLOCKS)
    ]
    for block in blocks:
        block.build([None, None, WIDTH])

    def step(x):
        with tf.GradientTape() as tape:
            for block in blocks:
                x = block(x, training=True)
            loss = tf.reduce_sum(x**2)
        return tape.gradient(loss, [v for block in blocks for v in block.trainable_variables])

    if executor == "graph":
        step = tf.function(step)
        step.get_concrete_function(tf.TensorSpec([BATCH, LENGTH, WIDTH]))
        step.get_concrete_function(tf.TensorSpec([1, 2, WIDTH]))
    step(tf.ones([1, 2, WIDTH]))
    before = peak()
    step(tf.ones([BATCH, LENGTH, WIDTH]))
    print(peak() - before)


def peak() -> float:
    """Return the largest memory of this process so far, in MB."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "yes")
