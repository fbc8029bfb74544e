"""Write a source of any format as Hugging Face folders or as a google-research checkpoint."""

import json
import os
import pathlib
import shutil

from official_nlp.files import atomic
from official_nlp.files.staged_folders import staged
from official_nlp.interchange import google, huggingface
from official_nlp.interchange.sources import SHARING, Source, check_choice
from official_nlp.interchange.tensorflow_files import VOCABULARY_FILE

FORMS = ("huggingface", "google")


def write(source: Source, to: str | os.PathLike, form: str) -> list[str]:
    """Write a source to a new folder, which appears complete or not at all.

    Args:
      source: the opened source.
      to: path of the folder, which must be new or empty.
      form: format to write, one of `FORMS`.

    Returns:
      Sentences on what was written and what was left out.

    Raises:
      InputError: `to` is not empty, or the format cannot represent the networks.
    """
    check_choice("--as", form, FORMS)
    with staged(to) as folder:
        if form == "google":
            return _write_google(source, folder)
        for name, network in source.networks.items():
            target = folder / name
            text = json.dumps(network.config)
            huggingface.write_folder(target, text, network.arrays, network.dtype)
            # Copied byte by byte, and not written by our tokenizer: transformers reads settings
            # from these files that we do not know.
            for file in source.files.get(name, []):
                shutil.copyfile(file, target / file.name)
            if source.tokenizer:
                source.tokenizer.save_pretrained(target)
            if name in source.cards:
                atomic.write(target / "README.md", source.cards[name])
    return []


def _write_google(source: Source, folder: pathlib.Path) -> list[str]:
    networks = dict(source.networks)
    if "" in networks:  # a single model is identified by its head
        network = networks.pop("")
        is_generator = "generator_lm_head.bias" in network.arrays
        networks["generator" if is_generator else "discriminator"] = network
    # The format has no file for a SentencePiece model.
    tokenizer = source.load_tokenizer()
    wordpiece = tokenizer if tokenizer and tokenizer.kind == "wordpiece" else None
    lower = wordpiece.do_lower_case if wordpiece else None
    written = google.write_google(folder, networks, source.step, lower)
    notes = [
        f"{written.prefix.name}: {len(written.converted)} variables, {SHARING[written.sharing]}"
    ]
    notes += [f"left out, {why}: {', '.join(names)}" for why, names in written.dropped.items()]
    if wordpiece:
        text = "\n".join([*wordpiece.vocab, ""])
        (folder / VOCABULARY_FILE).write_text(text, encoding="utf-8")
    else:
        notes.append(f"no {VOCABULARY_FILE} was written: the source has no WordPiece vocabulary")
    return notes
