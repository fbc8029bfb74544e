"""Train the toy task in one of several processes; `workers_test.py` starts them.

    python tests/training/worker_run.py FOLDER STRATEGY

Afterwards the process predicts the evaluation set and writes the rows to FOLDER.rows-INDEX.npz.
"""

import json
import os
import sys

import numpy as np
import rich.console

from official_nlp import training
from official_nlp.errors import Preempted
from tests.training.toy import PairTask

PHASES = (
    training.PhaseConfig(steps=20, batch_size=8, length=4, loss_weights={"second": 0.0}),
    training.PhaseConfig(steps=40, batch_size=16, length=4),
)


def main(folder: str, strategy: str) -> int:
    config = training.TrainingConfig(
        learning_rate=1e-2,
        warmup_steps=20,
        steps_per_loop=5,
        checkpoint_interval=10,
        evaluation_interval=20,
        seed=3,
        strategy=strategy,
    )
    try:
        training.train(PairTask(), PHASES, config, folder, console=rich.console.Console(width=200))
    except Preempted as stopped:
        print(stopped)
        return 42
    rows = training.predict(PairTask(), config, folder)["held_out"]
    index = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
    np.savez(f"{folder}.rows-{index}.npz", **rows)
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # Threads of the collective operations may outlive a failed peer.
    os._exit(code)
