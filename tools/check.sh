#!/usr/bin/env bash
# Everything a change must pass: format, lint, import contracts, tests.
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
# A file's tests share what they build, so a file stays in one process; they often wait for
# processes of their own, so there are more of them than the two cores this is meant for.
exec python -m pytest -n 3 --dist loadfile --no-loadscope-reorder ${selection[@]+"${selection[@]}"} "$@"
