"""Prints the GFLOP of matrix products that a second of one core computes: a measure of the machine.

  python tools/benchmarks/matmul_rate.py float32|mixed_bfloat16

The product is that of a feed-forward network of ELECTRA-Small, `[2048, 256] x [256, 1024]`.
"""

import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf  # It reads these variables.

ROWS, INNER, COLUMNS, PRODUCTS, ROUNDS = 2048, 256, 1024, 50, 15


def main(policy: str) -> None:
    """Print the median of some rounds."""
    dtype = tf.bfloat16 if policy == "mixed_bfloat16" else tf.float32
    left, right = (tf.ones(shape, dtype) for shape in ([ROWS, INNER], [INNER, COLUMNS]))
    product = tf.function(lambda: [tf.matmul(left * n, right) for n in range(1, PRODUCTS + 1)])
    scaling = tf.function(lambda: [left * n for n in range(1, PRODUCTS + 1)])
    operations = 2 * ROWS * INNER * COLUMNS * PRODUCTS
    rates = [operations / (seconds(product) - seconds(scaling)) / 1e9 for _ in range(ROUNDS)]
    print(f"{statistics.median(rates):.1f}")


def seconds(function) -> float:
    """Return the CPU seconds of a call."""
    before = time.process_time()
    function()
    return time.process_time() - before


if __name__ == "__main__":
    main(*sys.argv[1:])
