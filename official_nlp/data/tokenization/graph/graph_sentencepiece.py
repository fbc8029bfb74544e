"""SentencePiece in a graph, with tensorflow_text."""

import hashlib
import re

import tensorflow as tf

from official_nlp.data.tokenization.graph.character_table import ASKED
from official_nlp.data.tokenization.graph.name_finders import (
    WHITE_SPACE,
    AddedTokenFinder,
    Spans,
    one_of,
)
from official_nlp.data.tokenization.sentencepiece import SentencePiece
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer


class GraphSentencePiece(tf.Module):
    """Splits texts into pieces of a SentencePiece model.

    Call:
      texts: UTF-8 `[B]`.
      Returns their `Spans`, and the ids of the pieces of spans that are text, ragged int32
      `[spans, pieces]`.
    """

    def __init__(self, tokenizer: ElectraTokenizer, engine: SentencePiece):
        """Make an engine.

        Args:
          tokenizer: the tokenizer to reproduce.
          engine: its engine.
        """
        super().__init__()
        import tensorflow_text  # slow to import, and only needed here

        tokens = tokenizer.added_tokens
        self._space = one_of(WHITE_SPACE)
        word = _letters() if any(token.single_word for token in tokens) else ""
        names = [(token.content, token) for token in tokens]
        self._find = AddedTokenFinder(names, self._space, word)
        # SavedModels that are loaded into one process share models that have the same name.
        self._model, self._inside = (
            tensorflow_text.SentencepieceTokenizer(
                model, tf.int32, name=f"sentencepiece_{hashlib.sha256(model).hexdigest()}"
            )
            for model in engine.graph_models()
        )
        self._num_pieces, self._unknown = engine.num_pieces, tokenizer.unk_token_id

    def __call__(self, texts: tf.Tensor) -> tuple[Spans, tf.RaggedTensor]:
        spans = Spans.of(texts).split(self._find)
        texts, rows = spans.texts, spans.rows
        follows = tf.concat([tf.zeros_like(rows[:1], tf.bool), rows[1:] == rows[:-1]], 0)
        begins = tf.strings.regex_full_match(texts, f"{self._space}(?s:.*)")
        # Text right after an added token does not begin a word.
        continues = follows & ~begins & (texts != "")
        pieces = tf.cond(
            tf.reduce_any(continues),
            lambda: self._with_both(texts, continues),
            lambda: self._model.tokenize(texts),
        )
        return spans, self._with_unknown(pieces)

    def _with_both(self, texts: tf.Tensor, continues: tf.Tensor) -> tf.RaggedTensor:
        # An empty string has no pieces, so each text gets those of one of the two models.
        first = self._model.tokenize(tf.where(continues, "", texts))
        return tf.concat([first, self._inside.tokenize(tf.where(continues, texts, ""))], 1)

    def _with_unknown(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        """Replace the bytes of each run of unknown characters by the one unknown piece."""
        ids, rows = pieces.values, pieces.value_rowids()
        is_byte = ids >= self._num_pieces
        follows = is_byte[1:] & is_byte[:-1] & (rows[1:] == rows[:-1])
        first = tf.concat([tf.ones_like(is_byte[:1]), ~follows], 0)
        ids = tf.where(is_byte, self._unknown, ids)
        return tf.ragged.boolean_mask(pieces.with_values(ids), pieces.with_values(first))


def _letters() -> str:
    """Return a pattern for the word characters of Python's regular expressions."""
    characters = ASKED.tobytes().decode("utf-32-le")
    return one_of(re.findall(r"\w", characters))
