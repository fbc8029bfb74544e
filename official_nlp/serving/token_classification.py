"""Taggers of words as signatures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data.tables.tagging_schemes import OUTSIDE, is_tag
from official_nlp.inference.token_classification import TokenClassifier
from official_nlp.serving.located_text import locate, stripped, substring
from official_nlp.serving.served_head import DEFAULT, SAMPLES, STRINGS, Samples, ServedHead
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding

# Prefixes of tags that begin and that end an entity, as in `tagging_schemes.spans`.
_BEGIN, _END = "BSU", "ELSU"


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
    """

    def __init__(self, head: TokenClassifier, network: ServedNetwork):
        super().__init__()
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._tags = Tags(head.labels)

    def signatures(self) -> dict[str, Any]:
        return {DEFAULT: traced(self._tag, {"text": STRINGS})}

    def samples(self) -> dict[str, Samples]:
        return {DEFAULT: Samples({"text": list(SAMPLES)}, list(SAMPLES))}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        fields = ("label", "start", "end", "text", "score")
        columns = [outputs[f"entity_{field}"].tolist() for field in fields]
        tags = [row[:count] for row, count in zip(outputs["tags"].tolist(), outputs["num_words"])]
        return [
            {"entities": [dict(zip(fields, each)) for each in list(zip(*rows))[:count]], "tags": of}
            for of, count, *rows in zip(tags, outputs["num_entities"], *columns)
        ]

    def _tag(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        located = locate(self._encoding, text)
        logits = self.networks[""](self._encoding.padded(located.framed))["logits"]
        logits = located.of_pieces(logits)  # [pieces, labels]
        # The first piece of a word decides on its tag, and a word ends where the next one begins.
        first = tf.where(located.begins)[:, 0]
        last = tf.concat([first[1:], tf.shape(logits, tf.int64)[:1]], 0)[: tf.size(first)] - 1
        # As in `Predictor`, probabilities are computed in float64.
        probabilities = tf.nn.softmax(tf.cast(tf.gather(logits, first), tf.float64))
        best = tf.argmax(probabilities, axis=1)
        rows = tf.gather(located.rows, first)
        entities = self._tags.entities(best, rows)
        scores = tf.math.segment_mean(
            tf.gather(tf.reduce_max(probabilities, axis=1), entities.words), entities.numbers
        )
        starts = tf.gather(located.starts, tf.gather(first, entities.first))
        ends = tf.gather(located.ends, tf.gather(last, entities.last))
        entity_rows = tf.gather(rows, entities.first)
        starts, ends = stripped(located.texts, entity_rows, starts, ends)
        return {
            "tags": located.by_text(tf.gather(self._tags.names, best), rows),
            "num_words": located.count(rows),
            "entity_label": located.by_text(
                tf.gather(self._tags.types, tf.gather(best, entities.first)), entity_rows
            ),
            "entity_start": located.by_text(starts, entity_rows),
            "entity_end": located.by_text(ends, entity_rows),
            "entity_text": located.by_text(
                substring(located.texts, entity_rows, starts, ends), entity_rows
            ),
            "entity_score": located.by_text(tf.cast(scores, tf.float32), entity_rows),
            "num_entities": located.count(entity_rows),
            "truncated": located.truncated,
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
