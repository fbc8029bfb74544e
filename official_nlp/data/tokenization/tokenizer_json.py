"""Read `tokenizer.json`, the format of the `tokenizers` package, if it holds a WordPiece model."""

import pathlib
from typing import Any

from official_nlp.data.tokenization.wordpiece import MAX_WORD_CHARACTERS
from official_nlp.errors import InputError
from official_nlp.files import guarded


def read(file: pathlib.Path) -> tuple[list[str], dict[str, Any]]:
    """Read the vocabulary and the settings of a tokenizer.

    Args:
      file: a `tokenizer.json`.

    Returns:
      The tokens in order of their ids, and arguments of the constructor of `ElectraTokenizer`.

    Raises:
      InputError: if it is not such a file, or is not WordPiece with BERT's normalization and
        splitting into words.
    """
    content = guarded.read_object(file)
    try:
        return _read(file, content)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} must have the format of the tokenizers package, but reading it raised "
            f"{type(error).__name__}: {error}; save the tokenizer again, or give its vocab.txt"
        ) from error


def _read(file: pathlib.Path, content: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    model = content["model"]
    # Old files do not name the type of the model.
    kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else None)
    _require(file, "model", kind, "WordPiece")
    longest = model.get("max_input_chars_per_word", MAX_WORD_CHARACTERS)
    _require(file, "max_input_chars_per_word", longest, MAX_WORD_CHARACTERS)
    settings = {
        "unk_token": model["unk_token"],
        "wordpieces_prefix": model["continuing_subword_prefix"],
        **_read_normalizer(file, content.get("normalizer"), content.get("pre_tokenizer")),
        **_read_special_tokens(file, content.get("post_processor")),
    }
    decoder = content.get("decoder")
    if decoder:
        settings["clean_up_tokenization_spaces"] = decoder.get("cleanup", True)
    added = {str(each["id"]): each for each in content.get("added_tokens", [])}
    if added:
        settings["added_tokens_decoder"] = added
    return _in_order(file, model["vocab"]), settings


def _read_normalizer(file: pathlib.Path, normalizer: Any, pre_tokenizer: Any) -> dict[str, Any]:
    _require(file, "normalizer", (normalizer or {}).get("type"), "BertNormalizer")
    _require(file, "pre_tokenizer", (pre_tokenizer or {}).get("type"), "BertPreTokenizer")
    return {
        "do_lower_case": normalizer["lowercase"],
        "strip_accents": normalizer["strip_accents"],
        "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
        "clean_text": normalizer["clean_text"],
    }


def _read_special_tokens(file: pathlib.Path, processor: Any) -> dict[str, Any]:
    if processor is None:
        return {}
    if processor["type"] == "BertProcessing":
        return {"cls_token": processor["cls"][0], "sep_token": processor["sep"][0]}
    _require(file, "post_processor", processor["type"], "TemplateProcessing")
    single, pair = (_template(processor[name]) for name in ("single", "pair"))
    cls, sep = single[0][0], single[-1][0]
    expected = [(cls, 0), ("A", 0), (sep, 0)]
    _require(file, "post_processor", single, expected)
    _require(file, "post_processor", pair, [*expected, ("B", 1), (sep, 1)])
    return {"cls_token": cls, "sep_token": sep}


def _template(template: list[dict]) -> list[tuple[str, int]]:
    """Return (name of a token or segment, type id) for each part of a template."""
    parts = [part for piece in template for part in piece.values()]
    return [(part["id"], part["type_id"]) for part in parts]


def _in_order(file: pathlib.Path, ids: dict[str, int]) -> list[str]:
    tokens = sorted(ids, key=ids.__getitem__)
    for id, token in enumerate(tokens):
        if ids[token] != id:
            raise InputError(
                f"{file}: ids must be numbered without gaps, but no token has {id}; give the "
                "vocab.txt that the tokenizer was made from"
            )
    return tokens


def _require(file: pathlib.Path, part: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise InputError(
            f"{file}: {part} must be {expected}, as in ELECTRA's tokenizers, was {found}; this "
            "tokenizer cannot be reproduced"
        )
