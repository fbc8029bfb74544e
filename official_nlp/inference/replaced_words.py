"""What a pre-trained pair says of text: which words look replaced, what fits into a blank."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer

# An ideograph is a word, as it is to the tokenizer.
_IDEOGRAPH = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_LETTERS = rf"[^\W{_IDEOGRAPH}]+"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|{_LETTERS}(?:['’-]{_LETTERS})*")
# Three at least: two are part of names such as __init__.
_BLANK = re.compile(r"_{3,}")
_ROWS = 64


@dataclasses.dataclass(frozen=True)
class WordScore:
    """One word of a text.

    Attributes:
      start, end: its characters, `text[start:end]`.
      probability: that it was replaced, as the discriminator thinks; of its pieces the highest.
    """

    start: int
    end: int
    probability: float


class WordScorer:
    """Asks both networks about plain text.

    Args:
      model: a trained pre-trainer.
      tokenizer: the one it was trained with.
      length: tokens of a row, as in training; longer text is cut into rows.

    Example:
      scorer = WordScorer(model, tokenizer, length=128)
      for word in scorer.score(["The cat drove on the mat."])[0]: ...
      scorer.fill("The cat [MASK] on the mat.")  # [[("sat", 0.4), ...]]
    """

    def __init__(self, model: ElectraPretrainer, tokenizer: ElectraTokenizer, length: int):
        self.model = model
        self.tokenizer = tokenizer
        self.length = length
        self._discriminate = tf.function(
            lambda ids, mask: tf.sigmoid(model.discriminate(ids, mask)), reduce_retracing=True
        )
        self._generate = tf.function(self._fill_probabilities, reduce_retracing=True)
        # No text is written with a special token: 1 at others, `[V]`.
        self._words = np.ones([model.vocab_size], np.float32)
        self._words[[*tokenizer.special_ids, tokenizer.unk_token_id]] = 0

    def score(self, texts: Sequence[str]) -> list[list[WordScore]]:
        """Returns the words of each text, in order, with their scores. Punctuation has none."""
        rows = [row for i, text in enumerate(texts) for row in self._rows(i, text)]
        by_text: list[dict] = [{} for _ in texts]
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            probabilities = self._discriminate(*self._batch([ids for _, ids, _ in part])).numpy()
            for (index, _, spans), row in zip(part, probabilities):
                # Place 0 is [CLS].
                by_text[index].update(zip(spans, row[1 : 1 + len(spans)].tolist()))
        return [_words(text, pieces) for text, pieces in zip(texts, by_text)]

    def has_blank(self, text: str) -> bool:
        """Returns whether a text has something for `fill`: [MASK] or ___."""
        return self.tokenizer.mask_token in text or bool(_BLANK.search(text))

    def fill(self, text: str, top: int = 3) -> list[list[tuple[str, float]]]:
        """Returns for each blank, [MASK] or ___, the generator's best tokens and their chances.

        Special tokens, [UNK] among them, are left out.

        Raises:
          InputError: there is no blank, or the text is longer than a row.
        """
        text = _BLANK.sub(self.tokenizer.mask_token, text)
        ids = self.tokenizer(text)["input_ids"]
        blanks = np.flatnonzero(ids == self.tokenizer.mask_token_id)
        if not len(blanks):
            raise InputError(f"the text has no blank to fill, [MASK] or ___: {text!r}")
        if len(ids) > self.length:
            raise InputError(
                f"a text with a blank must fit into {self.length - 2} tokens, had {len(ids) - 2}"
            )
        ids, mask = self._batch([ids[1:-1]])
        probabilities = self._generate(ids, mask, tf.constant(blanks[np.newaxis], tf.int32))
        best = tf.math.top_k(probabilities[0] * self._words, top)
        return [
            [(self.tokenizer.vocab[i], float(p)) for i, p in zip(*pair)]
            for pair in zip(best.indices.numpy(), best.values.numpy())
        ]

    def pieces(self, text: str) -> int:
        """Returns the number of tokens of a text, without special ones."""
        return len(self.tokenizer.tokenize(text))

    def _fill_probabilities(self, ids, mask, positions):
        inputs = {"input_word_ids": ids, "input_mask": mask, "masked_lm_positions": positions}
        return tf.nn.softmax(self.model.generate(inputs)["lm_outputs"])

    def _rows(self, index: int, text: str):
        """Yields (index of the text, ids, spans of characters), each fitting into a row."""
        encoded = self.tokenizer(text, return_offsets_mapping=True)
        ids = encoded["input_ids"][1:-1]
        spans = [tuple(span) for span in encoded["offset_mapping"][1:-1].tolist()]
        room = self.length - 2
        for start in range(0, len(ids), room):
            yield index, ids[start : start + room], spans[start : start + room]

    def _batch(self, rows):
        ids = np.full([len(rows), self.length], self.tokenizer.pad_token_id, np.int32)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, 0] = self.tokenizer.cls_token_id
            ids[i, 1 : 1 + len(row)] = row
            ids[i, 1 + len(row)] = self.tokenizer.sep_token_id
            mask[i, : len(row) + 2] = 1
        return tf.constant(ids), tf.constant(mask)


def find_words(text: str) -> list[tuple[int, int]]:
    """Returns the spans of words: letters and digits, joined by ' or -, or a Chinese character."""
    return [match.span() for match in _WORD.finditer(text)]


def _words(text, pieces) -> list[WordScore]:
    words = []
    for start, end in find_words(text):
        inside = [p for (a, b), p in pieces.items() if a < end and b > start]
        words.append(WordScore(start, end, max(inside, default=0.0)))
    return words
