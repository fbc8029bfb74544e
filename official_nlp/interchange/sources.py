"""Open a model of any supported format: run, Hugging Face, google-research or Model Garden."""

import dataclasses
import glob
import os
import pathlib

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files import safe_paths
from official_nlp.interchange import google, huggingface, model_card, tensorflow_files
from official_nlp.interchange.weights import Network, most_rows
from official_nlp.reference_quirks import ReferenceQuirks

# What a path can be, and what it can become.
KINDS = ("google", "huggingface", "tfnlp", "run")

_NETWORKS = ("generator", "discriminator")
_VOCABULARY = google.VOCABULARY_FILE
# What belongs to a model's folder beside configuration and weights, and is copied as it is.
_COMPANIONS = (
    _VOCABULARY,
    "spm.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
SHARING = {
    "shared": "one set of tables serves both networks",
    "untied": "the generator has tables of its own",
    "whole": "one transformer is both networks",
    None: "one network",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """What was read, in the form that lies between all forms.

    Attributes:
      place: the folder or checkpoint.
      title: what it is, in a few words.
      networks: "generator" and "discriminator", or one of them; "" for a folder of one model.
      dropped: what has no counterpart: names by the reason.
      notes: sentences on what was assumed, and on what is not there.
      tokenizer: of all networks; None where there is none, or `companions` are it.
      companions: files to be copied beside a network's.
      cards: text of the README.md of a network's folder.
      step: of the training.
      assumed: fields of the configurations that nothing says, and a rule had to.
    """

    place: pathlib.Path
    title: str
    networks: dict[str, Network]
    dropped: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tokenizer: ElectraTokenizer | None = None
    companions: dict[str, list[pathlib.Path]] = dataclasses.field(default_factory=dict)
    cards: dict[str, str] = dataclasses.field(default_factory=dict)
    step: int = 0
    assumed: tuple[str, ...] = ()

    def find_tokenizer(self) -> ElectraTokenizer | None:
        """Returns the tokenizer, which may be one of the files beside a network's."""
        return self.tokenizer or _tokenizer_of(self.companions)


def check_known(option: str, value: str, known: tuple[str, ...]):
    if value not in known:
        raise InputError(f"{option} must be one of {', '.join(known)}, was {value!r}")


# === Reading ===


def guess(source: str | os.PathLike) -> str:
    """Returns which of `KINDS` a path is.

    Raises:
      InputError: none of them, or more than one.
    """
    place = pathlib.Path(source)
    if (place / "run.json").is_file() or _run_of(place):
        return "run"
    models = [place, *(place / name for name in _NETWORKS)]
    has_model = any(huggingface.holds_weights(folder) for folder in models)
    has_checkpoint = place.is_file() or any(place.parent.glob(f"{glob.escape(place.name)}.index"))
    has_checkpoint |= place.is_dir() and any(place.glob("*.index"))
    if has_model and has_checkpoint:
        raise InputError(
            f"{place} holds weights of Hugging Face's and a checkpoint of TensorFlow's: say which "
            "is meant with --from huggingface, google or tfnlp"
        )
    if has_model:
        return "huggingface"
    if not has_checkpoint:
        raise InputError(
            f"{place} must be a checkpoint of TensorFlow's (its .index file, or the folder), a "
            "folder of Hugging Face's (model.safetensors, tf_model.h5, ...) or a run folder "
            f"(run.json); it {'holds none of these' if place.is_dir() else 'is not there'}"
        )
    from official_nlp.interchange import model_garden

    return (
        "tfnlp" if model_garden.holds_objects(tensorflow_files.find_checkpoint(place)) else "google"
    )


def _run_of(checkpoint: pathlib.Path) -> pathlib.Path | None:
    """Returns the run that a path like RUN/checkpoints/ckpt-1000 belongs to, None for another."""
    run = checkpoint.parent.parent
    is_one = checkpoint.parent.name == "checkpoints" and (run / "run.json").is_file()
    return run if is_one else None


def read(
    source: str | os.PathLike,
    kind: str,
    config: str | None = None,
    checkpoint: int | str | None = None,
) -> Source:
    """Reads what a path of one of `KINDS` holds.

    Args:
      source: the path.
      kind: one of `KINDS`.
      config: google's JSON for a checkpoint of google's.
      checkpoint: of a run: `newest` (None, too), `best` or the number of a step.

    Raises:
      InputError: it cannot be read, or `config` or `checkpoint` is given for another kind.
    """
    check_known("--from", kind, KINDS)
    if config is not None and kind != "google":
        raise InputError(f"--config is for a checkpoint of google's; {source} is {kind}")
    if checkpoint is not None and kind != "run":
        raise InputError(f"--checkpoint is for a run; {source} is {kind}")
    if kind == "google":
        return _read_google(source, config)
    if kind == "run":
        return _read_run(pathlib.Path(source), checkpoint)
    return _READERS[kind](pathlib.Path(source))


def _read_google(source, config) -> Source:
    found = google.read_google(source, config)
    notes = [f"heads and activation: {found.config}"] if found.config else []
    notes += found.notes
    tokenizer = None
    if found.vocabulary:
        tokenizer, note = _tokenizer_beside(found)
        notes += note
    else:
        notes.append(f"no {_VOCABULARY} beside it: the folders have no tokenizer")
    step = "" if found.step is None else f", step {found.step:,}"
    networks = found.networks
    if tokenizer:
        networks = {name: _with_padding(n, tokenizer) for name, n in networks.items()}
    return Source(
        place=found.prefix,
        title=f"google's checkpoint{step}; {len(found.converted)} variables, "
        f"{SHARING[found.sharing]}",
        networks=networks,
        dropped=found.dropped,
        notes=tuple(notes),
        tokenizer=tokenizer,
        step=found.step or 0,
        assumed=found.assumed,
    )


def _tokenizer_beside(found) -> tuple[ElectraTokenizer, list[str]]:
    """Returns the tokenizer of google's vocabulary, and what was assumed of it."""
    lower, notes = found.do_lower_case, []
    tokenizer = ElectraTokenizer(found.vocabulary, do_lower_case=True)
    if lower is None:
        special = {
            tokenizer.vocab[number] for number in [*tokenizer.special_ids, tokenizer.unk_token_id]
        }
        lower = not any(t != t.lower() for t in tokenizer.vocab if t not in special)
        saw = "no token has a capital" if lower else "tokens have capitals"
        notes = [f"tokenizer: do_lower_case is {lower}, for {saw} and no JSON says"]
    for network in found.networks.values():
        rows, count = network.config["vocab_size"], tokenizer.vocab_size
        if not count <= rows <= most_rows(count):
            raise InputError(
                f"{found.vocabulary} must have a token for each of the {rows} rows of the word "
                f"table, had {count}: it is another checkpoint's or cut off; put the right one "
                "there, or none"
            )
    if count != rows:
        notes.append(f"tokenizer: {count} tokens for {rows} rows, of which the last are unused")
    return ElectraTokenizer(found.vocabulary, do_lower_case=lower), notes


def _with_padding(network: Network, tokenizer) -> Network:
    config = {**network.config, "pad_token_id": tokenizer.pad_token_id}
    return dataclasses.replace(network, config=config)


def _read_huggingface(place: pathlib.Path) -> Source:
    pair = [name for name in _NETWORKS if huggingface.holds_weights(place / name)]
    names = [""] if huggingface.holds_weights(place) or not pair else pair
    networks, files = {}, []
    for name in names:
        found = huggingface.read_folder(place / name)
        networks[name] = Network(found.config, found.state, found.dtype)
        files.append(f"{found.file}, {found.dtype}")
    return Source(
        place=place,
        title=f"Hugging Face's folder{'s' * (len(names) > 1)}: {'; '.join(files)}",
        networks=networks,
        companions={name: _companions(place / name) for name in names},
    )


def _companions(folder: pathlib.Path) -> list[pathlib.Path]:
    return [safe_paths.inside(folder, name) for name in _COMPANIONS if (folder / name).is_file()]


def _read_tfnlp(place: pathlib.Path) -> Source:
    from official_nlp.interchange import model_garden

    found = model_garden.read_tfnlp(place)
    tokenizer, notes = None, [f"no {_VOCABULARY} beside it: the folders have no tokenizer"]
    if found.vocabulary:
        tokenizer, notes = _tokenizer_beside(found)
    return Source(
        place=found.prefix,
        title="a checkpoint of Model Garden's ElectraPretrainer",
        networks=found.networks,
        dropped={"no part of ELECTRA's networks": found.ignored} if found.ignored else {},
        notes=(*found.notes, *notes),
        tokenizer=tokenizer,
        assumed=found.assumed,
    )


def _read_run(place: pathlib.Path, which: int | str | None) -> Source:
    from official_nlp.interchange.saved_run import SavedRun

    folder = _run_of(place)
    if folder and which is None:
        which = place.name.partition(".")[0].rpartition("-")[2]
        which = int(which) if which.isdigit() else which
    run = SavedRun(folder or place, "newest" if which is None else which)
    networks = {name: Network(run.hugging_face_config(name), run.state(name)) for name in _NETWORKS}
    training = _training(run)
    return Source(
        place=run.path,
        title=f"a run, step {run.step:,} of {run.last_step:,}, sharing {run.config.sharing}",
        networks=networks,
        notes=tuple(_notes_on(run)),
        tokenizer=run.tokenizer,
        cards={
            name: model_card.write_card(name, network.config, network.parameters, training)
            for name, network in networks.items()
        },
        step=run.step,
    )


def _notes_on(run) -> list[str]:
    notes = []
    if run.config.sharing == "gdes":
        notes.append("the discriminator's tables are differences to the generator's: merged")
    if run.config.sharing == "whole":
        notes.append("both networks are one encoder, which both folders hold")
    return notes


def _training(run) -> model_card.Training:
    """Returns what a run says of itself."""
    fixed, beginning, words = run.fixed, run.described.get("beginning", {}), run.tokenizer
    reference_quirks, right = (
        fixed["training"].get("reference_quirks", {}),
        dataclasses.asdict(ReferenceQuirks()),
    )
    own_data = fixed.get("phase_data") or [None] * len(fixed["phases"])
    return model_card.Training(
        step=run.step,
        last_step=run.last_step,
        settings=fixed["training"],
        oddities=tuple(
            name for name, value in reference_quirks.items() if value != right.get(name)
        ),
        phases=[{**phase, "data": own} for phase, own in zip(fixed["phases"], own_data)],
        masking=fixed["task"]["masking"],
        sharing=run.config.sharing,
        data=beginning.get("data", {}),
        data_hash=fixed["data"],
        vocabulary={
            "kind": words.kind,
            "size": words.vocab_size,
            "lower_case": words.do_lower_case,
            "hash": words.vocab_hash,
        },
        metrics=run.held_out(),
        initial=beginning.get("initial", {}),
        versions=run.described["versions"],
    )


_READERS = {"huggingface": _read_huggingface, "tfnlp": _read_tfnlp}


def _tokenizer_of(companions: dict[str, list[pathlib.Path]]) -> ElectraTokenizer | None:
    for files in companions.values():
        for file in files:
            if file.name in (_VOCABULARY, "spm.model"):
                return ElectraTokenizer.from_pretrained(file.parent)
    return None
