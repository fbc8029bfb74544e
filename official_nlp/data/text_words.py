"""Divide a text into words as the files of tagging tasks do, such as those of CoNLL."""

from official_nlp.data.text_windows import stripped_span, tokenize
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.words import is_in_word

Span = tuple[int, int]
APOSTROPHES = "'\u2019"


def spans(tokenizer: ElectraTokenizer, text: str) -> list[Span]:
    """Return the words of a text, `text[start:end]` each.

    The tokenizer divides a text at white space and before and after each punctuation character.
    Tagged files divide less: `U.S.`, `3.5`, `AT&T` and `twenty-one` are words. Therefore:

    1. A single punctuation character between two letters or digits joins them, in scripts that
       have spaces between words.
    2. A period after a word that has a period inside belongs to it, as in `U.S.`
    3. An apostrophe before a final `s` starts a word, as in `Anna's`: `Anna`, `'s`.

    Args:
      tokenizer: tokenizer of the model.
      text: any text.
    """
    words: list[Span] = []
    parts = _parts(tokenizer, text)
    position = 0
    while position < len(parts):
        start, end = parts[position]
        position += 1
        # Rule 3 for the word before, of which this is the apostrophe.
        if _is_possessive(text, parts, position - 1):
            end = parts[position][1]
            position += 1
        while _is_joined(text, parts, position):
            end = parts[position + 1][1]
            position += 2
        if _is_abbreviation(text, start, parts, position):
            end = parts[position][1]
            position += 1
        words.append((start, end))
    return words


def _parts(tokenizer: ElectraTokenizer, text: str) -> list[Span]:
    """Return the words of the tokenizer."""
    tokens = tokenize(tokenizer, text)
    found: dict[int, Span] = {}
    for word, (start, end) in zip(tokens.words.tolist(), tokens.offsets.tolist()):
        found[word] = (found.get(word, (start, end))[0], end)
    return [stripped_span(text, *span) for span in found.values()]


def _is_joined(text: str, parts: list[Span], position: int) -> bool:
    """Return whether a part joins the one before and the one after it to a word."""
    if not 0 < position < len(parts) - 1 or _is_possessive(text, parts, position):
        return False
    (_, end), (start, stop), (begin, _) = parts[position - 1 : position + 2]
    return (
        (end, stop) == (start, begin)
        and stop - start == 1
        and not is_in_word(text[start])
        and is_in_word(text[end - 1])
        and is_in_word(text[begin])
    )


def _is_possessive(text: str, parts: list[Span], position: int) -> bool:
    """Return whether a part is the apostrophe between a word and an s that ends it."""
    if not 0 < position < len(parts) - 1:
        return False
    (_, end), (start, stop), (begin, last) = parts[position - 1 : position + 2]
    return (
        (end, stop) == (start, begin)
        and text[start:stop] in APOSTROPHES
        and text[begin:last] in ("s", "S")
        and is_in_word(text[end - 1])
    )


def _is_abbreviation(text: str, start: int, parts: list[Span], position: int) -> bool:
    """Return whether a part is the period after a word that has one inside, and ends there."""
    if position >= len(parts):
        return False
    period, stop = parts[position]
    return (
        parts[position - 1][1] == period
        and text[period:stop] == "."
        and "." in text[start:period]
        and text[period - 1].isalpha()
    )
