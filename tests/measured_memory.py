"""Trains a few steps in this process and prints its largest resident size and the estimate of it.

python -m tests.measured_memory RECIPE DATA RUN [NAME=value ...]
"""

import json
import sys

from official_nlp.cli.commands import train
from official_nlp.configuration import gin_resolver, recipes
from official_nlp.data import open_folder
from official_nlp.tasks.pretraining import cost


def main(recipe, data, run, *settings):
    given = {"DATA": data, "MODEL_DIR": run, **recipes.split_settings(settings)}
    values, _ = gin_resolver.resolve(recipes.find(recipe), given, train.train)
    train.train(**values)
    task = values["task"].for_vocabulary(open_folder(data).tokenizer.vocab_size)
    estimated = cost.memory(task, values["phases"], values["training"]).total
    print(json.dumps({"measured": _largest_resident_size(), "estimated": estimated}))


def _largest_resident_size() -> int:
    """Of this process alone: what getrusage knows is inherited from the one that started it."""
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
