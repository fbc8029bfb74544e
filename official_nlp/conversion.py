"""What `electra convert` reads and writes: checkpoints of one form into another."""

import dataclasses
import glob
import json
import os
import pathlib
import shutil

from official_nlp.checkpoints import google, huggingface
from official_nlp.checkpoints.network import Network
from official_nlp.data import ElectraTokenizer
from official_nlp.data.staging import staged
from official_nlp.errors import InputError

# What a path can be, and what it can become.
KINDS = ("google", "huggingface", "tfnlp", "run")
FORMS = ("huggingface", "google")

_NETWORKS = ("generator", "discriminator")
_PADDING = 128
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
_SHARING = {
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
    """

    place: pathlib.Path
    title: str
    networks: dict[str, Network]
    dropped: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tokenizer: "ElectraTokenizer | None" = None
    companions: dict[str, list[pathlib.Path]] = dataclasses.field(default_factory=dict)
    cards: dict[str, str] = dataclasses.field(default_factory=dict)
    step: int = 0


def _check_known(option: str, value: str, known: tuple[str, ...]):
    if value not in known:
        raise InputError(f"{option} must be one of {', '.join(known)}, was {value!r}")


# === Reading ===


def guess(source: "str | os.PathLike") -> str:
    """Returns which of `KINDS` a path is.

    Raises:
      InputError: none of them, or more than one.
    """
    place = pathlib.Path(source)
    if (place / "run.json").is_file():
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
    from official_nlp.checkpoints import tfnlp

    return "tfnlp" if tfnlp.holds_objects(google.find_checkpoint(place)) else "google"


def read(source: "str | os.PathLike", kind: str, config: "str | None" = None) -> Source:
    """Reads what a path of one of `KINDS` holds.

    Args:
      source: the path.
      kind: one of `KINDS`.
      config: google's JSON for a checkpoint of google's.

    Raises:
      InputError: it cannot be read, or `config` is given for another kind.
    """
    _check_known("--from", kind, KINDS)
    if config is not None and kind != "google":
        raise InputError(f"--config is for a checkpoint of google's; {source} is {kind}")
    if kind == "google":
        return _read_google(source, config)
    return _READERS[kind](pathlib.Path(source))


def _read_google(source, config) -> Source:
    found = google.read_google(source, config)
    notes = list(found.notes)
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
        title=f"google's checkpoint{step}: {_SHARING[found.sharing]}",
        networks=networks,
        dropped=found.dropped,
        notes=tuple(notes),
        tokenizer=tokenizer,
        step=found.step or 0,
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
        # Tables are padded for the sake of hardware.
        if not count <= rows <= -(-count // _PADDING) * _PADDING:
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
    return [folder / name for name in _COMPANIONS if (folder / name).is_file()]


def _read_tfnlp(place: pathlib.Path) -> Source:
    from official_nlp.checkpoints import tfnlp

    found = tfnlp.read_tfnlp(place)
    notes = [f"assumed, for such a checkpoint does not say: {', '.join(found.assumed)}"]
    return Source(
        place=place,
        title="a checkpoint of Model Garden's ElectraPretrainer",
        networks=found.networks,
        dropped={"no part of ELECTRA's networks": found.ignored} if found.ignored else {},
        notes=tuple(
            notes + [f"no {name} in it" for name in _NETWORKS if name not in found.networks]
        ),
    )


def _read_run(place: pathlib.Path) -> Source:
    raise InputError(f"{place} is a run folder, which cannot be converted yet")


_READERS = {"huggingface": _read_huggingface, "tfnlp": _read_tfnlp, "run": _read_run}


# === Writing ===


def write(source: Source, to: "str | os.PathLike", form: str) -> list[str]:
    """Writes what was read into a new folder, which is there whole or not at all.

    Args:
      source: what was read.
      to: the folder; it must be new or empty.
      form: one of `FORMS`.

    Returns:
      Sentences on what was written and what was left out.

    Raises:
      InputError: `to` is not empty, or the form has no such networks.
    """
    _check_known("--as", form, FORMS)
    with staged(to) as folder:
        if form == "google":
            return _write_google(source, folder)
        for name, network in source.networks.items():
            place = folder / name
            text = json.dumps(network.config)
            huggingface.write_folder(place, text, network.state, network.dtype)
            for file in source.companions.get(name, []):
                shutil.copyfile(file, place / file.name)
            if source.tokenizer:
                source.tokenizer.save_pretrained(place)
            if name in source.cards:
                (place / "README.md").write_text(source.cards[name], encoding="utf-8")
    return []


def _write_google(source: Source, folder: pathlib.Path) -> list[str]:
    networks = dict(source.networks)
    if "" in networks:
        network = networks.pop("")
        networks["generator" if "generator_lm_head.bias" in network.state else "discriminator"] = (
            network
        )
    tokenizer = source.tokenizer or _tokenizer_of(source.companions)
    has_words = tokenizer is not None and tokenizer.kind == "wordpiece"
    lower = tokenizer.do_lower_case if has_words else None
    written = google.write_google(folder, networks, source.step, lower)
    notes = [
        f"{written.prefix.name}: {len(written.converted)} variables, {_SHARING[written.sharing]}"
    ]
    notes += [f"left out, {why}: {', '.join(names)}" for why, names in written.dropped.items()]
    if has_words:
        (folder / _VOCABULARY).write_text("\n".join([*tokenizer.vocab, ""]), encoding="utf-8")
    else:
        notes.append(f"no {_VOCABULARY} is written: there is no WordPiece vocabulary with it")
    return notes


def _tokenizer_of(companions: dict[str, list[pathlib.Path]]) -> "ElectraTokenizer | None":
    for files in companions.values():
        for file in files:
            if file.name in (_VOCABULARY, "spm.model"):
                return ElectraTokenizer.from_pretrained(file.parent)
    return None
