"""Read and write tokenizer folders: `vocab.txt` or `spm.model`, and JSON files with settings."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from official_nlp.data.tokenization import tokenizer_json, wordpiece
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


class StoredTokenizer(NamedTuple):
    """The content of a tokenizer folder.

    Attributes:
      vocabulary: the file of the vocabulary or model, or the tokens themselves.
      settings: arguments of the constructor of `ElectraTokenizer`.
      extra: other entries of its `tokenizer_config.json`.
      source: the file that the vocabulary comes from.
    """

    vocabulary: pathlib.Path | list[str]
    settings: dict[str, Any]
    extra: dict[str, Any]
    source: pathlib.Path


def read(path: pathlib.Path) -> StoredTokenizer:
    """Read a tokenizer folder, or a vocabulary file alone.

    Raises:
      InputError: if there is none, or its files cannot be used.
    """
    if not path.exists():
        raise InputError(
            f"no tokenizer at {path}: give a folder with {VOCABULARY_FILE} or {MODEL_FILE}, "
            "or such a file"
        )
    file = path if path.is_file() else safe_paths.inside(path, _vocabulary_file(path).name)
    vocabulary: pathlib.Path | list[str] = file
    settings: dict[str, Any] = {}
    if file.suffix == ".json":
        vocabulary, settings = tokenizer_json.read(file)
    if path.is_file():
        return StoredTokenizer(vocabulary, settings, {}, file)
    configured, extra = _read_settings(path)
    name = extra.pop("tokenizer_class", None) or "ElectraTokenizer"
    if file.name != MODEL_FILE:
        _check_class(path / CONFIG_FILE, name, extra)
    decoder = configured.get("added_tokens_decoder", {})
    if isinstance(decoder, dict):
        configured["added_tokens_decoder"] = settings.get("added_tokens_decoder", {}) | decoder
    return StoredTokenizer(vocabulary, settings | configured, extra, file)


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


def _vocabulary_file(path: pathlib.Path) -> pathlib.Path:
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


def _read_settings(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of `ElectraTokenizer` in a folder's JSON files, and other entries."""
    config = _read_json(path / CONFIG_FILE)
    specials = _read_json(path / SPECIAL_TOKENS_FILE)
    # The precedence of Hugging Face's tokenizers: newer folders have everything in one file.
    is_new = "added_tokens_decoder" in config
    merged = specials | config if is_new else config | specials
    decoder = config.get("added_tokens_decoder") or _by_id(_read_json(path / ADDED_TOKENS_FILE))
    if decoder:
        merged["added_tokens_decoder"] = decoder
    _rename(merged, path / CONFIG_FILE)
    settings = {
        name: merged[name]
        for name in _SETTINGS
        if name in merged and (merged[name] is not None or name in _MAY_BE_NULL)
    }
    extra = {name: value for name, value in merged.items() if name not in {*_SETTINGS, *_DROPPED}}
    return settings, extra


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
