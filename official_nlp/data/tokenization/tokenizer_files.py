"""Read and write tokenizer folders: `vocab.txt` or `spm.model`, and JSON files with settings."""

import itertools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from official_nlp.data.tokenization import (
    added_tokens,
    argument_checks,
    tokenizer_json,
    wordpiece,
)
from official_nlp.data.tokenization.token_table import ROLES
from official_nlp.errors import InputError
from official_nlp.files import guarded, safe_paths

if TYPE_CHECKING:
    from official_nlp.data.tokenization.sentencepiece import SentencePieceModel

VOCABULARY_FILE = wordpiece.FILE
# Not imported from sentencepiece.py, which loads the package of that name.
MODEL_FILE = "spm.model"
MODEL_SUFFIX = ".model"
ENGINE_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"
# A folder with one of these holds a tokenizer.
FILES = (VOCABULARY_FILE, MODEL_FILE, ENGINE_FILE)

_SETTINGS = (
    "do_lower_case",
    "do_basic_tokenize",
    "never_split",
    *ROLES,
    "tokenize_chinese_chars",
    "strip_accents",
    "clean_text",
    "wordpieces_prefix",
    "clean_up_tokenization_spaces",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "additional_special_tokens",
    "added_tokens_decoder",
)
# For these, null is a value; for others it means that the setting is absent.
_MAY_BE_NULL = {"strip_accents", "never_split"}
# Hugging Face's classes that split text as BERT does; "Fast" may follow.
_CLASSES = {
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "TokenizersBackend",
}
# Paths on the machine that wrote the folder, and code to execute: neither is used or written back.
_DROPPED = {
    "auto_map",
    "name_or_path",
    "special_tokens_map_file",
    "tokenizer_file",
    "vocab_file",
}


# Classes without rules of their own: `tokenizer.json` alone determines how they treat text.
_GENERIC_CLASSES = {"PreTrainedTokenizerFast", "TokenizersBackend"}
# Settings in `tokenizer.json` that the classes with rules of their own replace by their arguments.
_OF_THE_CLASS = {"do_lower_case", "strip_accents", "tokenize_chinese_chars"}
# Settings that no class takes from it.
_OF_THE_CALLER = {"clean_up_tokenization_spaces"}


class StoredTokenizer(NamedTuple):
    """The content of a tokenizer folder.

    Attributes:
      vocabulary: the file of the vocabulary or model, or the tokens themselves.
      settings: arguments of the constructor of `ElectraTokenizer`.
      extra: other entries of its `tokenizer_config.json`.
      source: the file that the vocabulary comes from.
      files: the file that each of the settings comes from, by name.
    """

    vocabulary: pathlib.Path | list[str]
    settings: dict[str, Any]
    extra: dict[str, Any]
    source: pathlib.Path
    files: Mapping[str, pathlib.Path]

    def located(self, error: InputError) -> InputError:
        """Return an error of the constructor with the file that the argument comes from."""
        message = str(error)
        if message.startswith(str(self.source)):
            return error
        named = [file for name, file in self.files.items() if message.startswith(name)]
        return InputError(f"{(*named, self.source.parent)[0]}: {message}")


def read(path: pathlib.Path) -> StoredTokenizer:
    """Read a tokenizer folder, or a vocabulary file alone.

    A folder may have `tokenizer.json` beside `vocab.txt`. Hugging Face's fast tokenizers, whose ids
    ours are, read the former: its tokens must be those of `vocab.txt`, and its normalizer one that
    we have. If the folder names no class but a generic one, its settings take precedence too.

    Raises:
      InputError: if there is none, or its files cannot be used.
    """
    if not path.exists():
        raise InputError(
            f"no tokenizer at {path}: give a folder with {VOCABULARY_FILE} or {MODEL_FILE}, "
            "or such a file; nothing is downloaded: fetch a model of the hub with `hf download "
            "NAME --local-dir FOLDER`"
        )
    if path.is_file():
        vocabulary, settings = _read_vocabulary_file(path)
        return StoredTokenizer(
            vocabulary, settings, {}, path, dict.fromkeys(["vocab", *settings], path)
        )
    configured, extra, files = _read_settings(path)
    name = str(extra.pop("tokenizer_class", None) or "ElectraTokenizer")
    is_generic = name in _GENERIC_CLASSES
    file = safe_paths.inside(path, _vocabulary_file(path, is_generic).name)
    if file.name == MODEL_FILE:
        return StoredTokenizer(file, configured, extra, file, files)
    _check_class(path / CONFIG_FILE, name, extra)
    vocabulary, settings = _read_vocabulary_file(file)
    if file.name == VOCABULARY_FILE and (path / ENGINE_FILE).is_file():
        settings = _read_engine_beside(file, safe_paths.inside(path, ENGINE_FILE))
    merged = settings | configured
    if is_generic:
        merged |= {key: settings[key] for key in settings if key not in _OF_THE_CALLER}
    decoder = configured.get("added_tokens_decoder", {})
    if isinstance(decoder, dict) and (decoder or "added_tokens_decoder" in settings):
        merged["added_tokens_decoder"] = settings.get("added_tokens_decoder", {}) | decoder
    files = {"vocab": file, **dict.fromkeys(settings, path / ENGINE_FILE), **files}
    return StoredTokenizer(vocabulary, merged, extra, file, files)


def vocabulary_size(path: pathlib.Path) -> int:
    """Return the number of tokens of a tokenizer folder, including added ones.

    It is `ElectraTokenizer.from_pretrained(path).vocab_size`, but without making a tokenizer.

    Raises:
      InputError: if there is no tokenizer, or its files cannot be used.
    """
    stored = read(path)
    tokens, source, _ = read_vocabulary(stored.vocabulary)
    vocab = list(tokens)
    try:
        settings = stored.settings
        additional = argument_checks.as_list(
            "additional_special_tokens", settings.get("additional_special_tokens")
        )
        added_tokens.extend(vocab, settings.get("added_tokens_decoder"), additional, source)
    except InputError as error:
        raise stored.located(error) from error
    return len(vocab)


def write(path: pathlib.Path, contents: Mapping[str, bytes | str | dict | None]) -> None:
    """Write files into a folder, and make the folder if it does not exist.

    Args:
      path: the folder.
      contents: contents by names of files; a dict is written as JSON, None removes the file.

    Raises:
      InputError: if a file cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if content is None:
                (path / name).unlink(missing_ok=True)
                continue
            if isinstance(content, dict):
                content = json.dumps(content, indent=2) + "\n"
            content = content.encode() if isinstance(content, str) else content
            (path / name).write_bytes(content)
    except OSError as error:
        raise InputError(
            f"cannot write the tokenizer to {path}: {error.strerror}; give another folder"
        ) from error


def read_vocabulary(
    vocab: str | os.PathLike | Sequence[str],
) -> tuple[Sequence[str], str, "SentencePieceModel | None"]:
    """Return the tokens of a vocabulary.

    Args:
      vocab: the argument `vocab` of `ElectraTokenizer`.

    Returns:
      The tokens, the name of the vocabulary in messages, and the SentencePiece model or None.

    Raises:
      InputError: if the file cannot be read.
    """
    if not isinstance(vocab, str | os.PathLike):
        return vocab, "vocab", None
    file = pathlib.Path(vocab)
    if not file.name.endswith(MODEL_SUFFIX):
        return wordpiece.read_vocabulary(file), os.fspath(vocab), None
    # WordPiece does not need the package.
    from official_nlp.data.tokenization.sentencepiece import SentencePieceModel

    model = SentencePieceModel.read(file)
    return model.pieces, model.source, model


def _vocabulary_file(path: pathlib.Path, is_generic: bool) -> pathlib.Path:
    if is_generic and (path / ENGINE_FILE).is_file() and not (path / MODEL_FILE).is_file():
        return path / ENGINE_FILE
    files = [path / name for name in (VOCABULARY_FILE, MODEL_FILE) if (path / name).is_file()]
    if len(files) > 1:
        raise InputError(
            f"{path} holds {VOCABULARY_FILE} and {MODEL_FILE}: give the path of one of them"
        )
    if not files and (path / ENGINE_FILE).is_file():
        return path / ENGINE_FILE
    if not files:
        raise InputError(
            f"{path} holds no {VOCABULARY_FILE} or {MODEL_FILE}, nor {ENGINE_FILE}: give the "
            "tokenizer's folder or vocabulary file"
        )
    return files[0]


def _read_vocabulary_file(file: pathlib.Path) -> tuple[pathlib.Path | list[str], dict[str, Any]]:
    """Return the vocabulary and the settings of a file, which may be a `tokenizer.json`."""
    return tokenizer_json.read(file) if file.suffix == ".json" else (file, {})


def _read_engine_beside(vocabulary: pathlib.Path, file: pathlib.Path) -> dict[str, Any]:
    """Return the settings that a `tokenizer.json` adds to those of a class of its own.

    Raises:
      InputError: if the file holds another tokenizer than the vocabulary beside it.
    """
    tokens, settings = tokenizer_json.read(file)
    others = wordpiece.read_vocabulary(vocabulary)
    # An added token may be in one of the files, and only added in the other.
    shorter, longer = sorted((tokens, others), key=len)
    added = [rules.get("content") for rules in settings.get("added_tokens_decoder", {}).values()]
    rest = longer[len(shorter) :]
    if longer[: len(shorter)] != shorter or not all(token in added for token in rest):
        pairs = enumerate(itertools.zip_longest(tokens, others))
        id, one, other = next((id, *pair) for id, pair in pairs if pair[0] != pair[1])
        raise InputError(
            f"{file} must have the tokens of {vocabulary.name} beside it, but token {id} is "
            f"{one!r} there and {other!r} in {vocabulary.name}: one of the two belongs to another "
            "tokenizer; remove that one"
        )
    return {key: value for key, value in settings.items() if key not in _OF_THE_CLASS}


def _read_settings(
    path: pathlib.Path,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, pathlib.Path]]:
    """Return what a folder's JSON files say.

    Returns:
      The arguments of `ElectraTokenizer`, other entries, and the files of the arguments by name.
    """
    config = _read_json(path / CONFIG_FILE)
    specials = _read_json(path / SPECIAL_TOKENS_FILE)
    # The Hugging Face tokenizers have this precedence: newer folders have everything in one file.
    is_new = "added_tokens_decoder" in config
    merged = specials | config if is_new else config | specials
    config_file, specials_file = path / CONFIG_FILE, path / SPECIAL_TOKENS_FILE
    of_config = dict.fromkeys(config, config_file)
    of_specials = dict.fromkeys(specials, specials_file)
    files = of_specials | of_config if is_new else of_config | of_specials
    if not config.get("added_tokens_decoder"):
        decoder = _by_id(_read_json(path / ADDED_TOKENS_FILE))
        if decoder:
            merged["added_tokens_decoder"] = decoder
            files["added_tokens_decoder"] = path / ADDED_TOKENS_FILE
    _rename(merged, path / CONFIG_FILE)
    settings = {
        name: merged[name]
        for name in _SETTINGS
        if name in merged and (merged[name] is not None or name in _MAY_BE_NULL)
    }
    extra = {name: value for name, value in merged.items() if name not in {*_SETTINGS, *_DROPPED}}
    return settings, extra, files


def _check_class(file: pathlib.Path, name: str, extra: dict[str, Any]) -> None:
    """Refuse tokenizers that use WordPiece but split text into words in another way than BERT."""
    is_known = str(name).removesuffix("Fast") in _CLASSES
    splitters = {
        "tokenizer_class": None if is_known else name,
        "word_tokenizer_type": extra.get("word_tokenizer_type"),
        "subword_tokenizer_type": extra.get("subword_tokenizer_type"),
    }
    for key, value in splitters.items():
        if value not in (None, "basic", "wordpiece"):
            raise InputError(
                f"{file}: {key} must be one that splits words as BERT does, like ElectraTokenizer "
                f"or basic, was {value!r}; if your text is already split into words, give the path "
                "of the vocabulary file"
            )


def _rename(merged: dict[str, Any], file: pathlib.Path) -> None:
    """Rename the settings that older and newer versions of transformers name differently."""
    if "max_len" in merged:
        merged.setdefault("model_max_length", merged["max_len"])
        del merged["max_len"]
    extra = merged.pop("extra_special_tokens", None)
    if not extra:
        return
    if not isinstance(extra, list):
        raise InputError(
            f"{file}: extra_special_tokens must be a list of tokens, was {extra!r}; name the "
            "tokens in additional_special_tokens"
        )
    known = merged.get("additional_special_tokens") or []
    merged["additional_special_tokens"] = [*known, *(each for each in extra if each not in known)]


def _by_id(tokens: dict[str, Any]) -> dict[str, Any]:
    return {str(id): {"content": token} for token, id in tokens.items()}


def _read_json(file: pathlib.Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    return guarded.read_object(safe_paths.inside(file.parent, file.name))
