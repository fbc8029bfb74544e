"""Load saved objects in a separate process, without a call before, and run them.

Usage: python -m tests.conformance.load_all FOLDER. For every FOLDER/NAME.keras, NAME.export and
NAME.tf, write the outputs and variables, or the error, to NAME.KIND.npz.
"""

import pathlib
import sys
import traceback

import numpy as np
import tensorflow as tf

from tests.conformance.outputs import flat


def main(folder):
    """Run first what must run without the package, then what needs it."""
    results = {path: _attempt(_run_plain, path) for path in _paths(folder, "export", "tf")}
    assert not any(name.split(".")[0] == "official_nlp" for name in sys.modules)
    for path in _paths(folder, "keras", "tf"):
        results[path] = {**results.get(path, {}), **_attempt(_run_keras, path)}
    for path, arrays in results.items():
        np.savez(f"{path}.npz", **arrays)


def _paths(folder, *kinds):
    return [path for kind in kinds for path in sorted(folder.glob(f"*.{kind}"))]


def _attempt(run, path) -> dict:
    try:
        return run(path)
    except Exception:
        return {"error": traceback.format_exc()}


def _run_plain(path) -> dict:
    model = tf.saved_model.load(str(path))
    if path.suffix == ".export":
        return _named("serve", model.serve(list(_arrays(path, "arrays").values())))
    assert "serving_default" in model.signatures
    inputs = _arrays(path, "named")
    if "x0" in inputs:
        inputs = list(inputs.values()) if len(inputs) > 1 else inputs["x0"]
    return _named("called", model(inputs))


def _named(kind, tensors) -> dict:
    return {f"{kind}|{name}": x.numpy() for name, x in flat(tensors).items()}


def _arrays(path, kind):
    with np.load(path.with_suffix(f".{kind}.npz")) as file:
        return {key: tf.constant(x) for key, x in file.items()}


def _run_keras(path) -> dict:
    # Imported only here, because exports must run without these modules.
    import tf_keras

    from tests.conformance import objects

    model = tf_keras.models.load_model(path)
    variables = {f"variable|{i}": v.numpy() for i, v in enumerate(model.variables)}
    return {**variables, **_named("output", objects.call_saved(model, path.stem))}


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
