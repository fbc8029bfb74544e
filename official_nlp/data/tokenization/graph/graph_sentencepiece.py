"""SentencePiece in a graph, with tensorflow_text."""

import hashlib
import re

import tensorflow as tf

from official_nlp.data.tokenization.graph.character_table import ASKED
from official_nlp.data.tokenization.graph.located_pieces import LocatedPieces, is_first
from official_nlp.data.tokenization.graph.name_finders import (
    WHITE_SPACE,
    AddedTokenFinder,
    Spans,
    one_of,
)
from official_nlp.data.tokenization.sentencepiece import SentencePiece
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.words import SENTENCEPIECE_MARK


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
        self._has_mark = tf.constant([x.startswith(SENTENCEPIECE_MARK) for x in tokenizer.vocab])

    def __call__(self, texts: tf.Tensor) -> tuple[Spans, tf.RaggedTensor]:
        spans = Spans.of(texts).split(self._find)
        continues = self._continues(spans)
        pieces = tf.cond(
            tf.reduce_any(continues),
            lambda: self._with_both(spans.texts, continues),
            lambda: self._model.tokenize(spans.texts),
        )
        first, _ = self._borders(pieces)
        ids = pieces.with_values(self._known(pieces.values))
        return spans, tf.ragged.boolean_mask(ids, pieces.with_values(first))

    def located(self, texts: tf.Tensor) -> tuple[Spans, LocatedPieces]:
        """Return what a call does, with the characters of the pieces.

        Args:
          texts: UTF-8 `[B]`.
        """
        spans = Spans.of(texts).split(self._find)
        continues = self._continues(spans)
        # An empty string has no pieces, so each text gets those of one of the two models.
        both = zip(
            self._model.tokenize_with_offsets(tf.where(continues, "", spans.texts)),
            self._inside.tokenize_with_offsets(tf.where(continues, spans.texts, "")),
        )
        pieces, starts, ends = (tf.concat(each, 1) for each in both)
        first, last = self._borders(pieces)
        ids = tf.ragged.boolean_mask(
            pieces.with_values(self._known(pieces.values)), pieces.with_values(first)
        )
        starts, ends = _characters(
            spans.texts,
            ids.value_rowids(),
            tf.boolean_mask(starts.values, first),
            tf.boolean_mask(ends.values, last),
        )
        begins = is_first(ids.value_rowids()) | tf.gather(self._has_mark, ids.values)
        return spans, LocatedPieces(
            ids, ids.with_values(starts), ids.with_values(ends), ids.with_values(begins)
        )

    def _continues(self, spans: Spans) -> tf.Tensor:
        """Return which texts are right after an added token, and do not begin a word."""
        texts, rows = spans.texts, spans.rows
        follows = tf.concat([tf.zeros_like(rows[:1], tf.bool), rows[1:] == rows[:-1]], 0)
        begins = tf.strings.regex_full_match(texts, f"{self._space}(?s:.*)")
        return follows & ~begins & (texts != "")

    def _with_both(self, texts: tf.Tensor, continues: tf.Tensor) -> tf.RaggedTensor:
        # An empty string has no pieces, so each text gets those of one of the two models.
        first = self._model.tokenize(tf.where(continues, "", texts))
        return tf.concat([first, self._inside.tokenize(tf.where(continues, texts, ""))], 1)

    def _known(self, pieces: tf.Tensor) -> tf.Tensor:
        """Return the ids of pieces, where bytes are the unknown piece."""
        return tf.where(pieces >= self._num_pieces, self._unknown, pieces)

    def _borders(self, pieces: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return which pieces are the first, and the last, of one piece of the vocabulary.

        The bytes of each run of unknown characters are the one unknown piece together.
        """
        ids, rows = pieces.values, pieces.value_rowids()
        is_byte = ids >= self._num_pieces
        follows = is_byte[1:] & is_byte[:-1] & (rows[1:] == rows[:-1])
        one = tf.ones_like(is_byte[:1])
        return tf.concat([one, ~follows], 0), tf.concat([~follows, one], 0)


def _characters(
    texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return spans in characters, without the white space that the mark of a piece stands for.

    Args:
      texts: UTF-8 `[N]`.
      rows: number of the text of each span, int64 `[spans]`.
      starts, ends: the spans in bytes `[spans]`.
    """
    points, offsets = tf.strings.unicode_decode_with_offsets(texts, "UTF-8")
    # Texts are put behind one another, in bytes and in characters.
    bytes_before = tf.cumsum(tf.cast(tf.strings.length(texts), tf.int64), exclusive=True)
    in_bytes = offsets.values + tf.gather(bytes_before, offsets.value_rowids())
    shift = tf.gather(bytes_before, rows)
    starts, ends = (
        tf.searchsorted(in_bytes, tf.cast(each, tf.int64) + shift, out_type=tf.int64)
        for each in (starts, ends)
    )
    is_space = tf.reduce_any(points.values[:, tf.newaxis] == [ord(c) for c in WHITE_SPACE], axis=1)
    # The end of all texts counts, so that there is one behind any position.
    others = tf.concat([tf.where(~is_space)[:, 0], [tf.size(is_space, tf.int64)]], 0)
    starts = tf.minimum(tf.gather(others, tf.searchsorted(others, starts)), ends)
    before = tf.gather(points.row_starts(), rows)
    return starts - before, ends - before


def _letters() -> str:
    """Return a pattern for the word characters of Python's regular expressions."""
    characters = ASKED.tobytes().decode("utf-32-le")
    return one_of(re.findall(r"\w", characters))
