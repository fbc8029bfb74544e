"""The arguments of a call of the tokenizer, checked and brought into one form."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from official_nlp.data.tokenization.argument_checks import at_least, choice
from official_nlp.data.tokenization.framing import SIDES, STRATEGIES, Padding, Truncation
from official_nlp.errors import InputError

Texts = str | Sequence[str] | Sequence[Sequence[str]]
Result = TypeVar("Result")


# === Texts ===


def is_single(text: Any, split: bool) -> bool:
    """Return whether this is one text, not a list of them.

    Args:
      text: the argument `text`.
      split: whether a text is a list of words.

    Raises:
      InputError: if it is neither.
    """
    if isinstance(text, str):
        if split:
            raise InputError(f"text must be a list of words with is_split_into_words, was {text!r}")
        return True
    if not _is_list(text):
        what = "a list of words, or several" if split else "a str, or a list of them"
        raise InputError(f"text must be {what}, was {text!r}")
    return split and (len(text) == 0 or isinstance(text[0], str))


def pair_up(text: Any, text_pair: Any, single: bool, split: bool) -> list[tuple]:
    """Return a tuple for each example: its text, and its second text if there is one.

    Args:
      text, text_pair: the arguments of the call.
      single: whether they are one text each.
      split: whether a text is a list of words.

    Raises:
      InputError: if they do not match.
    """
    firsts = [text] if single else list(text)
    seconds = [text_pair] if single else text_pair
    if text_pair is None:
        seconds = [None] * len(firsts)
    if isinstance(seconds, str):
        raise InputError(
            f"text_pair must be a list like text, with {len(firsts)} texts, was one text"
        )
    if not _is_list(seconds):
        raise InputError(f"text_pair must have the form of text, was {text_pair!r}")
    if len(firsts) != len(seconds):
        raise InputError(
            f"text_pair must hold as many texts as text, {len(firsts)}, was {len(seconds)} texts"
        )
    # Hugging Face's fast tokenizers treat an empty second text as none.
    pairs = [
        (first,) if second is None or _is_empty(second) else (first, second)
        for first, second in zip(firsts, seconds, strict=True)
    ]
    wrong = [each for pair in pairs for each in pair if split and not _is_list(each)]
    if wrong:
        raise InputError(
            f"with is_split_into_words a text must be a list of words, was {wrong[0]!r}"
        )
    return pairs


def run(encode: Callable[..., Result], texts: Sequence, *options: bool) -> Result:
    """Return `encode(texts, *options)`, with clear errors for values that are not text.

    Args:
      encode: method of an engine.
      texts: texts, or lists of words.
      *options: further arguments of `encode`.

    Raises:
      InputError: if one of the texts or words is not a str of valid characters.
    """
    words = [word for text in texts for word in (text if _is_list(text) else [text])]
    if not all(isinstance(word, str) for word in words):
        wrong = next(word for word in words if not isinstance(word, str))
        raise InputError(
            f"text must be str, but one was {type(wrong).__name__}: {wrong!r:.80}; decode bytes, "
            "and leave out missing values"
        )
    try:
        return encode(texts, *options)
    except (TypeError, UnicodeError, RuntimeError) as error:
        # Each engine has another exception for this.
        for word in words:
            if any("\ud800" <= character <= "\udfff" for character in word):
                raise InputError(
                    "text must consist of valid characters, but one contains half of a surrogate "
                    f"pair: {word!r:.80}; decode it as UTF-8, or with errors='replace'"
                ) from error
        raise


def _is_list(value: Any) -> bool:
    is_text = isinstance(value, str | bytes | bytearray)
    return isinstance(value, Sequence | np.ndarray) and not is_text


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and len(value) == 0


# === Options ===


def truncation(
    value: bool | str | None,
    max_length: int | None,
    default_length: int | None,
    side: str,
    stride: int,
    windows: bool,
) -> Truncation | None:
    """Return how sequences are shortened; None: not at all.

    Args:
      value, max_length, stride, windows: the arguments of the call; `windows` is its
        `return_overflowing_tokens`.
      default_length, side: the tokenizer's `model_max_length` and `truncation_side`.

    Raises:
      InputError: if a value is out of range, or there is no maximum length.
    """
    stride = at_least("stride", stride, 0)
    if value in (False, None, "do_not_truncate"):
        return None
    strategy = "longest_first" if value is True else str(value)
    if strategy not in STRATEGIES:
        raise InputError(
            f"truncation must be True, False or one of {', '.join(STRATEGIES)}, was {value!r}"
        )
    length = _limit(f"truncation={value!r}", max_length, default_length)
    return Truncation(length, strategy, side, windows, stride)


def padding(
    value: bool | str,
    max_length: int | None,
    default_length: int | None,
    multiple: int | None,
    side: str,
    pad_id: int,
) -> Padding | None:
    """Return how sequences are brought to one length; None: not at all.

    Args:
      value, max_length, multiple: the arguments of the call; `multiple` is its
        `pad_to_multiple_of`.
      default_length: the tokenizer's `model_max_length`.
      side: side at which padding is added.
      pad_id: id of the padding token.

    Raises:
      InputError: if a value is out of range, or there is no maximum length.
    """
    multiple = at_least("pad_to_multiple_of", 1 if multiple is None else multiple, 1)
    choice("padding_side", side, SIDES)
    if value not in (False, True, "longest", "max_length", "do_not_pad"):
        raise InputError(f'padding must be False, True, "longest" or "max_length", was {value!r}')
    if value in (False, "do_not_pad"):
        return None
    width = None
    if value == "max_length":
        width = _limit(f"padding={value!r}", max_length, default_length)
    return Padding(pad_id, width, multiple, side)


def check_multiple(padding: Padding | None, truncation: Truncation | None) -> None:
    """Refuse a multiple that would make sequences longer than the length they are truncated to.

    Raises:
      InputError: if it would.
    """
    if padding and truncation and truncation.max_length % padding.multiple:
        raise InputError(
            f"max_length must be a multiple of pad_to_multiple_of={padding.multiple}, was "
            f"{truncation.max_length}: truncated sequences would be padded beyond it"
        )


def _limit(what: str, max_length: int | None, default_length: int | None) -> int:
    limit = default_length if max_length is None else max_length
    if limit is None:
        raise InputError(f"{what} needs max_length=, as the tokenizer has no model_max_length")
    return at_least("max_length", limit, 1)


# === Results ===


def tensors(result: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the sequences of a result as one array or tensor for each output.

    Args:
      result: arrays, or lists of arrays, by names of outputs.
      kind: "np" or "tf".

    Raises:
      InputError: if the sequences differ in length, or the kind is another.
    """
    if kind not in ("np", "tf"):
        raise InputError(f'return_tensors must be None, "np" or "tf", was {kind!r}')
    lengths = {len(sequence) for sequence in result["input_ids"]}
    if len(lengths) > 1:
        raise InputError(
            f"return_tensors={kind!r} needs sequences of one length, was {min(lengths)} to "
            f"{max(lengths)}: give padding=True, and truncation=True"
        )
    arrays = {name: np.asarray(column, np.int32) for name, column in result.items()}
    if kind == "np":
        return arrays
    # Importing TensorFlow takes seconds, and nothing else here needs it.
    import tensorflow as tf

    return {name: tf.constant(array) for name, array in arrays.items()}
