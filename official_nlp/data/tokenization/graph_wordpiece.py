"""WordPiece in a graph, with tensorflow_text."""

import numpy as np
import tensorflow as tf
import tokenizers

from official_nlp.data.tokenization.character_table import ASKED, FENCE, character_table
from official_nlp.data.tokenization.graph_names import WHITE_SPACE, Names, Parts, WholeWords, one_of
from official_nlp.data.tokenization.graph_words import GraphWords
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

# Stands before a piece that goes on with a word. Words have no space in them, so that nothing in
# a text is taken for it, or for `_UNKNOWN`.
_GOES_ON = " "
_UNKNOWN = "not in the vocabulary"
# The kernel's limits.
_LONGEST_PIECE = 256
_MOST_BYTES = 4
# What the engine strips; Python counts four more as white space.
_STRIPPED = one_of(set(WHITE_SPACE) - set("\x1c\x1d\x1e\x1f"))


class GraphWordPiece(tf.Module):
    """Cuts texts into pieces of a WordPiece vocabulary.

    Call:
      texts: UTF-8 `[B]`.
      Returns their `Parts`, and the ids of the pieces of those that are texts, ragged int32
      `[parts, pieces]`.
    """

    def __init__(self, tokenizer: ElectraTokenizer):
        """Makes one.

        Args:
          tokenizer: gives the same ids in Python.

        Raises:
          InputError: a piece is too long for the graph.
        """
        super().__init__()
        import tensorflow_text  # not everyone who has a tokenizer has it or waits for it

        engine = tokenizer.engine.backend
        normalizer, longest = engine.normalizer, engine.model.max_input_chars_per_word
        self._make_finders(tokenizer, normalizer)
        is_normalized = self._treated_names is not None
        table = character_table(None if is_normalized else normalizer, engine.pre_tokenizer)
        self._words, self._longest_word = GraphWords(table), longest
        pieces, ids = _pieces(engine, longest)
        self._ids = tf.constant(ids)
        self._pieces = tensorflow_text.FastWordpieceTokenizer(
            pieces,
            suffix_indicator=_GOES_ON,
            max_bytes_per_word=longest * _MOST_BYTES,
            token_out_type=tf.int32,
            unknown_token=_UNKNOWN,
            no_pretokenization=True,
        )

    def __call__(self, texts: tf.Tensor) -> tuple[Parts, tf.RaggedTensor]:
        parts = Parts.of(texts)
        if self._whole_words is not None:
            parts = parts.cut(self._whole_words)
        if self._names is not None:
            parts = parts.cut(self._names)
        if self._treated_names is not None:
            parts = parts.cut(lambda texts: self._treated_names(self._treated(texts)))
        words = self._words(parts.texts)
        spelt = tf.strings.unicode_encode(words.values, "UTF-8")
        spelt = tf.where(words.values.row_lengths() > self._longest_word, _UNKNOWN, spelt)
        pieces = self._pieces.tokenize(spelt)
        ids = pieces.with_flat_values(tf.gather(self._ids, pieces.flat_values))
        return parts, words.with_values(ids).merge_dims(1, 2)

    def _make_finders(self, tokenizer: ElectraTokenizer, normalizer):
        tokens, whole = tokenizer.added_tokens, tokenizer.never_split
        self._whole_words = None
        if whole and tokenizer.do_basic_tokenize:
            ids = dict(zip(whole, tokenizer.convert_tokens_to_ids(whole)))
            self._whole_words = WholeWords(ids, tokenizer.do_lower_case)
        word = _touching() if any(token.single_word for token in tokens) else ""
        bare = [(token.content, token) for token in tokens if not token.normalized]
        self._names = Names(bare, _STRIPPED, word) if bare else None
        treat = normalizer.normalize_str if normalizer else str
        treated = [(treat(token.content), token) for token in tokens if token.normalized]
        self._treated_names = Names(treated, _STRIPPED, word) if treated else None
        self._treatment = GraphWords(character_table(normalizer, None)) if treated else None

    def _treated(self, texts: tf.Tensor) -> tf.Tensor:
        """The texts as the normaliser makes them."""
        return tf.strings.unicode_encode(self._treatment(texts).merge_dims(1, 2), "UTF-8")


def _pieces(engine: tokenizers.Tokenizer, longest: int) -> tuple[list[str], np.ndarray]:
    """The pieces as the kernel is to see them, and their ids.

    At the start of a word a piece is taken as it is spelt, its prefix too.
    """
    prefix, vocab = engine.model.continuing_subword_prefix, engine.get_vocab(False)
    pieces = {}
    for token, id in vocab.items():
        if _is_in_words(token, longest):
            pieces[token] = id
        rest = token[len(prefix) :]
        if token.startswith(prefix) and _is_in_words(rest, longest):
            pieces[_GOES_ON + rest] = id
    # Of a vocabulary where nothing goes on, the kernel would take a control character to do so.
    pieces[_GOES_ON + _GOES_ON] = vocab[engine.model.unk_token]
    pieces[_UNKNOWN] = vocab[engine.model.unk_token]
    return list(pieces), np.array(list(pieces.values()), np.int32)


def _is_in_words(piece: str, longest: int) -> bool:
    if not 0 < len(piece) <= longest or _GOES_ON in piece:
        return False
    size = len(piece.encode())
    if size > _LONGEST_PIECE:
        raise InputError(
            f"a token must have at most {_LONGEST_PIECE} bytes to be found in a graph, but "
            f"{piece!r} has {size}; take it out of the vocabulary"
        )
    return True


def _touching() -> str:
    """A pattern for the characters that the engine finds no single word beside."""
    engine = tokenizers.Tokenizer(tokenizers.models.WordPiece({"?": 0}, unk_token="?"))
    engine.add_tokens([tokenizers.AddedToken(FENCE, single_word=True, normalized=False)])
    characters = list(ASKED.tobytes().decode("utf-32-le"))
    found = engine.encode("".join(f"{c}{FENCE} " for c in characters))
    alone = {start // 3 for (start, _), id in zip(found.offsets, found.ids) if id}
    return one_of([c for place, c in enumerate(characters) if place not in alone])
