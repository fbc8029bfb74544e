"""Classify texts without training: the discriminator judges which label word fits a template."""

import dataclasses
import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from official_nlp.data import text_windows
from official_nlp.errors import InputError
from official_nlp.inference import sequences
from official_nlp.inference.batches import TokenSequence
from official_nlp.inference.inputs import TextPair
from official_nlp.inference.replaced_words import WordScorer
from official_nlp.inference.sequence_classification import Classification
from official_nlp.output import counted
from official_nlp.ranges import shown
from official_nlp.tasks.probabilities import softmax

TEMPLATE = "{text} It was {label}."
_FIELD = re.compile(r"\{(text|text_pair|label)\}")
# Texts whose filled templates are in memory at once.
_CHUNK = 256


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

    def filled(self, text: TextPair, word: str) -> tuple[str, dict[str, tuple[int, int]]]:
        """Return the sentence, and the span of each field in its characters."""
        values = {"text": text.text, "text_pair": text.pair or "", "label": word}
        result, spans = "", {}
        # The pattern has one group, so that fields stand at the odd places.
        for number, part in enumerate(_FIELD.split(self.template)):
            start = len(result)
            result += values[part] if number % 2 else part
            if number % 2:
                spans[part] = (start, len(result))
        return result, spans


class ZeroShotClassifier:
    """Choose the label whose word the discriminator finds most original in a template.

    The score of a label is the mean of log P(original) over the tokens of its word in the filled
    template. The mean, and not the sum, because every further token of a word can only lower the
    sum. The probabilities of the labels are the softmax of their scores.

    A sequence that is too long loses tokens of the text, or of the longer of two texts, and none of
    the template.

    Args:
      scorer: the discriminator.
      labels: names of the labels, which are also their words; or the word of each label by name.
      template: see `Template`.

    Raises:
      InputError: there are less than two labels, two are equal or have the same tokens, a word is
        empty or unknown to the vocabulary, or the template is wrong.

    Reference: Xia et al. 2022 (arXiv 2205.15223); Ni and Kao 2022 (arXiv 2207.08141).
    """

    def __init__(
        self,
        scorer: WordScorer,
        labels: Sequence[str] | Mapping[str, str],
        template: str = TEMPLATE,
    ):
        self._scorer = scorer
        self._tokenizer = scorer.tokenizer
        self._template = Template(template)
        self._words = _named_words(labels)
        self._check_words()

    def predict(self, texts: Sequence[TextPair]) -> list[Classification]:
        """Return the label of each text or pair, and the probabilities of all.

        A warning gives the number of truncated texts.

        Raises:
          InputError: a pair is given for a template without `{text_pair}`, or one text alone for
            one with it; or the template leaves no room for a text.
        """
        self._check_texts(texts)
        results, longest = [], []
        for start in range(0, len(texts), _CHUNK):
            filled = [self._fill(text) for text in texts[start : start + _CHUNK]]
            longest += [size for _, size in filled if size > self._scorer.length]
            prompts = [prompt for each, _ in filled for prompt in each]
            outputs = self._scorer.log_original([prompt.sequence for prompt in prompts])
            means = [output[prompt.label].mean() for prompt, output in zip(prompts, outputs)]
            for scores in np.reshape(means, [-1, len(self._words)]):
                results.append(self._classification(softmax(scores)))
        if longest:
            warnings.warn(
                f"truncated {len(longest):,} of {counted(len(texts), 'text')} with the template to "
                f"{self._scorer.length} tokens (the longest has {max(longest):,})",
                stacklevel=3,  # The caller of `Predictor.zero_shot`.
            )
        return results

    def _classification(self, probabilities: np.ndarray) -> Classification:
        names = list(self._words)
        best = int(probabilities.argmax())
        scores = dict(zip(names, probabilities.tolist()))
        return Classification(names[best], float(probabilities[best]), scores)

    # === Prompts ===

    def _fill(self, text: TextPair) -> tuple[list["_Prompt"], int]:
        """Return the prompt of each label, and the number of tokens of the longest, not cut."""
        filled = [self._tokens(text, word) for word in self._words.values()]
        # All labels of a text get the same part of it.
        sizes = [len(ids) + 2 for ids, _ in filled]
        cut = max(max(sizes) - self._scorer.length, 0)
        return [self._prompt(ids, fields, cut) for ids, fields in filled], max(sizes)

    def _tokens(self, text: TextPair, word: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return ids `[tokens]` and the indices of the tokens of each field."""
        sentence, spans = self._template.filled(text, word)
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

    def _prompt(self, ids: np.ndarray, fields: dict[str, np.ndarray], cut: int) -> "_Prompt":
        texts = [fields[name].tolist() for name in ("text", "text_pair") if name in fields]
        if cut > sum(map(len, texts)):
            raise InputError(
                f"the template {shown(self._template.template)} leaves no room for a text in a "
                f"sequence of {self._scorer.length} tokens: shorten it"
            )
        # `truncation_side` names the side that loses tokens, as in the tokenizer.
        last = -1 if self._tokenizer.truncation_side == "right" else 0
        dropped = {max(texts, key=len).pop(last) for _ in range(cut)}
        kept = [index for index in range(len(ids)) if index not in dropped]
        label = set(fields["label"].tolist())
        # Position 0 is [CLS].
        positions = [place for place, index in enumerate(kept, start=1) if index in label]
        return _Prompt(sequences.framed(self._tokenizer, ids[kept]), positions)

    # === Checks ===

    def _check_words(self) -> None:
        known: dict[tuple[int, ...], str] = {}
        special = {self._tokenizer.unk_token_id, *self._tokenizer.special_ids}
        for name, word in self._words.items():
            ids, fields = self._tokens(TextPair("", ""), word)
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

    def _check_texts(self, texts: Sequence[TextPair]) -> None:
        for number, text in enumerate(texts, start=1):
            if (text.pair is not None) != self._template.takes_pairs:
                expected = "two texts" if self._template.takes_pairs else "one text, not a pair"
                raise InputError(
                    f"input {number} must be {expected}, for the template "
                    f"{shown(self._template.template)}; {{text_pair}} is the place of a second text"
                )


@dataclasses.dataclass(frozen=True)
class _Prompt:
    """A filled template as tokens, and the positions of the label's tokens."""

    sequence: TokenSequence
    label: list[int]


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
