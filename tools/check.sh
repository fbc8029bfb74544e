#!/usr/bin/env bash
# Everything a change must pass: format, lint, import contracts, types, tests.
#
#   bash tools/check.sh              what a change needs
#   bash tools/check.sh --all        also the tests marked slow
#   bash tools/check.sh tests/data   further arguments go to pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"

selection=()
if [ "${1:-}" = "--all" ]; then
    selection=(-m "slow or not slow")
    shift
fi

ruff format --check
ruff check
lint-imports --no-logo
mypy
# The tests of a file share fixtures, so a file stays in one process. Tests often wait for processes
# of their own, so three run on the two cores that this is meant for.
exec python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15 ${selection[@]+"${selection[@]}"} "$@"
