"""Loads saved models in a process of its own, without calling them first, and runs them.

Usage: python load_all.py FOLDER. Reads FOLDER/*.keras, writes FOLDER/outputs.npz.
"""

import pathlib
import sys

import numpy as np
import tf_keras

import official_nlp.modeling.models  # noqa: F401  registers the classes
from tests.conformance import table

folder = pathlib.Path(sys.argv[1])
arrays = {}
for path in sorted(folder.glob("*.keras")):
    name = path.stem
    model = tf_keras.models.load_model(path)
    for i, variable in enumerate(model.variables):
        arrays[f"{name}|variable|{i}"] = variable.numpy()
    for key, value in table.call_saved(model, name).items():
        arrays[f"{name}|output|{key}"] = value.numpy()
np.savez(folder / "outputs.npz", **arrays)
