"""Load the models and the tokenizer of a run, a model folder, a checkpoint or an export."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Collection, Mapping

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files import guarded
from official_nlp.inference import exported, exported_files
from official_nlp.interchange import sources, tensor_shapes, vocabulary_fit
from official_nlp.interchange.load_report import listed
from official_nlp.interchange.weights import Weights
from official_nlp.modeling import models, networks
from official_nlp.modeling.networks import ElectraConfig

_CLASSES = {
    each.hugging_face_class: each
    for each in (
        networks.ElectraEncoder,
        models.ElectraForPreTraining,
        models.ElectraForMaskedLM,
        models.ElectraForCausalLM,
        models.ElectraForSequenceClassification,
        models.ElectraForMultipleChoice,
        models.ElectraForTokenClassification,
        models.ElectraForQuestionAnswering,
        models.ElectraForJointQuestionAnswering,
    )
}
# Tensors that only one head has, to find the class if the configuration does not name it.
_HEADS = {
    "discriminator_predictions.dense.weight": "ElectraForPreTraining",
    "generator_predictions.dense.weight": "ElectraForMaskedLM",
    "classifier.out_proj.weight": "ElectraForSequenceClassification",
    "sequence_summary.summary.weight": "ElectraForMultipleChoice",
    "classifier.weight": "ElectraForTokenClassification",
    "qa_outputs.weight": "ElectraForQuestionAnswering",
    "span_head.start.weight": "ElectraForJointQuestionAnswering",
}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """The models of a path.

    Attributes:
      networks: models by the name of their part: "generator" and "discriminator", one of these,
        or "" for a model that is not part of a pair.
      tokenizer: their tokenizer.
      length: number of tokens of the longest sequence in training; None if the source does not
        record it.
    """

    networks: dict
    tokenizer: ElectraTokenizer
    length: int | None


def load(path: str | os.PathLike, checkpoint: int | str | None = None) -> LoadedModel:
    """Load whatever is at a path that `interchange.sources` reads, or an exported model.

    Args:
      path: the path.
      checkpoint: checkpoint of a run: `newest` (the default), `best` or the number of a step.

    Raises:
      InputError: the path cannot be read, has no tokenizer, or lacks weights of the model that
        its configuration names.
    """
    version = exported_files.newest_version(path)
    if version is not None:
        if checkpoint is not None:
            raise InputError(f"{path} is an exported model, which has no checkpoint {checkpoint!r}")
        return LoadedModel(*exported.open_networks(version, _CLASSES))
    source = sources.open(path, checkpoint=checkpoint)
    tokenizer = source.load_tokenizer()
    if tokenizer is None:
        raise InputError(
            f"{path} has no tokenizer; put the vocabulary of the model, vocab.txt or spm.model, "
            "beside the weights"
        )
    return LoadedModel(
        {name: _build(f"{path} {name}".strip(), each) for name, each in source.networks.items()},
        tokenizer,
        _trained_length(source.path),
    )


def _build(source: str, weights: Weights):
    """Return the Keras model with these weights; `source` is its name in messages."""
    config = ElectraConfig.from_dict(weights.config)
    name = _class_name(source, weights.config, weights.arrays)
    # This check comes before the model is allocated, because a wrong configuration may ask for any
    # amount of memory.
    wrong = tensor_shapes.contradictions(config, weights.arrays, name)
    if wrong:
        raise InputError(
            f"{source}: the configuration contradicts the weights: {listed(wrong)}; put the "
            "config.json of this model there"
        )
    model = _CLASSES[name](config)
    # Unlike `from_pretrained`, prediction accepts no newly initialized head.
    missing = [t.name for t in model.named_tensors() if t.name not in weights.arrays]
    if missing:
        raise InputError(
            f"{source} must hold all weights of {name}, but lacks {listed(missing)}; a model "
            "predicts only after its head is trained: fine-tune it first"
        )
    model.load_state(dict(weights.arrays), source)
    return model


def _class_name(source: str, config: Mapping, tensors: Collection[str]) -> str:
    named = config.get("architectures") or []
    if named:  # Hugging Face writes a list with the class of the saved model.
        if named[0] not in _CLASSES:
            raise InputError(
                f"{source}: architectures must name one of {', '.join(_CLASSES)}, got {named[0]!r}"
            )
        return named[0]
    found = next((name for tensor, name in _HEADS.items() if tensor in tensors), "ElectraModel")
    # A decoder has the tensors of the generator.
    decoder = found == "ElectraForMaskedLM" and config.get("is_decoder")
    return "ElectraForCausalLM" if decoder else found


def _trained_length(place: pathlib.Path) -> int | None:
    """Return the longest sequence of a run's phases: later positions are not trained."""
    if not (place / "run.json").is_file():
        return None
    phases = guarded.read_object(place / "run.json", "copy the run again").get("phases")
    try:
        return max((int(phase["length"]) for phase in phases or []), default=None)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{place / 'run.json'} must list phases with a length each") from None


def check_vocabulary(tokenizer: ElectraTokenizer, config: ElectraConfig) -> None:
    """Warn of rows of the word table without a token.

    Raises:
      InputError: the tokenizer has more tokens than a model of this configuration has rows.
    """
    for note in vocabulary_fit.compare(tokenizer.vocab_size, config.vocab_size, "of the model"):
        warnings.warn(note, stacklevel=3)
