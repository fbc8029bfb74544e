"""Run the command in a process that kills itself at a point; `end_to_end_test.py` starts it.

    python tests/killed_command.py POINT=COUNT VERB ...

The process runs `electra VERB ...` and ends by SIGKILL when it reaches the point for the COUNTth
time. `tests/training/killed_run.py` lists the points.
"""

import functools
import sys
from unittest import mock

from official_nlp.cli import main as command
from tests.training.killed_run import POINTS


def main(step: str, *words: str) -> int:
    point, count = step.split("=")
    owner, name, fatal = POINTS[point]
    original, calls = getattr(owner, name), 0

    @functools.wraps(original)
    def counting(*arguments, **keywords):
        nonlocal calls
        calls += 1
        return (fatal if calls == int(count) else original)(*arguments, **keywords)

    with mock.patch.object(owner, name, counting):
        return command.main(list(words))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
