"""`tokenizer.json`, which the `tokenizers` package writes: a WordPiece one is read, no other."""

import json
import pathlib

from official_nlp.data.tokenization.wordpiece import LONGEST_WORD
from official_nlp.errors import InputError


def read(file: pathlib.Path) -> tuple[list[str], dict]:
    """Reads a vocabulary and what is said about it.

    Args:
      file: a `tokenizer.json`.

    Returns:
      The tokens in order of their ids, and arguments of the constructor of `ElectraTokenizer`.

    Raises:
      InputError: it is none, or not WordPiece with BERT's treatment of characters and words.
    """
    content = read_object(file)
    try:
        return _read(file, content)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} must be as the tokenizers package writes it, but reading it met "
            f"{type(error).__name__}: {error}; save the tokenizer again, or give its vocab.txt"
        ) from error


def read_object(file: pathlib.Path) -> dict:
    """Reads a JSON file that holds an object.

    Raises:
      InputError: it holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} must be JSON: {error}; write it again") from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{file} must hold a JSON object, was a {type(content).__name__}; write it again"
        )
    return content


def _read(file: pathlib.Path, content: dict) -> tuple[list[str], dict]:
    model = content["model"]
    # Old files do not name the model's type.
    kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else None)
    _require(file, "model", kind, "WordPiece")
    longest = model.get("max_input_chars_per_word", LONGEST_WORD)
    _require(file, "max_input_chars_per_word", longest, LONGEST_WORD)
    settings = {
        "unk_token": model["unk_token"],
        "wordpieces_prefix": model["continuing_subword_prefix"],
        **_read_treatment(file, content.get("normalizer"), content.get("pre_tokenizer")),
        **_read_frame(file, content.get("post_processor")),
    }
    decoder = content.get("decoder")
    if decoder:
        settings["clean_up_tokenization_spaces"] = decoder.get("cleanup", True)
    added = {str(each["id"]): each for each in content.get("added_tokens", [])}
    if added:
        settings["added_tokens_decoder"] = added
    return _in_order(file, model["vocab"]), settings


def _read_treatment(file: pathlib.Path, normalizer, pre_tokenizer) -> dict:
    _require(file, "normalizer", (normalizer or {}).get("type"), "BertNormalizer")
    _require(file, "pre_tokenizer", (pre_tokenizer or {}).get("type"), "BertPreTokenizer")
    return {
        "do_lower_case": normalizer["lowercase"],
        "strip_accents": normalizer["strip_accents"],
        "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
        "clean_text": normalizer["clean_text"],
    }


def _read_frame(file: pathlib.Path, processor: dict | None) -> dict:
    if processor is None:
        return {}
    if processor["type"] == "BertProcessing":
        return {"cls_token": processor["cls"][0], "sep_token": processor["sep"][0]}
    _require(file, "post_processor", processor["type"], "TemplateProcessing")
    single, pair = (_spelt(processor[name]) for name in ("single", "pair"))
    cls, sep = single[0][0], single[-1][0]
    expected = [(cls, 0), ("A", 0), (sep, 0)]
    _require(file, "post_processor", single, expected)
    _require(file, "post_processor", pair, [*expected, ("B", 1), (sep, 1)])
    return {"cls_token": cls, "sep_token": sep}


def _spelt(template: list[dict]) -> list[tuple[str, int]]:
    parts = [part for piece in template for part in piece.values()]
    return [(part["id"], part["type_id"]) for part in parts]


def _in_order(file: pathlib.Path, ids: dict[str, int]) -> list[str]:
    tokens = sorted(ids, key=ids.get)
    for place, token in enumerate(tokens):
        if ids[token] != place:
            raise InputError(
                f"{file}: ids must be numbered without gaps, but no token has {place}; give the "
                "vocab.txt that the tokenizer was made from"
            )
    return tokens


def _require(file: pathlib.Path, part: str, found, expected):
    if found != expected:
        raise InputError(
            f"{file}: {part} must be {expected}, as ELECTRA's tokenizers have it, was {found}; the "
            "ids would be others than this file's"
        )
