"""Train a few steps in this process; print its largest resident size and the estimate of it.

python -m tests.measured_memory RECIPE DATA RUN [NAME=value ...]
"""

import json
import sys

from official_nlp.cli import main as command
from official_nlp.configuration import gin_resolver, recipes
from official_nlp.data import open_folder
from official_nlp.tasks.pretraining import cost
from official_nlp.training import RunConfig


def main(recipe: str, data: str, run: str, *settings: str) -> None:
    words = [f"DATA={data}", f"MODEL_DIR={run}", *settings]
    code = command.main(["train", recipe, *words])
    if code != command.DONE:
        sys.exit(code)
    values, _ = gin_resolver.resolve(recipes.find(recipe), recipes.split_settings(words), RunConfig)
    config = RunConfig(**values)
    task = config.task.for_vocabulary(open_folder(data).tokenizer.vocab_size)
    estimated = cost.memory(task, config.phases, config.training).total
    print(json.dumps({"measured": _largest_resident_size(), "estimated": estimated}))


def _largest_resident_size() -> int:
    """Return the peak in bytes of this process alone; getrusage includes that of its parent."""
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
