"""Taggers of words as signatures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data.tables.tagging_schemes import OUTSIDE, is_tag
from official_nlp.inference.token_classification import TokenClassifier
from official_nlp.serving import windows as text_windows
from official_nlp.serving.located_text import by_text, count_by_text, substring
from official_nlp.serving.served_head import (
    DEFAULT,
    SAMPLES,
    STRINGS,
    Samples,
    ServedHead,
    long_sample,
)
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding
from official_nlp.serving.text_words import TextWords, WordSpans

# Prefixes of tags that begin and that end an entity, as in `tagging_schemes.spans`.
_BEGIN, _END = "BSU", "ELSU"
# Tokens of a text that are at least divided into words, in lengths of a sequence.
_TEXT_LENGTHS = 4


class ServedTokenClassifier(ServedHead):
    """Tag the words of texts, and find their entities.

    Call of the signature:
      text: strings `[batch]`.

      Returns, padded with "" and 0: `tags` string `[batch, words]`; of each entity `entity_label`,
      `entity_text` string, `entity_start`, `entity_end` int32, its span in characters, and
      `entity_score` float32, all `[batch, entities]`; `num_words`, `num_entities` int32 `[batch]`
      and `truncated` bool `[batch]`. A text that is truncated has the words of its beginning.

    Args:
      head: the head in Python.
      network: a network with the output `logits`.
      windows: largest number of windows of a text.
    """

    def __init__(self, head: TokenClassifier, network: ServedNetwork, windows: int):
        super().__init__()
        self.windows = windows
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._find = TextWords()
        self._tags = Tags(head.labels)

    def signatures(self) -> dict[str, Any]:
        return {DEFAULT: traced(self._tag, {"text": STRINGS})}

    def samples(self) -> dict[str, Samples]:
        texts = [*SAMPLES, long_sample(self._encoding.length)]
        return {DEFAULT: Samples({"text": texts}, texts)}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        fields = ("label", "start", "end", "text", "score")
        columns = [outputs[f"entity_{field}"].tolist() for field in fields]
        tags = [row[:count] for row, count in zip(outputs["tags"].tolist(), outputs["num_words"])]
        return [
            {"entities": [dict(zip(fields, each)) for each in list(zip(*rows))[:count]], "tags": of}
            for of, count, *rows in zip(tags, outputs["num_entities"], *columns)
        ]

    def _tag(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        texts, words, cut = self._words(text)
        tokens, numbers = self._tokens(texts, words)
        room = self._encoding.length - 2
        # As in `word_windows.in_windows`, neighbours share a quarter of their tokens.
        parts = text_windows.cut(tokens.row_lengths(), room, room // 4, self.windows)
        framed = self._encoding.framed(parts.tokens(tokens))
        logits = self.networks[""](self._encoding.padded(framed))["logits"]
        # A word whose first token is behind the end of a truncated text has no tag.
        tagged = numbers < tf.gather(parts.reach, words.rows)
        words = WordSpans(*(tf.boolean_mask(each, tagged) for each in words))
        # Position 0 is [CLS].
        places = parts.position(words.rows, tf.boolean_mask(numbers, tagged)) + [0, 1]
        # As in `Predictor`, probabilities are computed in float64.
        probabilities = tf.nn.softmax(tf.cast(tf.gather_nd(logits, places), tf.float64))
        best = tf.argmax(probabilities, axis=1)
        return {
            "tags": by_text(tf.gather(self._tags.names, best), words.rows, texts),
            "num_words": count_by_text(words.rows, texts),
            **self._entities(texts, words, best, tf.reduce_max(probabilities, axis=1)),
            "truncated": parts.truncated | cut,
        }

    def _words(self, text: tf.Tensor) -> tuple[tf.Tensor, WordSpans, tf.Tensor]:
        """Return the texts that are read, their words, and which texts have more of them."""
        texts, cut = self._encoding.bounded(text)
        pieces = self._encoding.graph.located(texts)
        # A word has at least one token. Some more are read, because words are tokenized anew.
        most = max(_TEXT_LENGTHS, self.windows) * self._encoding.length
        more = pieces.ids.row_lengths() > most
        return texts, self._find(texts, pieces.map(lambda each: each[:, :most])), cut | more

    def _tokens(self, texts: tf.Tensor, words: WordSpans) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Return the tokens of words that are tokenized one by one, as in training.

        Returns:
          Ragged ids `[batch, tokens]`; and the number of the first token of each word among those
          of its text, int64 `[words]`.
        """
        pieces = self._encoding.graph.pieces(substring(texts, *words))
        # A word of which the tokenizer leaves nothing is an unknown token.
        empty = tf.cast(pieces.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(empty)], self._encoding.tokenizer.unk_token_id)
        unknown = tf.RaggedTensor.from_row_lengths(unknown, empty, validate=False)
        pieces = tf.concat([pieces, unknown], 1)
        by_word = tf.RaggedTensor.from_value_rowids(
            pieces, words.rows, tf.size(texts, tf.int64), validate=False
        )
        tokens = by_word.merge_dims(1, 2)
        return tokens, pieces.row_starts() - tf.gather(tokens.row_starts(), words.rows)

    def _entities(
        self, texts: tf.Tensor, words: WordSpans, labels: tf.Tensor, scores: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the outputs that describe entities.

        Args:
          texts: strings `[batch]`.
          words: words of the texts.
          labels: number of the label of each word, int64 `[words]`.
          scores: its probability, float64 `[words]`.
        """
        entities = self._tags.entities(labels, words.rows)
        rows = tf.gather(words.rows, entities.first)
        starts = tf.gather(words.starts, entities.first)
        ends = tf.gather(words.ends, entities.last)
        means = tf.math.segment_mean(tf.gather(scores, entities.words), entities.numbers)
        columns = {
            "label": tf.gather(self._tags.types, tf.gather(labels, entities.first)),
            "start": starts,
            "end": ends,
            "text": substring(texts, rows, starts, ends),
            "score": tf.cast(means, tf.float32),
        }
        return {
            **{f"entity_{name}": by_text(each, rows, texts) for name, each in columns.items()},
            "num_entities": count_by_text(rows, texts),
        }


class Entities:
    """Entities of the words of a batch.

    Attributes:
      words: index of every word of an entity, int64 `[words of entities]`.
      numbers: number of the entity of each of these, ascending.
      first, last: index of the first and the last word of each entity, int64 `[entities]`.
    """

    def __init__(self, words: tf.Tensor, numbers: tf.Tensor):
        self.words, self.numbers = words, numbers
        self.first = tf.math.segment_min(words, numbers)
        self.last = tf.math.segment_max(words, numbers)


class Tags(tf.Module):
    """The labels of a model, read as `inference.entities.decode` reads them.

    Attributes:
      names: string `[labels]`.
      types: string `[labels]`, type of the entity of each label.
    """

    def __init__(self, labels: Sequence[str]):
        super().__init__()
        # Labels without prefixes act as inside tags.
        tags = list(labels)
        if not all(map(is_tag, labels)):
            tags = [tag if tag == OUTSIDE else f"I-{tag}" for tag in labels]
        parts = [tag.partition("-") for tag in tags]
        types = [of for _, _, of in parts]
        self.names = tf.constant(list(labels), tf.string)
        self.types = tf.constant(types, tf.string)
        self._numbers = tf.constant([types.index(each) for each in types], tf.int64)
        self._outside = tf.constant([tag == OUTSIDE for tag in tags])
        self._begins = tf.constant([prefix in _BEGIN for prefix, *_ in parts])
        self._ends = tf.constant([prefix in _END for prefix, *_ in parts])

    def entities(self, labels: tf.Tensor, rows: tf.Tensor) -> Entities:
        """Return the entities of words.

        Args:
          labels: number of the label of each word, int64 `[words]`.
          rows: number of the text of each word, int64 `[words]`, ascending.
        """
        outside, numbers = tf.gather(self._outside, labels), tf.gather(self._numbers, labels)
        # An entity goes on after a word of the same text and type that does not end it.
        follows = (rows[1:] == rows[:-1]) & (numbers[1:] == numbers[:-1])
        follows &= ~outside[:-1] & ~tf.gather(self._ends, labels)[:-1]
        follows = tf.concat([tf.zeros_like(outside[:1]), follows], 0)
        begins = ~outside & (~follows | tf.gather(self._begins, labels))
        words = tf.where(~outside)[:, 0]
        entity = tf.cumsum(tf.cast(begins, tf.int64)) - 1
        return Entities(words, tf.gather(entity, words))
