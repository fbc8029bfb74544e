"""Open a model of any supported format: run, Hugging Face, google-research or Model Garden.

Converting, warm start and prediction all read through `open`.
"""

import dataclasses
import glob
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files import safe_paths
from official_nlp.interchange import (
    google,
    huggingface,
    model_card,
    tensorflow_files,
    vocabulary_fit,
)
from official_nlp.interchange.task_networks import HasNetworks
from official_nlp.interchange.tensorflow_files import VOCABULARY_FILE
from official_nlp.interchange.weights import WORD_TABLE, Weights

if TYPE_CHECKING:  # It takes seconds, and only runs need it.
    from official_nlp.interchange.saved_run import SavedRun

# Kinds of source: google-research checkpoint, Hugging Face folder, Model Garden checkpoint, run.
KINDS = ("google", "huggingface", "tfnlp", "run")

_PAIR = ("generator", "discriminator")
_TOKENIZER_FILES = (VOCABULARY_FILE, "spm.model", "tokenizer.json")
# Files of a model folder besides configuration and weights, which conversion copies.
_COPIED_FILES = (
    *_TOKENIZER_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
SHARING = {
    "shared": "both networks share one set of tables",
    "untied": "the generator has tables of its own",
    "whole": "one transformer is both networks",
    None: "one network",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """A model of any format: its networks, its tokenizer and what is known about them.

    Attributes:
      path: path of the run or folder, or of the checkpoint without suffix.
      kind: one of `KINDS`.
      title: a short description, such as "a run, step 100 of 100".
      networks: weights of each network: "generator" and "discriminator", or one of them. A single
        model has the empty name.
      dropped: names of tensors that were not read, by reason.
      notes: sentences on what was assumed and what is missing.
      tokenizer: tokenizer of all networks; None if there is none, or if `files` contain it: see
        `load_tokenizer`.
      files: files of each network to copy as they are.
      cards: text of the model card of each network.
      step: step of the training; 0 if unknown.
      assumed: fields of the configurations that the source does not state, so that a rule or a
        default was used.
    """

    path: pathlib.Path
    kind: str
    title: str
    networks: Mapping[str, Weights]
    dropped: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tokenizer: ElectraTokenizer | None = None
    files: Mapping[str, Sequence[pathlib.Path]] = dataclasses.field(default_factory=dict)
    cards: Mapping[str, str] = dataclasses.field(default_factory=dict)
    step: int = 0
    assumed: tuple[str, ...] = ()

    def load_tokenizer(self) -> ElectraTokenizer | None:
        """Return the tokenizer, from `files` if necessary; None if the source has none."""
        if self.tokenizer:
            return self.tokenizer
        for files in self.files.values():
            for file in files:
                if file.name in _TOKENIZER_FILES:
                    return ElectraTokenizer.from_pretrained(file.parent)
        return None


def recognize(path: str | os.PathLike) -> str:
    """Return the kind of source at a path, one of `KINDS`.

    Raises:
      InputError: the path is none of them, or more than one.
    """
    path = pathlib.Path(path)
    # A run comes first: its folder holds TensorFlow checkpoints too.
    if (path / "run.json").is_file() or _run_of(path):
        return "run"
    folders = [path, *(path / name for name in _PAIR)]
    has_model = any(huggingface.holds_weights(folder) for folder in folders)
    has_checkpoint = path.is_file() or any(path.parent.glob(f"{glob.escape(path.name)}.index"))
    has_checkpoint |= path.is_dir() and any(path.glob("*.index"))
    if has_model and has_checkpoint:
        raise InputError(
            f"{path} holds both Hugging Face weights and a TensorFlow checkpoint: choose one with "
            "--from huggingface, google or tfnlp"
        )
    if has_model:
        return "huggingface"
    if not has_checkpoint:
        raise InputError(
            f"{path} must be a run folder (run.json), a Hugging Face folder (model.safetensors, "
            "tf_model.h5, ...) or a TensorFlow checkpoint (its .index file, or the folder); it "
            f"{'holds none of these' if path.is_dir() else 'does not exist'}"
            + ("" if path.exists() else f"; {huggingface.NO_DOWNLOAD}")
        )
    # Only the content tells the two kinds of TensorFlow checkpoints apart: both are called
    # model.ckpt-1000 by their programs.
    from official_nlp.interchange import model_garden

    checkpoint = tensorflow_files.find_checkpoint(path)
    return "tfnlp" if model_garden.is_object_based(checkpoint) else "google"


def open(
    path: str | os.PathLike,
    kind: str | None = None,
    config: str | None = None,
    checkpoint: int | str | None = None,
) -> Source:
    """Read the networks at a path.

    Args:
      path: a run folder, or one of its checkpoints such as RUN/checkpoints/ckpt-1000; a Hugging
        Face folder, or a folder with a pair of them, generator/ and discriminator/; a checkpoint
        of google-research or Model Garden.
      kind: one of `KINDS`; None recognizes it.
      config: JSON file of a google-research checkpoint.
      checkpoint: checkpoint of a run: `newest` (the default), `best` or the number of a step.

    Raises:
      InputError: the path cannot be read, or `config` or `checkpoint` does not apply to its kind.
    """
    kind = recognize(path) if kind is None else kind
    check_choice("--from", kind, KINDS)
    if config is not None and kind != "google":
        raise InputError(
            f"--config applies to google-research checkpoints; {path} is of kind {kind}: leave the "
            "option out"
        )
    if checkpoint is not None and kind != "run":
        raise InputError(
            f"--checkpoint applies to runs; {path} is of kind {kind}: leave the option out"
        )
    path = pathlib.Path(path)
    if kind == "google":
        return _open_google(path, config)
    if kind == "run":
        return _open_run(path, checkpoint)
    return _open_tfnlp(path) if kind == "tfnlp" else _open_huggingface(path)


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError if the value of an option is none of the choices."""
    if value not in choices:
        raise InputError(f"{option} must be one of {', '.join(choices)}, was {value!r}")


# === Checkpoints of TensorFlow ===


def _open_google(path: pathlib.Path, config: str | None) -> Source:
    found = google.read_google(path, config)
    notes = [f"heads and activation: {found.config}"] if found.config else []
    tokenizer, tokenizer_notes = _tokenizer_beside(
        found.vocabulary, found.do_lower_case, found.networks
    )
    networks = found.networks
    if tokenizer:
        networks = {name: _with_padding(n, tokenizer) for name, n in networks.items()}
    step = "" if found.step is None else f", step {found.step:,}"
    return Source(
        path=found.prefix,
        kind="google",
        title=f"google-research checkpoint{step}; {len(found.converted)} variables, "
        f"{SHARING[found.sharing]}",
        networks=networks,
        dropped=found.dropped,
        notes=(*notes, *found.notes, *tokenizer_notes),
        tokenizer=tokenizer,
        step=found.step or 0,
        assumed=found.assumed,
    )


def _open_tfnlp(path: pathlib.Path) -> Source:
    from official_nlp.interchange import model_garden

    found = model_garden.read_model_garden(path)
    tokenizer, tokenizer_notes = _tokenizer_beside(
        found.vocabulary, found.do_lower_case, found.networks
    )
    return Source(
        path=found.prefix,
        kind="tfnlp",
        title="checkpoint of Model Garden's ElectraPretrainer",
        networks=found.networks,
        dropped={"not part of ELECTRA's networks": found.ignored} if found.ignored else {},
        notes=(*found.notes, *tokenizer_notes),
        tokenizer=tokenizer,
        assumed=found.assumed,
    )


def _tokenizer_beside(
    vocabulary: pathlib.Path | None, do_lower_case: bool | None, networks: Mapping[str, Weights]
) -> tuple[ElectraTokenizer | None, list[str]]:
    """Return the tokenizer of the vocabulary beside a checkpoint, and notes on what was assumed.

    A cased vocabulary is recognized by its capitals if nothing else states the casing.

    Raises:
      InputError: the vocabulary has more tokens than the word table has rows.
    """
    if vocabulary is None:
        return None, [f"no {VOCABULARY_FILE} beside it: the folders will have no tokenizer"]
    notes = []
    tokenizer = ElectraTokenizer(vocabulary, do_lower_case=True)
    if do_lower_case is None:
        # [CLS] and the like have capitals in lower-cased vocabularies too.
        special = {
            tokenizer.vocab[number] for number in [*tokenizer.special_ids, tokenizer.unk_token_id]
        }
        do_lower_case = not any(t != t.lower() for t in tokenizer.vocab if t not in special)
        reason = "no token has" if do_lower_case else "some tokens have"
        notes.append(f"tokenizer: assumed do_lower_case {do_lower_case}, as {reason} capitals")
    for network in networks.values():
        notes += vocabulary_fit.compare(
            tokenizer.vocab_size, network.config["vocab_size"], vocabulary
        )
    notes = list(dict.fromkeys(notes))  # both networks have tables of equal size
    return ElectraTokenizer(vocabulary, do_lower_case=do_lower_case), notes


def _with_padding(network: Weights, tokenizer: ElectraTokenizer) -> Weights:
    # google-research assumes 0, and its JSON file does not state the id.
    config = {**network.config, "pad_token_id": tokenizer.pad_token_id}
    return dataclasses.replace(network, config=config)


# === Hugging Face ===


def _open_huggingface(path: pathlib.Path) -> Source:
    # A folder of a single model may have subfolders with the names of a pair, as a run does.
    pair = [name for name in _PAIR if huggingface.holds_weights(path / name)]
    names = [""] if huggingface.holds_weights(path) or not pair else pair
    folders = {name: huggingface.read_folder(path / name) for name in names}
    described = "; ".join(f"{folder.file}, {folder.dtype}" for folder in folders.values())
    notes = [
        f"{folder.file}: names are read without their prefix {folder.prefix!r}"
        for folder in folders.values()
        if folder.prefix
    ]
    for folder in folders.values():
        if WORD_TABLE in folder.arrays:
            rows = len(folder.arrays[WORD_TABLE])
            notes += vocabulary_fit.compare_folder(folder.path, rows)
    return Source(
        path=path,
        kind="huggingface",
        title=f"Hugging Face folder{'s' * (len(names) > 1)}: {described}",
        networks=folders,
        notes=tuple(notes),
        files={name: _files_to_copy(path / name) for name in names},
    )


def _files_to_copy(folder: pathlib.Path) -> list[pathlib.Path]:
    return [safe_paths.inside(folder, name) for name in _COPIED_FILES if (folder / name).is_file()]


# === Runs ===


def _run_of(checkpoint: pathlib.Path) -> pathlib.Path | None:
    """Return the run of a path such as RUN/checkpoints/ckpt-1000, None for any other path."""
    run = checkpoint.parent.parent
    is_run = checkpoint.parent.name == "checkpoints" and (run / "run.json").is_file()
    return run if is_run else None


def _open_run(path: pathlib.Path, checkpoint: int | str | None) -> Source:
    folder = _run_of(path)
    if folder and checkpoint is None:
        # Both ckpt-1000 and its file ckpt-1000.index name the step.
        step = path.name.partition(".")[0].rpartition("-")[2]
        checkpoint = int(step) if step.isdigit() else step
    from official_nlp.interchange.saved_run import load_run

    run = load_run(folder or path, "newest" if checkpoint is None else checkpoint)
    task = run.task
    if not isinstance(task, HasNetworks):
        raise InputError(
            f"{run.path} is a run of {type(task).__name__}, whose model has no ELECTRA networks to "
            "read; give a pre-training run"
        )
    networks = _networks_of(run, task)
    sharing = "" if task.sharing is None else f", sharing {task.sharing}"
    return Source(
        path=run.path,
        kind="run",
        title=f"a run, step {run.step:,} of {run.last_step:,}{sharing}",
        networks=networks,
        notes=_sharing_notes(task.sharing),
        tokenizer=run.tokenizer,
        cards=_cards(run, task, networks),
        step=run.step,
    )


def _cards(run: "SavedRun", task: HasNetworks, networks: Mapping[str, Weights]) -> dict[str, str]:
    """Return the text of the model card of each network."""
    pair = {name: weights for name, weights in networks.items() if name in model_card.NETWORKS}
    if not pair:
        return {}
    training = _training(run, task)
    return {
        name: model_card.write_card(name, weights.config, weights.parameters, training)
        for name, weights in pair.items()
    }


def _networks_of(run: "SavedRun", task: HasNetworks) -> dict[str, Weights]:
    tensors = task.named_tensors(run.model)
    return {
        name: Weights(
            {
                "model_type": "electra",
                **config.to_dict(),
                "architectures": [task.architectures[name]],
                "pad_token_id": run.tokenizer.pad_token_id,
            },
            {tensor.name: tensor.to_hugging_face() for tensor in tensors[name]},
        )
        for name, config in task.networks().items()
    }


def _sharing_notes(sharing: str | None) -> tuple[str, ...]:
    if sharing == "gdes":
        return ("the discriminator's tables are differences to the generator's: merged",)
    if sharing == "whole":
        return ("both networks are one encoder, which is written to both folders",)
    return ()


def _training(run: "SavedRun", task: HasNetworks) -> model_card.Training:
    """Return what a run records about itself, for the model card."""
    described = run.described
    origin, tokenizer = described.get("origin", {}), run.tokenizer
    return model_card.Training(
        step=run.step,
        last_step=run.last_step,
        settings=described["training"],
        phases=_phases(described),
        masking=described["task"]["config"]["masking"],
        sharing=str(task.sharing),
        data=origin.get("data", {}),
        data_hash=described.get("data", "unknown"),
        vocabulary={
            "kind": tokenizer.kind,
            "size": tokenizer.vocab_size,
            "lower_case": tokenizer.do_lower_case,
            "hash": tokenizer.vocab_hash,
        },
        metrics=_held_out(run.evaluation()),
        warm_start=origin.get("warm_start", {}),
        versions=described.get("versions", {}),
    )


def _phases(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the phases, each with the hash of its own data and its own mask probability."""
    phases = described["phases"]
    hashes = described.get("phase_data") or [None] * len(phases)
    probabilities = [*described["task"]["config"].get("phase_mask_probabilities", [])]
    probabilities += [None] * (len(phases) - len(probabilities))
    return [
        {**phase, "data": own_data, "mask_probability": probability}
        for phase, own_data, probability in zip(phases, hashes, probabilities)
    ]


def _held_out(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics on the held-out set without its name, and their step."""
    prefix = "held_out/"
    metrics = {name.removeprefix(prefix): x for name, x in evaluation.items() if prefix in name}
    return {**metrics, "step": evaluation["step"]} if metrics else {}
