"""SentencePiece in a graph, with tensorflow_text."""

import hashlib
import re

import tensorflow as tf

from official_nlp.data.tokenization.character_table import ASKED
from official_nlp.data.tokenization.graph_names import WHITE_SPACE, Names, Parts, one_of
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer


class GraphSentencePiece(tf.Module):
    """Cuts texts into pieces of a SentencePiece model.

    Call:
      texts: UTF-8 `[B]`.
      Returns their `Parts`, and the ids of the pieces of those that are texts, ragged int32
      `[parts, pieces]`.
    """

    def __init__(self, tokenizer: ElectraTokenizer):
        """Makes one.

        Args:
          tokenizer: gives the same ids in Python.
        """
        super().__init__()
        import tensorflow_text  # not everyone who has a tokenizer has it or waits for it

        tokens = tokenizer.added_tokens
        self._space = one_of(WHITE_SPACE)
        word = _letters() if any(token.single_word for token in tokens) else ""
        self._names = Names([(token.content, token) for token in tokens], self._space, word)
        # In SavedModels of one process, models of one name are one and the same.
        self._model, self._inside = (
            tensorflow_text.SentencepieceTokenizer(
                model, tf.int32, name=f"sentencepiece_{hashlib.sha256(model).hexdigest()}"
            )
            for model in tokenizer.engine.models()
        )

    def __call__(self, texts: tf.Tensor) -> tuple[Parts, tf.RaggedTensor]:
        parts = Parts.of(texts).cut(self._names)
        texts, rows = parts.texts, parts.rows
        behind = tf.concat([tf.zeros_like(rows[:1], tf.bool), rows[1:] == rows[:-1]], 0)
        begins = tf.strings.regex_full_match(texts, f"{self._space}(?s:.*)")
        goes_on = behind & ~begins & (texts != "")
        pieces = tf.cond(
            tf.reduce_any(goes_on),
            lambda: self._both(texts, goes_on),
            lambda: self._model.tokenize(texts),
        )
        return parts, pieces

    def _both(self, texts, goes_on) -> tf.RaggedTensor:
        first = self._model.tokenize(tf.where(goes_on, "", texts))
        return tf.concat([first, self._inside.tokenize(tf.where(goes_on, texts, ""))], 1)


def _letters() -> str:
    characters = ASKED.tobytes().decode("utf-32-le")
    return one_of(re.findall(r"\w", characters))
