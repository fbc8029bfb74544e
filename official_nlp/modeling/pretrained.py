"""Models that are read from folders of Hugging Face's layout, and written to them."""

import dataclasses
import difflib
import json
import os
import warnings

import numpy as np

from official_nlp.errors import InputError
from official_nlp.interchange import huggingface
from official_nlp.interchange.load_report import LoadReport, listed
from official_nlp.interchange.weights import OUTPUT_TABLE, WORD_TABLE, most_rows, repeats_word_table
from official_nlp.modeling.tensor_names import NamedTensor

# Arguments of the constructor that no config.json has.
_OPTIONS = ("name", "dtype", "recompute")
_LABELS = ("num_labels", "id2label", "label2id")
_NO_FIELD = (
    "ElectraConfig says which there are, and official_nlp/interchange/README.md what stands here "
    "for the arguments of transformers"
)


class Pretrained:
    """What a Keras model inherits in order to be loaded and saved; the model comes after it.

    A class says `hugging_face_class`, the name of its counterpart; `config_class`; and
    `named_tensors()`. Its constructor takes the configuration first and makes all variables; the
    attribute `config` is what it was given.

    Attributes:
      load_report: a `LoadReport` of what was loaded last, or None.
    """

    hugging_face_class: str
    config_class: type
    load_report: LoadReport | None = None

    @classmethod
    def from_pretrained(
        cls, folder, *, strict=False, ignore_mismatched_sizes=False, **config_overrides
    ):
        """Returns the model of a folder: config.json and weights.

        The weights are in model.safetensors, in parts of it, in tf_model.h5 or, where torch is
        installed, in pytorch_model.bin. Those of another kind of ELECTRA model are welcome: the
        encoder is loaded, the head stays fresh, which a warning says. Nothing is downloaded.

        Args:
          folder: a path.
          strict: raise unless the model and the file have the same tensors.
          ignore_mismatched_sizes: leave tensors fresh that have another shape in the file.
          **config_overrides: fields of the configuration, in place of the file's; and `name`,
            `dtype` (a policy of Keras, such as mixed_bfloat16) and `recompute` of the model.

        Raises:
          InputError: the folder cannot be read, does not fit, or the vocabulary in it does not
            fit the model; an override is no field.
        """
        options = {k: config_overrides.pop(k) for k in _OPTIONS if k in config_overrides}
        config = _overridden(cls.config_class, huggingface.read_config(folder), config_overrides)
        notes = _check_vocabulary(folder, config.vocab_size, ignore_mismatched_sizes)
        found = huggingface.read_folder(folder)
        source = os.path.join(folder, found.file)
        if not ignore_mismatched_sizes:
            _check_sizes(config, found.arrays, source)
        model = cls(config, **options)
        report = model.load_state(found.arrays, source, strict, ignore_mismatched_sizes)
        model.load_report = dataclasses.replace(report, notes=notes)
        if report.newly_initialized:
            notes += (
                f"{cls.__name__}: not in {source}, and so freshly initialized: "
                f"{listed(report.newly_initialized)}; train the model before you use it",
            )
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return model

    def save_pretrained(self, folder, dtype="float32", max_shard_size="5GB"):
        """Writes config.json and model.safetensors, which transformers loads, too.

        Files of a tokenizer come from its own `save_pretrained`, before or after.

        Args:
          folder: made if need be; other files in it stay.
          dtype: what to store: float32, float16 or bfloat16.
          max_shard_size: bytes, or a string such as 500MB; what is larger becomes several files.

        Raises:
          InputError: the folder is a file, or the other arguments are of no use.
          StorageError: the disk is full, or refuses; a model that was there before is whole.
        """
        config = {**json.loads(self.config.to_json()), "architectures": [self.hugging_face_class]}
        huggingface.write_folder(folder, json.dumps(config), self.state(), dtype, max_shard_size)

    def load_state(
        self, state: dict[str, np.ndarray], source, strict=False, ignore_mismatched_sizes=False
    ) -> LoadReport:
        """Assigns arrays by Hugging Face's names; where it raises, nothing was assigned.

        Args:
          state: what `HuggingFaceFolder` has, or `state()` of another model.
          source: what the report calls it.
          strict, ignore_mismatched_sizes: as in `from_pretrained`.

        Raises:
          InputError: nothing matched; a tensor has another shape; or, if strict, is not there.
        """
        tensors = {tensor.name: tensor for tensor in self.named_tensors()}
        report = LoadReport.compare(
            str(source),
            model={name: tensor.shape for name, tensor in tensors.items()},
            file={name: array.shape for name, array in state.items()},
            tied=_tied(tensors, state),
        )
        if strict:
            report.require_all()
        if not ignore_mismatched_sizes:
            report.require_shapes()
        report.require_some()
        for name in report.loaded:
            tensors[name].assign(state[name])
        self.load_report = report
        return report

    def state(self) -> dict[str, np.ndarray]:
        """Returns all variables as float32 arrays, by Hugging Face's names."""
        return {tensor.name: tensor.to_array() for tensor in self.named_tensors()}

    def named_tensors(self) -> list[NamedTensor]:
        """Returns what the model has, tied tensors once."""
        raise NotImplementedError(f"{type(self).__name__} must say which tensors it has")


def _overridden(config_class, values, overrides):
    known = {field.name for field in dataclasses.fields(config_class)} - {"extra"}
    for name in overrides:
        if name not in known and name not in values:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else _NO_FIELD
            raise InputError(f"{name} must be a field of the configuration, but is none; {hint}")
    labels = {name: value for name, value in overrides.items() if name in _LABELS}
    others = {name: value for name, value in overrides.items() if name not in _LABELS}
    return config_class.from_dict({**values, **others}).replace(**labels)


def _check_sizes(config, state, source):
    """A configuration that lies is told before a model of its size is made."""
    width, embeddings, layer = config.hidden_size, "electra.embeddings", "electra.encoder.layer.0"
    expected = {
        WORD_TABLE: (config.vocab_size, config.embedding_size),
        f"{embeddings}.position_embeddings.weight": (
            config.max_position_embeddings,
            config.embedding_size,
        ),
        f"{embeddings}.token_type_embeddings.weight": (
            config.type_vocab_size,
            config.embedding_size,
        ),
        f"{layer}.attention.self.query.weight": (width, width),
        f"{layer}.intermediate.dense.weight": (config.intermediate_size, width),
    }
    shapes = {name: array.shape for name, array in state.items()}
    LoadReport.compare(source, expected, shapes).require_shapes()


def _tied(tensors, state) -> list[str]:
    """An output that is tied in the model may be stored in a file, once more."""
    wanted = "generator_lm_head.bias" in tensors and OUTPUT_TABLE not in tensors
    return [OUTPUT_TABLE] if wanted and repeats_word_table(state) else []


def _check_vocabulary(folder, rows, tolerant) -> tuple[str, ...]:
    """Returns what is to be said of the vocabulary beside the weights, if it is there."""
    count = huggingface.vocabulary_size(folder)
    if count is None or count == rows:
        return ()
    file = os.path.join(folder, "vocab.txt")
    if count > rows:
        raise InputError(
            f"{file} must not have more tokens than vocab_size={rows} says, but gives ids up to "
            f"{count - 1}, which have no vector; put the vocabulary of this model there"
        )
    if not tolerant and rows > most_rows(count):
        raise InputError(
            f"{file} must have a token for each of vocab_size={rows} vectors, but has {count}, and "
            "padding does not explain that: it seems cut off, or another model's; put the whole "
            "file there, or pass ignore_mismatched_sizes=True"
        )
    return (f"{file} has {count} tokens for {rows} vectors: the last {rows - count} are unused",)
