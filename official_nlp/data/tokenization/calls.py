"""What a call of the tokenizer is given, and what it gives."""

from collections.abc import Callable, Sequence

import numpy as np

from official_nlp.data.tokenization.rows import STRATEGIES, Padding, Row
from official_nlp.data.tokenization.values import at_least
from official_nlp.errors import InputError

Texts = str | Sequence[str] | Sequence[Sequence[str]]


# === Texts ===


def is_single(text, split: bool) -> bool:
    """Whether a text is given alone, not in a list; with `split` it is a list of words itself."""
    if isinstance(text, str):
        if split:
            raise InputError(f"text must be a list of words with is_split_into_words, was {text!r}")
        return True
    if not _is_list(text):
        what = "a list of words, or several" if split else "a str, or a list of them"
        raise InputError(f"text must be {what}, was {text!r}")
    return split and (len(text) == 0 or isinstance(text[0], str))


def pair_up(text, text_pair, single: bool, split: bool) -> list[tuple]:
    """Each text with the one that goes with it, or alone."""
    firsts = [text] if single else list(text)
    seconds = [text_pair] if single else text_pair
    if text_pair is None:
        seconds = [None] * len(firsts)
    if isinstance(seconds, str):
        raise InputError(f"text_pair must hold a text for each of the {len(firsts)}, was one text")
    if not _is_list(seconds):
        raise InputError(f"text_pair must be given as text is, was {text_pair!r}")
    if len(firsts) != len(seconds):
        raise InputError(
            f"text_pair must hold a text for each of the {len(firsts)}, was {len(seconds)} texts"
        )
    pairs = [
        (first,) if _is_nothing(second) else (first, second)
        for first, second in zip(firsts, seconds, strict=True)
    ]
    wrong = [each for pair in pairs for each in pair if split and not _is_list(each)]
    if wrong:
        raise InputError(
            f"with is_split_into_words a text must be a list of words, was {wrong[0]!r}"
        )
    return pairs


def run(encode: Callable, texts: Sequence[str], *options) -> list:
    """What an engine makes of texts.

    Raises:
      InputError: one of them is none.
    """
    if not all(isinstance(text, str) for text in texts):
        wrong = next(text for text in texts if not isinstance(text, str))
        raise InputError(
            f"text must be str, but one was {type(wrong).__name__}: {wrong!r:.80}; decode bytes, "
            "and give no empty values"
        )
    try:
        return encode(texts, *options)
    except (TypeError, UnicodeError, RuntimeError) as error:  # as each engine has it
        halves = (text for text in texts if any("\ud800" <= each <= "\udfff" for each in text))
        for text in halves:
            raise InputError(
                f"text must be characters, but one holds half of a pair: {text!r:.80}; decode it "
                "as UTF-8, or with errors='replace'"
            ) from error
        raise


def _is_list(value) -> bool:
    is_text = isinstance(value, str | bytes | bytearray)
    return isinstance(value, Sequence | np.ndarray) and not is_text


def _is_nothing(text) -> bool:
    # As in Hugging Face's fast tokenizers, an empty second text is none.
    return text is None or (isinstance(text, Sequence | np.ndarray) and len(text) == 0)


# === Options ===


def strategy(truncation: bool | str | None) -> str | None:
    """Which segment is cut, as `Framing` has it."""
    if truncation in (False, None, "do_not_truncate"):
        return None
    wanted = "longest_first" if truncation is True else truncation
    if wanted not in STRATEGIES:
        raise InputError(
            f"truncation must be True, False or one of {', '.join(STRATEGIES)}, was {truncation!r}"
        )
    return wanted


def limit(what: str, max_length: int | None, own: int | None) -> int:
    """The most tokens: those given, or the tokenizer's own."""
    most = own if max_length is None else max_length
    if most is None:
        raise InputError(f"{what} needs max_length=, for the tokenizer has no model_max_length")
    return at_least("max_length", most, 1)


def is_padded(padding: bool | str) -> bool:
    """Whether rows are to be of one length."""
    if padding not in (False, True, "longest", "max_length", "do_not_pad"):
        raise InputError(f'padding must be False, True, "longest" or "max_length", was {padding!r}')
    return padding not in (False, "do_not_pad")


def check_multiple(padding: Padding, cut_to: int | None):
    """Refuses a multiple that would make rows longer than what they were cut to."""
    if padding.wanted and cut_to is not None and cut_to % padding.multiple:
        raise InputError(
            f"max_length must be a multiple of pad_to_multiple_of={padding.multiple}, was "
            f"{cut_to}: what is cut to it would be padded to more"
        )


# === Results ===


def columns(found: list[Row]) -> dict[str, list]:
    """All that is known of rows, by the names that it is given back under."""
    return {
        "input_ids": [row.ids for row in found],
        "token_type_ids": [row.type_ids for row in found],
        "attention_mask": [[1] * len(row.ids) for row in found],
        "special_tokens_mask": [row.special for row in found],
        "offset_mapping": [row.offsets for row in found],
        "word_ids": [row.words for row in found],
    }


def tensors(result: dict, kind: str | None) -> dict:
    """A result's rows in one array or tensor each."""
    if kind not in ("np", "tf"):
        raise InputError(f'return_tensors must be None, "np" or "tf", was {kind!r}')
    lengths = {len(row) for row in result["input_ids"]}
    if len(lengths) > 1:
        raise InputError(
            f"return_tensors={kind!r} needs rows of one length, was {min(lengths)} to "
            f"{max(lengths)}: give padding=True, and truncation=True"
        )
    arrays = {name: np.asarray(column, np.int32) for name, column in result.items()}
    if kind == "np":
        return arrays
    # Text tools need no TensorFlow for anything else here.
    import tensorflow as tf

    return {name: tf.constant(array) for name, array in arrays.items()}
