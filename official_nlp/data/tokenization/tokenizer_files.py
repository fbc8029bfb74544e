"""A tokenizer's folder: which files it has, what they say, and how they are written."""

import json
import pathlib
from typing import NamedTuple

from official_nlp.data.tokenization import tokenizer_json, wordpiece
from official_nlp.errors import InputError
from official_nlp.files import safe_paths

VOCABULARY_FILE = wordpiece.FILE
MODEL_FILE = "spm.model"
ENGINE_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
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
# These may be stored as null, which says something else than nothing.
_MAY_BE_NULL = {"strip_accents", "never_split"}
# Those of Hugging Face's classes that do what BERT's does; "Fast" may follow.
_CLASSES = {
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "TokenizersBackend",
}
# Where files lay on another's machine, and which code is to be run: neither is of use here.
_DROPPED = {
    "auto_map",
    "name_or_path",
    "special_tokens_map_file",
    "tokenizer_file",
    "vocab_file",
}


class Stored(NamedTuple):
    """What a folder says.

    Attributes:
      vocabulary: the file of the vocabulary or model, or the tokens themselves.
      settings: arguments of the constructor of `ElectraTokenizer`.
      extra: what else its `tokenizer_config.json` holds.
      source: the file that the vocabulary comes from.
    """

    vocabulary: pathlib.Path | list[str]
    settings: dict
    extra: dict
    source: pathlib.Path


def read(path: pathlib.Path) -> Stored:
    """Reads a tokenizer's folder, or a vocabulary file alone.

    Raises:
      InputError: there is none, or its files cannot be used.
    """
    if not path.exists():
        raise InputError(
            f"no tokenizer at {path}: give a folder with {VOCABULARY_FILE} or {MODEL_FILE}, "
            "or such a file"
        )
    file = path if path.is_file() else safe_paths.inside(path, _vocabulary_file(path).name)
    vocabulary, settings = file, {}
    if file.suffix == ".json":
        vocabulary, settings = tokenizer_json.read(file)
    if path.is_file():
        return Stored(vocabulary, settings, {}, file)
    said, extra = _read_settings(path)
    name = extra.pop("tokenizer_class", None) or "ElectraTokenizer"
    if file.name != MODEL_FILE:
        _check_class(path / CONFIG_FILE, name, extra)
    decoder = said.get("added_tokens_decoder", {})
    if isinstance(decoder, dict):
        said["added_tokens_decoder"] = settings.get("added_tokens_decoder", {}) | decoder
    return Stored(vocabulary, settings | said, extra, file)


def write(path: pathlib.Path, contents: dict[str, bytes | str | dict | None]):
    """Writes files into a folder, which is made if need be.

    A dict becomes JSON. For None the folder has no such file afterwards.

    Raises:
      InputError: it cannot be written.
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


def _vocabulary_file(path: pathlib.Path) -> pathlib.Path:
    files = [path / name for name in (VOCABULARY_FILE, MODEL_FILE) if (path / name).is_file()]
    if len(files) > 1:
        raise InputError(
            f"{path} holds {VOCABULARY_FILE} and {MODEL_FILE}: give the one that is meant"
        )
    if not files and (path / ENGINE_FILE).is_file():
        return path / ENGINE_FILE
    if not files:
        raise InputError(
            f"{path} holds no {VOCABULARY_FILE} or {MODEL_FILE}, nor {ENGINE_FILE}: give the "
            "tokenizer's folder or vocabulary file"
        )
    return files[0]


def _read_settings(path: pathlib.Path) -> tuple[dict, dict]:
    config = _read_json(path / CONFIG_FILE)
    specials = _read_json(path / SPECIAL_TOKENS_FILE)
    # Hugging Face's own order: newer folders say all in the one file.
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


def _check_class(file: pathlib.Path, name: str, extra: dict):
    """Refuses the tokenizers that cut words otherwise, though their vocabulary is WordPiece's."""
    is_known = str(name).removesuffix("Fast") in _CLASSES
    cuts = {
        "tokenizer_class": None if is_known else name,
        "word_tokenizer_type": extra.get("word_tokenizer_type"),
        "subword_tokenizer_type": extra.get("subword_tokenizer_type"),
    }
    for key, value in cuts.items():
        if value not in (None, "basic", "wordpiece"):
            raise InputError(
                f"{file}: {key} must be one that cuts words as BERT does, like ElectraTokenizer or "
                f"basic, was {value!r}; where the text is cut beforehand, take the vocabulary file"
            )


def _rename(merged: dict, file: pathlib.Path):
    """Gives what older and newer files call otherwise the name it has here."""
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


def _by_id(tokens: dict) -> dict:
    return {str(id): {"content": token} for token, id in tokens.items()}


def _read_json(file: pathlib.Path) -> dict:
    if not file.is_file():
        return {}
    return tokenizer_json.read_object(safe_paths.inside(file.parent, file.name))
