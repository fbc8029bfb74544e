"""Write a model that was read from any source in another format."""

import json
import os
import pathlib
import shutil

from official_nlp.files.staged_folders import staged
from official_nlp.interchange import google, huggingface
from official_nlp.interchange.sources import SHARING, Source, check_known

FORMS = ("huggingface", "google")


def write(source: Source, to: str | os.PathLike, form: str) -> list[str]:
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
    check_known("--as", form, FORMS)
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
    tokenizer = source.find_tokenizer()
    has_words = tokenizer is not None and tokenizer.kind == "wordpiece"
    lower = tokenizer.do_lower_case if has_words else None
    written = google.write_google(folder, networks, source.step, lower)
    notes = [
        f"{written.prefix.name}: {len(written.converted)} variables, {SHARING[written.sharing]}"
    ]
    notes += [f"left out, {why}: {', '.join(names)}" for why, names in written.dropped.items()]
    if has_words:
        (folder / google.VOCABULARY_FILE).write_text(
            "\n".join([*tokenizer.vocab, ""]), encoding="utf-8"
        )
    else:
        notes.append(
            f"no {google.VOCABULARY_FILE} is written: there is no WordPiece vocabulary with it"
        )
    return notes
