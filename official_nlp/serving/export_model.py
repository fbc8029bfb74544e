"""Export a model and its tokenizer for servers, phones and other programs."""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import tensorflow as tf

import official_nlp
from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.files import atomic, guarded, staged_folders
from official_nlp.inference import exported_files
from official_nlp.inference.exported_files import (
    LITERT,
    LITERT_INT8,
    ONNX,
    ONNX_INT8,
    SAVED_MODEL,
    Description,
)
from official_nlp.inference.predictor import Predictor
from official_nlp.serving import triton_config
from official_nlp.serving.dev_set import DevSet
from official_nlp.serving.formats.litert import LiteRtWriter
from official_nlp.serving.formats.onnx import OnnxWriter
from official_nlp.serving.formats.saved_model import SavedModelWriter
from official_nlp.serving.formats.writer import Contents, Writer
from official_nlp.serving.served_network import token_signature
from official_nlp.tasks.finetuning.predicted_texts import WINDOWS

_NETWORK_FILES: dict[str, Callable[[Predictor], Writer]] = {
    ONNX: OnnxWriter,
    ONNX_INT8: lambda predictor: OnnxWriter(predictor, is_quantized=True),
    LITERT: LiteRtWriter,
    LITERT_INT8: lambda predictor: LiteRtWriter(predictor, is_quantized=True),
}


def export(
    model: str | os.PathLike | Predictor,
    folder: str | os.PathLike,
    format: str = SAVED_MODEL,
    *,
    dev: str | os.PathLike | None = None,
    triton: bool = False,
    long_texts: str | None = None,
) -> pathlib.Path:
    """Write the next version of an exported folder.

    `saved_model` is a SavedModel that takes strings: it holds the weights, the tokenizer and the
    names of the labels, and needs `tensorflow` and `tensorflow_text`. The other formats have a file
    for each network, which takes token ids and returns logits: `onnx` for ONNX Runtime, `litert`
    for LiteRT, and `onnx-int8` and `litert-int8` the same with 8-bit weights. Beside them are the
    tokenizer and a description of the model. `Predictor.from_pretrained` reads every format.

    Before a version appears, another process that has only the packages of the format runs it on
    samples, and the results must equal those of the model. With 8-bit weights they differ: the
    largest difference is recorded.

    Args:
      model: a `Predictor`, or a path for `Predictor.from_pretrained`.
      folder: folder in the layout of TensorFlow Serving. The new version is a subfolder named 1,
        or one more than the largest number there.
      format: `saved_model`, `onnx`, `onnx-int8`, `litert` or `litert-int8`.
      dev: file of labeled examples. The main metric of the export must be that of the model, or at
        most half a point of 100 lower; both are recorded.
      long_texts: of a SavedModel: `windows`, the default: divide texts that are longer than a
        sequence into windows, where `Predictor` does; or `truncate`: read their beginning, in less
        time.
      triton: also write `config.pbtxt`, with which the folder is a model of Triton's repository.

    Returns:
      The folder of the new version.

    Raises:
      InputError: the model cannot be opened or exported, the folder cannot be written or has
        versions of another kind, a package of the format is not installed, `dev`, `triton` or
        `long_texts` do not fit, or the export does not compute what the model does; no version was
        added then.

    Example:
      nlp.export("runs/reviews/model", "served/reviews")
    """
    ranges.Choice(exported_files.FORMATS).require("format", format)
    if triton:
        triton_config.check_format(format)
    folder = pathlib.Path(folder)
    _check_versions(folder, format)
    predictor = model if isinstance(model, Predictor) else Predictor.from_pretrained(model)
    examples = None if dev is None else DevSet(predictor, dev)
    writer = _writer(predictor, format, long_texts)
    configuration = _triton_configuration(folder, writer) if triton else None
    version = folder / str(max(exported_files.versions(folder), default=0) + 1)
    with staged_folders.staged(version) as partial:
        contents = writer.write(partial)
        predictor.tokenizer.save_pretrained(partial / exported_files.TOKENIZER)
        description = _description(predictor, format, contents)
        description.write(partial)
        measured = writer.check(partial)
        if examples is not None:
            exported = Predictor.from_pretrained(partial, length=predictor.length)
            measured["dev"] = examples.compare(exported)
        dataclasses.replace(description, measured=measured).write(partial)
        if configuration is not None:
            atomic.write(folder / triton_config.FILE, configuration)
    return version


def _writer(predictor: Predictor, format: str, long_texts: str | None) -> Writer:
    if format == SAVED_MODEL:
        return SavedModelWriter(predictor, long_texts or WINDOWS)
    if long_texts is not None:
        raise InputError(
            f"long_texts is for {SAVED_MODEL}, which takes texts, but the format is {format}: "
            "leave it out"
        )
    return _NETWORK_FILES[format](predictor)


def _triton_configuration(folder: pathlib.Path, writer: Writer) -> str:
    """Return the content of `config.pbtxt`; refuse to replace another one."""
    content = triton_config.configuration(writer.networks)
    file = folder / triton_config.FILE
    if file.exists() and guarded.read_text(file, "remove it") != content:
        raise InputError(
            f"{file} must be that of this model, but differs: name another folder, or remove it"
        )
    return content


def _check_versions(folder: pathlib.Path, format: str) -> None:
    """Refuse a folder whose versions are of another kind: a server loads one kind."""
    newest = exported_files.newest_version(folder)
    if newest is None:
        return
    found = exported_files.kind_of(newest)
    if found != format.removesuffix("-int8"):
        raise InputError(
            f"{folder} must hold versions of one kind, but {newest} has the format {found}: name "
            f"another folder for {format}"
        )


def _description(predictor: Predictor, format: str, contents: Contents) -> Description:
    return Description(
        format=format,
        head=type(predictor.head).__name__,
        length=predictor.length,
        networks={
            part: {
                "class": type(model).hugging_face_class,
                "config": model.config.to_dict(),
                "signature": token_signature(part),
                **contents.files.get(part, {}),
            }
            for part, model in predictor.parts.items()
        },
        signatures=contents.signatures,
        versions={
            "official_nlp": official_nlp.__version__,
            "tensorflow": tf.__version__,
            **contents.versions,
        },
        windows=contents.windows,
    )
