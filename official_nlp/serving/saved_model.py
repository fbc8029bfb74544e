"""Export a model and its tokenizer as a SavedModel that takes strings."""

import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import official_nlp
from official_nlp.errors import InputError
from official_nlp.files import staged_folders
from official_nlp.inference import exported_files
from official_nlp.inference.predictor import Predictor
from official_nlp.ranges import shown
from official_nlp.serving import clean_process, heads, warmup
from official_nlp.serving.served_head import ServedHead
from official_nlp.tasks.finetuning.predicted_texts import WINDOWS

# Largest difference of a number in another process. Sums are rounded differently there.
_TOLERANCE = 1e-5
_ADVICE = "please report this with the model's config.json; nothing was exported"


def export(
    model: str | os.PathLike | Predictor,
    folder: str | os.PathLike,
    *,
    long_texts: str = WINDOWS,
) -> pathlib.Path:
    """Write the next version of an exported folder: a SavedModel that takes strings.

    The SavedModel holds the weights, the tokenizer and the names of the labels, and needs
    `tensorflow` and `tensorflow_text` to be loaded. Before it appears, another process that imports
    these two alone runs it on sample texts, and the results must equal those of the model.

    Args:
      model: a `Predictor`, or a path for `Predictor.from_pretrained`.
      folder: folder in the layout of TensorFlow Serving. The new version is a subfolder named 1,
        or one more than the largest number there.
      long_texts: `windows`: divide texts that are longer than a sequence into windows, where
        `Predictor` does; or `truncate`: read their beginning, in less time.

    Returns:
      The folder of the new version.

    Raises:
      InputError: the model cannot be opened or exported, the folder cannot be written, or the
        SavedModel does not compute what the model does; no version was added then.

    Example:
      nlp.export("runs/reviews/model", "served/reviews")
    """
    predictor = model if isinstance(model, Predictor) else Predictor.from_pretrained(model)
    served = heads.served_head(predictor.head, predictor.parts, long_texts)
    folder = pathlib.Path(folder)
    version = folder / str(max(exported_files.versions(folder), default=0) + 1)
    with staged_folders.staged(version) as partial:
        _write(predictor, served, partial, folder.resolve().name)
        _check(predictor, served, partial)
    return version


def _write(predictor: Predictor, served: ServedHead, folder: pathlib.Path, model: str) -> None:
    """Write the SavedModel, its warm-up requests, the tokenizer and the description.

    Args:
      predictor: the model.
      served: its signatures.
      folder: an empty folder.
      model: name of the model.
    """
    signatures = served.signatures()
    by_part = served.token_signatures()
    for part, name in by_part.items():
        signatures[name] = served.networks[part].function
    tf.saved_model.save(served, os.fspath(folder), signatures=signatures)
    requests = {name: each.request for name, each in served.samples().items()}
    warmup.write(folder, model, requests)
    predictor.tokenizer.save_pretrained(folder / exported_files.TOKENIZER)
    exported_files.Description(
        head=type(predictor.head).__name__,
        length=predictor.length,
        networks={
            part: {
                "class": type(predictor.parts[part]).hugging_face_class,
                "config": predictor.parts[part].config.to_dict(),
                "signature": name,
            }
            for part, name in by_part.items()
        },
        signatures={name: _described(function) for name, function in signatures.items()},
        versions={"official_nlp": official_nlp.__version__, "tensorflow": tf.__version__},
        windows=served.windows,
    ).write(folder)


def _described(function: Any) -> dict[str, dict[str, str]]:
    """Return the names, dtypes and shapes of inputs and outputs."""
    sides = {
        "inputs": function.structured_input_signature[1],
        "outputs": function.structured_outputs,
    }
    return {
        side: {name: _shape(spec) for name, spec in sorted(specs.items())}
        for side, specs in sides.items()
    }


def _shape(spec: Any) -> str:
    # The first axis is the batch, and others of no fixed size depend on the texts.
    sizes = ["?" if size is None else str(size) for size in spec.shape]
    return f"{spec.dtype.name} [{', '.join(['batch', *sizes[1:]])}]"


# === The check ===


def _check(predictor: Predictor, served: ServedHead, folder: pathlib.Path) -> None:
    """Run sample requests in a clean process, and compare with the predictor.

    Raises:
      InputError: the process fails, or a result differs.
    """
    samples = served.samples()
    try:
        found = clean_process.run(folder, {name: each.request for name, each in samples.items()})
    except clean_process.CleanProcessError as error:
        raise InputError(
            f"the exported model could not be run in a process of its own: {shown(str(error))}; "
            f"{_ADVICE}"
        ) from error
    for name, each in samples.items():
        outputs = {key: _array(values) for key, values in found[name].items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A short model truncates samples.
            expected = [result.to_dict() for result in predictor(each.inputs)]
        for text, one, other, truncated in zip(
            each.inputs, served.results(outputs), expected, outputs["truncated"]
        ):
            # `Predictor` divides long texts without a limit.
            if not truncated and not is_close(one, other):
                raise InputError(
                    f"the signature {name} of the exported model must return {shown(other)} for "
                    f"{shown(text)}, as the model does, but returned {shown(one)}; {_ADVICE}"
                )


def _array(values: list) -> np.ndarray:
    array = np.array(values)
    return array.astype(object) if array.dtype.kind == "U" else array


def is_close(one: Any, other: Any, tolerance: float = _TOLERANCE) -> bool:
    """Return whether two results are equal, except for small differences of numbers.

    Args:
      one, other: dicts, lists, strings and numbers.
      tolerance: largest absolute difference of two floats, and of larger ones the relative one.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        same = one.keys() == other.keys()
        return same and all(is_close(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        same = len(one) == len(other)
        return same and all(is_close(*each, tolerance) for each in zip(one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance * max(1.0, abs(other))
    return type(one) is type(other) and one == other
