"""Write a source of any format as Hugging Face folders or as a google-research checkpoint."""

import json
import os
import pathlib
import shutil

from official_nlp.data.tokenization.wordpiece import file_text
from official_nlp.errors import InputError
from official_nlp.files import atomic
from official_nlp.files.staged_folders import staged
from official_nlp.interchange import google, huggingface, tensor_shapes
from official_nlp.interchange.load_report import listed
from official_nlp.interchange.sources import SHARING, Source, check_choice
from official_nlp.interchange.tensorflow_files import VOCABULARY_FILE
from official_nlp.interchange.weights import Weights
from official_nlp.modeling.networks.electra_config import ElectraConfig

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
    notes = []
    for name, network in source.networks.items():
        notes += _check(f"{source.path} {name}".strip(), network)
    with staged(to) as folder:
        if form == "google":
            return notes + _write_google(source, folder)
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
    return notes


def _check(source: str, network: Weights) -> list[str]:
    """Check that models load what would be written.

    Returns:
      Notes on tensors that they ignore.

    Raises:
      InputError: the configuration is invalid, or contradicts the weights.
    """
    try:
        config = ElectraConfig.from_dict(network.config)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    (architecture, *_) = network.config.get("architectures") or [None]
    wrong = tensor_shapes.contradictions(config, network.arrays, architecture)
    if wrong:
        raise InputError(
            f"{source}: the configuration contradicts the weights, so that no model could load "
            f"what would be written: {listed(wrong)}; correct config.json"
        )
    left = tensor_shapes.leftovers(config, network.arrays)
    if not left:
        return []
    return [
        f"{source} has {len(left)} tensors that its configuration does not describe "
        f"(num_hidden_layers is {config.num_hidden_layers}), and models ignore: {listed(left)}"
    ]


def _write_google(source: Source, folder: pathlib.Path) -> list[str]:
    networks = dict(source.networks)
    if "" in networks:  # a single model is identified by its head
        network = networks.pop("")
        is_generator = "generator_lm_head.bias" in network.arrays
        networks["generator" if is_generator else "discriminator"] = network
    # google-research reads nothing but a vocab.txt.
    tokenizer = source.load_tokenizer()
    wordpiece = tokenizer if tokenizer and tokenizer.kind == "wordpiece" else None
    lower = wordpiece.do_lower_case if wordpiece else None
    written = google.write_google(folder, networks, source.step, lower)
    notes = [
        f"{written.prefix.name}: {len(written.converted)} variables, {SHARING[written.sharing]}"
    ]
    notes += [f"left out, {why}: {', '.join(names)}" for why, names in written.dropped.items()]
    if wordpiece:
        # Added tokens too, because the format has no other file for them.
        text = file_text(wordpiece.vocab, f"tokenizer of {source.path}")
        (folder / VOCABULARY_FILE).write_text(text, encoding="utf-8")
    else:
        notes.append(f"no {VOCABULARY_FILE} was written: the source has no WordPiece vocabulary")
    return notes
