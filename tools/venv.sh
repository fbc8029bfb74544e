# Create and activate the environment that demo.sh and check.sh share; both source this file.
#
#   VENV=folder     another or an existing environment (default: .venv in the checkout)
#   PYTHON=program  interpreter of a new environment (default: python3)
#
# setup.py lists the packages. Its hash is stored in the environment, so that a second call is
# instant and a change of setup.py installs again.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$ROOT/.venv}
PYTHON=${PYTHON:-python3}
[[ $VENV = /* ]] || VENV=$PWD/$VENV

fail() {
    echo "error: $*" >&2
    exit 1
}

# Print the sha256 of setup.py and of the path of the checkout, to which the package is linked.
wanted_hash() {
    "$1" - "$ROOT" <<'END'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
print(hashlib.sha256((root / "setup.py").read_bytes() + str(root).encode()).hexdigest())
END
}

install() {
    command -v "$PYTHON" >/dev/null || fail "no program '$PYTHON'; give PYTHON=/path/to/python3"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "Python 3.10 or later is needed, '$PYTHON' is $("$PYTHON" -V 2>&1); give PYTHON="
    # pip is missing where an earlier call was stopped while it created the environment.
    if ! "$VENV/bin/python" -c "import pip" 2>/dev/null; then
        "$PYTHON" -m venv "$VENV" ||
            fail "could not create $VENV; on Debian and Ubuntu: apt install python3-venv"
    fi
    echo "Installing into $VENV: 3.5 GB, about 3 minutes, only after a change of setup.py."
    rm -f "$VENV/setup.sha256"
    # The pip of older Pythons searches for half an hour for compatible versions.
    local pip=("$VENV/bin/python" -m pip install --quiet --disable-pip-version-check)
    "${pip[@]}" "pip>=25" && PYTHONWARNINGS=ignore "${pip[@]}" --editable "$ROOT[test]" ||
        fail "the installation failed; a second call continues"
    wanted_hash "$VENV/bin/python" >"$VENV/setup.sha256"
}

if [ ! -x "$VENV/bin/python" ] || [ ! -f "$VENV/setup.sha256" ] ||
    [ "$(cat "$VENV/setup.sha256")" != "$(wanted_hash "$VENV/bin/python")" ]; then
    install
fi
export VENV
export PATH="$VENV/bin:$PATH"
unset PYTHONHOME
cd "$ROOT"
