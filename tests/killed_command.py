"""The command, killed by SIGKILL at a point of its own; `end_to_end_test.py` runs it.

    python tests/killed_command.py POINT=COUNT VERB ...

Runs `electra VERB ...` and kills it when it reaches the point for the COUNTth time; the points are
those of `tests/training/killed_run.py`.
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
