"""Prompts of labels: a template filled with a text and, once for each label, the label's word."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from official_nlp.data import text_windows
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.ranges import shown

TEMPLATE = "{text} It was {label}."
_FIELD = re.compile(r"\{(text|text_pair|label)\}")


@dataclasses.dataclass(frozen=True)
class Template:
    """A sentence with places for a text and a label.

    Attributes:
      template: text with `{text}` and `{label}` once each, and `{text_pair}` at most once. All
        other braces stand for themselves.

    Raises:
      InputError: a place is missing or occurs twice.
    """

    template: str

    def __post_init__(self):
        for name in ("text", "label"):
            if self._fields.count(name) != 1:
                raise InputError(
                    f"template must have {{{name}}} exactly once, was {shown(self.template)}; "
                    f"an example is {TEMPLATE!r}"
                )
        if self._fields.count("text_pair") > 1:
            raise InputError(
                f"template must have {{text_pair}} at most once, was {shown(self.template)}"
            )

    @property
    def _fields(self) -> list[str]:
        return _FIELD.findall(self.template)

    @property
    def takes_pairs(self) -> bool:
        """Whether there is a place for a second text."""
        return "text_pair" in self._fields

    def filled(
        self, text: str, pair: str | None, word: str
    ) -> tuple[str, dict[str, tuple[int, int]]]:
        """Return the sentence, and the span of each field in its characters."""
        values = {"text": text, "text_pair": pair or "", "label": word}
        result, spans = "", {}
        # The pattern has one group, so that fields stand at the odd places.
        for number, part in enumerate(_FIELD.split(self.template)):
            start = len(result)
            result += values[part] if number % 2 else part
            if number % 2:
                spans[part] = (start, len(result))
        return result, spans


class Prompt(NamedTuple):
    """A filled template as a sequence of tokens.

    Attributes:
      ids: token ids, special tokens included.
      label: positions of the tokens of the label's word.
    """

    ids: list[int]
    label: list[int]


class LabelPrompts:
    """Make the prompts of texts, one for each label.

    A prompt that is too long loses tokens of the text, or of the longer of two texts, and none of
    the template. All prompts of a text have the same part of it.

    Args:
      tokenizer: tokenizer of the network.
      labels: names of the labels, which are also their words; or the word of each label by name.
      template: see `Template`.
      length: largest number of tokens of a sequence, special tokens included.

    Attributes:
      words: the word of each label by its name.
      template: the template.

    Raises:
      InputError: there are less than two labels, two are equal or have the same tokens, a word is
        empty or unknown to the vocabulary, or the template is wrong.
    """

    def __init__(
        self,
        tokenizer: ElectraTokenizer,
        labels: Sequence[str] | Mapping[str, str],
        template: str,
        length: int,
    ):
        self._tokenizer = tokenizer
        self._length = length
        self.template = Template(template)
        self.words = _named_words(labels)
        self._check_words()

    def of_text(self, text: str, pair: str | None = None) -> tuple[list[Prompt], int]:
        """Return the prompt of each label, and the number of tokens of the longest before the cut.

        Args:
          text: the text.
          pair: the second text, for a template with `{text_pair}`.

        Raises:
          InputError: the template leaves no room for a text.
        """
        filled = [self._tokens(text, pair, word) for word in self.words.values()]
        sizes = [len(ids) + 2 for ids, _ in filled]
        cut = max(max(sizes) - self._length, 0)
        return [self._prompt(ids, fields, cut) for ids, fields in filled], max(sizes)

    def require_places(self, where: str, pair: str | None) -> None:
        """Check that the template has a place for each text.

        Args:
          where: name of the input in the message, such as "input 3".
          pair: second text of the input; None if it has one text.

        Raises:
          InputError: a pair is given for a template without `{text_pair}`, or one text alone for
            one with it.
        """
        if (pair is not None) != self.template.takes_pairs:
            expected = "two texts" if self.template.takes_pairs else "one text, not a pair"
            raise InputError(
                f"{where} must be {expected}, for the template {shown(self.template.template)}; "
                "{text_pair} is the place of a second text"
            )

    def _tokens(
        self, text: str, pair: str | None, word: str
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return ids `[tokens]` and the indices of the tokens of each field."""
        sentence, spans = self.template.filled(text, pair, word)
        tokens = text_windows.tokenize(self._tokenizer, sentence)
        # A token of SentencePiece begins with the space before its word, which is of no field.
        starts = np.array([text_windows.stripped_span(sentence, *x)[0] for x in tokens.offsets])
        ends = tokens.offsets[:, 1]
        label_start, label_end = spans["label"]
        is_label = (starts < label_end) & (ends > label_start)
        fields = {"label": np.flatnonzero(is_label)}
        for name in spans.keys() - fields.keys():
            start, end = spans[name]
            fields[name] = np.flatnonzero((ends > start) & (ends <= end) & ~is_label)
        return tokens.ids, fields

    def _prompt(self, ids: np.ndarray, fields: dict[str, np.ndarray], cut: int) -> Prompt:
        texts = [fields[name].tolist() for name in ("text", "text_pair") if name in fields]
        if cut > sum(map(len, texts)):
            raise InputError(
                f"the template {shown(self.template.template)} leaves no room for a text in a "
                f"sequence of {self._length} tokens: shorten it"
            )
        # `truncation_side` names the side that loses tokens, as in the tokenizer.
        last = -1 if self._tokenizer.truncation_side == "right" else 0
        dropped = {max(texts, key=len).pop(last) for _ in range(cut)}
        kept = [index for index in range(len(ids)) if index not in dropped]
        label = set(fields["label"].tolist())
        # Position 0 is [CLS].
        positions = [place for place, index in enumerate(kept, start=1) if index in label]
        framed = [self._tokenizer.cls_token_id, *ids[kept].tolist(), self._tokenizer.sep_token_id]
        return Prompt(framed, positions)

    def _check_words(self) -> None:
        known: dict[tuple[int, ...], str] = {}
        special = {self._tokenizer.unk_token_id, *self._tokenizer.special_ids}
        for name, word in self.words.items():
            ids, fields = self._tokens("", "", word)
            tokens = tuple(ids[fields["label"]].tolist())
            if not tokens or special.intersection(tokens):
                raise InputError(
                    f"the word {shown(word)} of label {shown(name)} is not in the vocabulary of "
                    "the model: choose another word"
                )
            if tokens in known:
                raise InputError(
                    f"labels {shown(known[tokens])} and {shown(name)} have the same tokens, "
                    f"{' '.join(self._tokenizer.vocab[token] for token in tokens)}: give each a "
                    "word of its own"
                )
            known[tokens] = name


def _named_words(labels: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return the word of each label by its name."""
    if isinstance(labels, str):
        raise InputError(f"labels must be a list or a dict of words, was {shown(labels)}")
    pairs = list(labels.items()) if isinstance(labels, Mapping) else [(x, x) for x in labels]
    for name, word in pairs:
        if not all(isinstance(each, str) and each.strip() for each in (name, word)):
            raise InputError(
                f"labels must have names and words that are not empty, was {shown((name, word))}"
            )
    names = [name for name, _ in pairs]
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise InputError(f"labels must differ, but {shown(repeated[0])} is given twice")
    if len(names) < 2:
        raise InputError(f"labels must be at least two, were {shown(names)}")
    return dict(pairs)
