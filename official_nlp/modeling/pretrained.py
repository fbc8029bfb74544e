"""Load models from Hugging Face folders, and save them as such folders."""

import dataclasses
import json
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from official_nlp.errors import InputError, nearest
from official_nlp.interchange import huggingface, tensor_shapes, vocabulary_fit
from official_nlp.interchange.load_report import LoadReport, listed
from official_nlp.interchange.weights import OUTPUT_TABLE, repeats_word_table
from official_nlp.modeling.tensor_names import NamedTensor

# Arguments of every constructor that are not fields of a configuration.
_OPTIONS = ("name", "dtype", "recompute")
_LABELS = ("num_labels", "id2label", "label2id")
_NO_FIELD = (
    "ElectraConfig lists the fields, and official_nlp/interchange/README.md the counterparts of "
    "transformers' arguments"
)

Model = TypeVar("Model", bound="Pretrained")


class Pretrained:
    """Mixin of a Keras model that loads and saves Hugging Face folders.

    List it before the model among the base classes. A subclass defines `hugging_face_class`,
    `config_class` and `named_tensors()`. Its constructor takes the configuration as first argument,
    stores it in the attribute `config` and creates all variables.

    Attributes:
      hugging_face_class: name of the counterpart in Hugging Face's library.
      config_class: class of the configuration.
      config: the configuration of this model.
      load_report: report on the tensors that were loaded last; None before.
    """

    hugging_face_class: str
    config_class: type
    config: Any
    load_report: LoadReport | None = None
    # Further arguments of the constructor that are no fields, in attributes of the same names.
    _head_options: tuple[str, ...] = ()

    if TYPE_CHECKING:  # At run time the constructor is that of the model behind this mixin.

        def __init__(self, config: Any, **options: Any) -> None: ...

    @classmethod
    def from_pretrained(
        cls: type[Model],
        folder: str | os.PathLike,
        *,
        strict: bool = False,
        ignore_mismatched_sizes: bool = False,
        **config_overrides: Any,
    ) -> Model:
        """Return the model of a folder with config.json and weights.

        The weights are read from model.safetensors, its shards, tf_model.h5 or, where torch is
        installed, pytorch_model.bin. A folder of another kind of ELECTRA model is accepted: its
        encoder is loaded, the head is newly initialized, and a warning names the tensors. Nothing
        is downloaded.

        Args:
          folder: path of the folder.
          strict: raise unless the model and the file have the same tensors.
          ignore_mismatched_sizes: newly initialize tensors whose shape differs from the file's, and
            layers that the file lacks, instead of raising.
          **config_overrides: fields of the configuration that replace those of the file; and
            `name`, `dtype` (a Keras policy, such as mixed_bfloat16), `recompute` and the options of
            the head of the model.

        Raises:
          InputError: the folder cannot be read, or does not fit the model; the vocabulary in it
            does not fit the model; or an override is no field.
        """
        names = (*_OPTIONS, *cls._head_options)
        options = {k: config_overrides.pop(k) for k in names if k in config_overrides}
        # All checks come before the constructor, which allocates variables of the declared sizes.
        config = _overridden(cls.config_class, huggingface.read_config(folder), config_overrides)
        notes = vocabulary_fit.compare_folder(pathlib.Path(folder), config.vocab_size)
        found = huggingface.read_folder(folder)
        source = os.path.join(folder, found.file)
        # Before the model is built, which declared sizes could make arbitrarily large.
        layers = min(config.num_hidden_layers, tensor_shapes.number_of_layers(found.arrays))
        LoadReport.compare(
            source,
            model=tensor_shapes.encoder_shapes(config, layers),
            file={name: array.shape for name, array in found.arrays.items()},
        ).require_some()
        if not ignore_mismatched_sizes:
            wrong = tensor_shapes.contradictions(config, found.arrays)
            LoadReport(source, mismatched=wrong).require_shapes()
        model = cls(config, **options)
        report = model.load_state(found.arrays, source, strict, ignore_mismatched_sizes)
        if found.prefix:
            notes += (f"the names in {source} were read without their prefix {found.prefix!r}",)
        left = tensor_shapes.leftovers(config, report.ignored)
        if left:
            notes += (
                f"{cls.__name__}: {source} has {len(left)} tensors of the encoder that this model "
                f"lacks, and they were ignored: {listed(left)}; the configuration declares "
                f"num_hidden_layers={config.num_hidden_layers}, the file has "
                f"{tensor_shapes.number_of_layers(found.arrays)} layers",
            )
        model.load_report = dataclasses.replace(report, notes=notes)
        if report.newly_initialized:
            notes += (
                f"{cls.__name__}: newly initialized, because {source} lacks them: "
                f"{listed(report.newly_initialized)}; train the model before you use it",
            )
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return model

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        dtype: str = "float32",
        max_shard_size: int | str = "5GB",
    ) -> None:
        """Write config.json and model.safetensors, which Hugging Face's library loads as well.

        The tokenizer's files are written by its own `save_pretrained`, before or after.

        Args:
          folder: path of the folder, which is created if necessary; other files in it remain.
          dtype: dtype of the stored weights: float32, float16 or bfloat16.
          max_shard_size: bytes, or a string such as 500MB; a larger model is divided into shards.

        Raises:
          InputError: the folder is a file, or another argument is invalid.
          StorageError: the disk is full or refuses to write; a model that was in the folder before
            remains complete.
        """
        config = {**json.loads(self.config.to_json()), "architectures": [self.hugging_face_class]}
        huggingface.write_folder(folder, json.dumps(config), self.state(), dtype, max_shard_size)

    def load_state(
        self,
        state: Mapping[str, np.ndarray],
        source: str | os.PathLike,
        strict: bool = False,
        ignore_mismatched_sizes: bool = False,
    ) -> LoadReport:
        """Assign arrays to the variables with the same names. If it raises, none was assigned.

        Args:
          state: arrays by Hugging Face's names, in its layout; for example `state()` of a model.
          source: name of their source, for the report.
          strict: as in `from_pretrained`.
          ignore_mismatched_sizes: as in `from_pretrained`.

        Raises:
          InputError: no name matches; a shape differs; or, if strict, the names differ.
        """
        # The report checks everything before the first assignment, as the docstring promises.
        tensors = {tensor.name: tensor for tensor in self.named_tensors()}
        report = LoadReport.compare(
            str(source),
            model={name: tensor.shape for name, tensor in tensors.items()},
            file={name: array.shape for name, array in state.items()},
            tied=_tied(tensors, state),
        )
        report = _without_mismatches(report, tensors, state)
        if strict:
            report.require_all()
        if not ignore_mismatched_sizes:
            report.require_shapes()
        report.require_some()
        for name in report.loaded:
            tensors[name].assign_hugging_face(state[name])
        self.load_report = report
        return report

    def state(self) -> dict[str, np.ndarray]:
        """Return all variables as float32 arrays by Hugging Face's names, in its layout."""
        return {tensor.name: tensor.to_hugging_face() for tensor in self.named_tensors()}

    def named_tensors(self) -> list[NamedTensor]:
        """Return the variables of the model with their names, tied ones once."""
        raise NotImplementedError(f"{type(self).__name__} must define named_tensors()")


def _overridden(config_class: Any, values: Mapping[str, Any], overrides: Mapping[str, Any]) -> Any:
    """Return the configuration of a file's values with overrides."""
    known = {field.name for field in dataclasses.fields(config_class)} - {"extra"}
    for name in overrides:
        # A key that only the file has is a field too: it is retained in `extra`.
        if name not in known and name not in values:
            hint = nearest(name, known) or f"; {_NO_FIELD}"
            raise InputError(f"{name} must be a field of the configuration, but is none{hint}")
    # `replace` adapts the labels that are not overridden to those that are.
    labels = {name: value for name, value in overrides.items() if name in _LABELS}
    others = {name: value for name, value in overrides.items() if name not in _LABELS}
    return config_class.from_dict({**values, **others}).replace(**labels)


def _without_mismatches(
    report: LoadReport, tensors: Mapping[str, NamedTensor], state: Mapping[str, np.ndarray]
) -> LoadReport:
    """Count values that a variable cannot have among the mismatched ones, like other shapes."""
    problems = {name: tensors[name].mismatch(state[name]) for name in report.loaded}
    wrong = tuple(f"{name}: {problem}" for name, problem in problems.items() if problem)
    loaded = tuple(name for name, problem in problems.items() if not problem)
    return dataclasses.replace(report, loaded=loaded, mismatched=report.mismatched + wrong)


def _tied(tensors: Mapping[str, NamedTensor], state: Mapping[str, np.ndarray]) -> list[str]:
    """Return the output table's name if the model ties it and the file repeats the word table."""
    # A model that has the bias of the output layer but no table of its own uses the word table.
    ties = "generator_lm_head.bias" in tensors and OUTPUT_TABLE not in tensors
    return [OUTPUT_TABLE] if ties and repeats_word_table(state) else []
