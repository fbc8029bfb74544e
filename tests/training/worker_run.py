"""Trains the toy task in one of several processes; `workers_test.py` starts them.

python tests/training/worker_run.py FOLDER STRATEGY
"""

import os
import sys

import rich.console

from official_nlp import training
from official_nlp.errors import Preempted
from tests.training.toy import PairTask

PHASES = (
    training.PhaseConfig(steps=60, batch_size=8, length=4, loss_weights={"second": 0.0}),
    training.PhaseConfig(steps=90, batch_size=16, length=4),
)


def main(folder, strategy):
    config = training.TrainingConfig(
        learning_rate=1e-2,
        warmup_steps=20,
        steps_per_loop=5,
        checkpoint_interval=20,
        evaluation_interval=25,
        seed=3,
        strategy=strategy,
    )
    try:
        training.train(PairTask(), PHASES, config, folder, console=rich.console.Console(width=200))
    except Preempted as stopped:
        print(stopped)
        return 42
    return 0


if __name__ == "__main__":
    sys.stdout.flush()
    # Threads of the collective operations may outlive a failed peer.
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
