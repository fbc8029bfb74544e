"""WordPiece in a graph, with tensorflow_text."""

import functools

import numpy as np
import tensorflow as tf
import tokenizers
from tokenizers import normalizers

from official_nlp.data.tokenization.graph.character_table import ASKED, FENCE, character_table
from official_nlp.data.tokenization.graph.located_pieces import LocatedPieces, is_first
from official_nlp.data.tokenization.graph.name_finders import (
    WHITE_SPACE,
    AddedTokenFinder,
    Spans,
    WholeWordFinder,
    one_of,
)
from official_nlp.data.tokenization.graph.word_splitter import WordSplitter
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.wordpiece import WordPiece
from official_nlp.errors import InputError

# Precedes a piece that continues a word. Words contain no spaces, so no text can be mistaken for
# it, or for `_UNKNOWN`.
_CONTINUES = " "
_UNKNOWN = "not in the vocabulary"
_WHOLE_WORD = 0  # the size of a piece that stands for any word
# Limits of the kernel.
_MAX_PIECE_BYTES = 256
_MAX_CHARACTER_BYTES = 4
# The white space that the engine strips around added tokens; Python has four more characters.
_STRIPPED = one_of(set(WHITE_SPACE) - set("\x1c\x1d\x1e\x1f"))


class GraphWordPiece(tf.Module):
    """Splits texts into pieces of a WordPiece vocabulary.

    Call:
      texts: UTF-8 `[B]`.
      Returns their `Spans`, and the ids of the pieces of spans that are text, ragged int32
      `[spans, pieces]`.
    """

    def __init__(self, tokenizer: ElectraTokenizer, engine: WordPiece):
        """Make an engine.

        Args:
          tokenizer: the tokenizer to reproduce.
          engine: its engine.

        Raises:
          InputError: if a token has too many bytes for the kernel.
        """
        super().__init__()
        import tensorflow_text  # slow to import, and only needed here

        backend = engine.backend
        normalizer, longest = backend.normalizer, backend.model.max_input_chars_per_word
        # Finders are applied in this order, each to the text that the previous ones left.
        self._find_whole_words = _whole_word_finder(tokenizer)
        plain, normalized = _added_token_finders(tokenizer, normalizer)
        self._find_plain, self._find_normalized = plain, normalized
        self._normalize = WordSplitter(character_table(normalizer, None)) if normalized else None
        table = character_table(None if normalized else normalizer, backend.pre_tokenizer)
        self._words, self._longest_word = WordSplitter(table), longest
        pieces, ids = _pieces(backend, longest)
        self._ids = tf.constant(ids)
        self._sizes = tf.constant([_size(piece) for piece in pieces], tf.int64)
        self._pieces = tensorflow_text.FastWordpieceTokenizer(
            pieces,
            suffix_indicator=_CONTINUES,
            max_bytes_per_word=longest * _MAX_CHARACTER_BYTES,
            token_out_type=tf.int32,
            unknown_token=_UNKNOWN,
            no_pretokenization=True,
        )

    def __call__(self, texts: tf.Tensor) -> tuple[Spans, tf.RaggedTensor]:
        spans = self._spans(texts)
        words = self._words(spans.texts)
        pieces = self._split(words)
        ids = pieces.with_flat_values(tf.gather(self._ids, pieces.flat_values))
        return spans, words.with_values(ids).merge_dims(1, 2)

    def located(self, texts: tf.Tensor) -> tuple[Spans, LocatedPieces]:
        """Return what a call does, with the characters of the pieces.

        Args:
          texts: UTF-8 `[B]`.

        Raises:
          InputError: an added token is found in normalized text, which has other characters.
        """
        if self._find_normalized is not None:
            raise InputError(
                "tokens that are added to the vocabulary must not be `normalized` for a graph that "
                "locates pieces in the text; add them with normalized=False"
            )
        spans = self._spans(texts)
        words, origins = self._words.located(spans.texts)
        pieces = self._split(words)
        # The pieces of a word have its characters in order, and an unknown word is one piece. So a
        # running sum of their sizes is an index into the characters of all words.
        in_word = tf.gather(words.values.row_lengths(), pieces.value_rowids())
        sizes = tf.gather(self._sizes, pieces.values)
        sizes = tf.where(sizes == _WHOLE_WORD, in_word, sizes)
        first = tf.cumsum(sizes, exclusive=True)
        ids = tf.gather(self._ids, pieces.values)
        by_span = words.with_values(pieces).merge_dims(1, 2)
        return spans, LocatedPieces(
            ids=by_span.with_values(ids),
            starts=by_span.with_values(tf.gather(origins, first)),
            ends=by_span.with_values(tf.gather(origins, first + sizes - 1) + 1),
            begins=by_span.with_values(is_first(pieces.value_rowids())),
        )

    def _spans(self, texts: tf.Tensor) -> Spans:
        """Return the names in texts and the text between them, normalized where names need it."""
        spans = Spans.of(texts)
        if self._find_whole_words is not None:
            spans = spans.split(self._find_whole_words)
        if self._find_plain is not None:
            spans = spans.split(self._find_plain)
        find, normalize = self._find_normalized, self._normalize
        if find is not None and normalize is not None:
            spans = spans.split(lambda texts: find(_joined(normalize(texts))))
        return spans

    def _split(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Return the pieces of words as indices of the kernel, `[words, pieces]`."""
        strings = tf.strings.unicode_encode(words.values, "UTF-8")
        # The kernel limits bytes, but the engine's limit is in characters.
        strings = tf.where(words.values.row_lengths() > self._longest_word, _UNKNOWN, strings)
        return self._pieces.tokenize(strings)


def _joined(words: tf.RaggedTensor) -> tf.Tensor:
    """Return the texts of words given as code points."""
    return tf.strings.unicode_encode(words.merge_dims(1, 2), "UTF-8")


def _whole_word_finder(tokenizer: ElectraTokenizer) -> WholeWordFinder | None:
    words = tokenizer.never_split
    if not words or not tokenizer.do_basic_tokenize:
        return None
    ids = dict(zip(words, tokenizer.convert_tokens_to_ids(words)))
    return WholeWordFinder(ids, tokenizer.do_lower_case)


def _added_token_finders(
    tokenizer: ElectraTokenizer, normalizer: normalizers.Normalizer | None
) -> tuple[AddedTokenFinder | None, AddedTokenFinder | None]:
    """Return the finders of tokens that match the original text, and the normalized text."""
    tokens = tokenizer.added_tokens
    word = _touching() if any(token.single_word for token in tokens) else ""
    normalize = normalizer.normalize_str if normalizer else str
    plain = [(token.content, token) for token in tokens if not token.normalized]
    normalized = [(normalize(token.content), token) for token in tokens if token.normalized]
    return (
        AddedTokenFinder(plain, _STRIPPED, word) if plain else None,
        AddedTokenFinder(normalized, _STRIPPED, word) if normalized else None,
    )


def _pieces(backend: tokenizers.Tokenizer, longest: int) -> tuple[list[str], np.ndarray]:
    """Return the pieces in the form that the kernel expects, and their ids.

    A token with the prefix is entered twice: the engine also finds it, prefix included, at the
    start of a word.
    """
    prefix, vocab = backend.model.continuing_subword_prefix, backend.get_vocab(False)
    pieces = {}
    for token, id in vocab.items():
        if _is_in_words(token, longest):
            pieces[token] = id
        rest = token[len(prefix) :]
        if token.startswith(prefix) and _is_in_words(rest, longest):
            pieces[_CONTINUES + rest] = id
    # If no piece continues a word, the kernel treats a control character as if it did.
    pieces[_CONTINUES + _CONTINUES] = vocab[backend.model.unk_token]
    pieces[_UNKNOWN] = vocab[backend.model.unk_token]
    return list(pieces), np.array(list(pieces.values()), np.int32)


def _size(piece: str) -> int:
    """Return the number of characters of a piece, or `_WHOLE_WORD`."""
    if piece in (_UNKNOWN, _CONTINUES + _CONTINUES):
        return _WHOLE_WORD
    return len(piece.removeprefix(_CONTINUES))


def _is_in_words(piece: str, longest: int) -> bool:
    """Return whether a word of at most `longest` characters can contain the piece."""
    if not 0 < len(piece) <= longest or _CONTINUES in piece:
        return False
    if "\x00" in piece:
        raise InputError(
            f"a token must not contain a zero character to be found in a graph, but {piece!r} "
            "does; remove it from the vocabulary"
        )
    size = len(piece.encode())
    if size > _MAX_PIECE_BYTES:
        raise InputError(
            f"a token must have at most {_MAX_PIECE_BYTES} bytes to be found in a graph, but "
            f"{piece!r} has {size}; remove it from the vocabulary"
        )
    return True


@functools.cache
def _touching() -> str:
    """Return a pattern for the characters beside which the engine finds no `single_word` token.

    The engine is applied to every character, so that its version of Unicode counts.
    """
    engine = tokenizers.Tokenizer(tokenizers.models.WordPiece({"?": 0}, unk_token="?"))
    engine.add_tokens([tokenizers.AddedToken(FENCE, single_word=True, normalized=False)])
    characters = list(ASKED.tobytes().decode("utf-32-le"))
    found = engine.encode("".join(f"{c}{FENCE} " for c in characters))
    alone = {start // 3 for (start, _), id in zip(found.offsets, found.ids) if id}
    return one_of([c for index, c in enumerate(characters) if index not in alone])
