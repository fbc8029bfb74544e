"""Run an exported model in a new process that has nothing of this package.

Run as a program, with the folder of a SavedModel as its argument and requests on standard input,
this file is that process. It must therefore import nothing of this package.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
    printed = _run_program(pathlib.Path(__file__), [folder], json.dumps(requests))
    return json.loads(printed.splitlines()[-1])


def run_network(
    file: pathlib.Path, batches: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """Return the outputs of a network in a file of its own, for each batch.

    Args:
      file: the file; its suffix is that of its format.
      batches: arrays by name of the input.

    Raises:
      CleanProcessError: the file cannot be loaded or run there.
    """
    # The process runs what `Predictor` runs.
    program = pathlib.Path(__file__).parents[1] / "inference" / "network_files.py"
    calls: dict[str, Any] = {
        f"{number}/{name}": array
        for number, batch in enumerate(batches)
        for name, array in batch.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = (pathlib.Path(folder, name) for name in ("inputs.npz", "outputs.npz"))
        np.savez(inputs, **calls)
        _run_program(program, [file, inputs, outputs])
        results: list[dict[str, np.ndarray]] = [{} for _ in batches]
        with np.load(outputs) as archive:
            for key in archive.files:
                number, _, name = key.partition("/")
                results[int(number)][name] = archive[key]
    return results


def _run_program(program: pathlib.Path, arguments: Sequence[pathlib.Path], text: str = "") -> str:
    """Return what a program prints, with a text on its standard input.

    Raises:
      CleanProcessError: it fails.
    """
    # -I: neither the working directory nor PYTHONPATH, where this package may be, is on the path.
    command = [sys.executable, "-I", str(program), *map(str, arguments)]
    try:
        process = subprocess.run(
            command,
            input=text,
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
    return process.stdout


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
