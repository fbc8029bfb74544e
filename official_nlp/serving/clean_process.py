"""Run signatures of a SavedModel in a new process that has TensorFlow and nothing of this package.

Run as a program, with the folder as its argument and requests on standard input, this file is that
process. It must therefore import nothing of this package.
"""

import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# Packages that a server does not have.
_ABSENT = ("official_nlp", "tf_keras")
_SECONDS = 600


class CleanProcessError(Exception):
    """The process failed; the message is the end of what it printed."""


def run(
    folder: pathlib.Path, requests: Mapping[str, Mapping[str, Sequence[Any]]]
) -> dict[str, dict[str, Any]]:
    """Return the outputs of signatures, as nested lists of numbers, booleans and strings.

    Args:
      folder: the SavedModel.
      requests: strings, or lists of them, by input, for each signature by name.

    Raises:
      CleanProcessError: the SavedModel cannot be loaded or run there.
    """
    # -I: neither the working directory nor PYTHONPATH, where this package may be, is on the path.
    command = [sys.executable, "-I", __file__, str(folder)]
    try:
        process = subprocess.run(
            command,
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CleanProcessError(str(error)) from error
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if line.strip()]
        last = lines[-1] if lines else f"exit code {process.returncode}, without a message"
        raise CleanProcessError(last.strip())
    return json.loads(process.stdout.splitlines()[-1])


def _main(folder: str) -> None:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers operations

    requests = json.load(sys.stdin)
    loaded = tf.saved_model.load(folder)
    present = [name for name in _ABSENT if name in sys.modules]
    if present:
        raise SystemExit(f"the model must load without {', '.join(present)}, but imported it")
    results = {}
    for name, request in requests.items():
        feed = {key: tf.constant(values, tf.string) for key, values in request.items()}
        outputs = loaded.signatures[name](**feed)
        results[name] = {key: _listed(tensor.numpy()) for key, tensor in outputs.items()}
    # ASCII, whatever the encoding of standard output is.
    print(json.dumps(results))


def _listed(array: Any) -> Any:
    values = array.tolist()
    return _decoded(values) if array.dtype == object else values


def _decoded(value: Any) -> Any:
    return [_decoded(each) for each in value] if isinstance(value, list) else value.decode()


if __name__ == "__main__":
    _main(sys.argv[1])
