"""Convert text to ids in a graph: for `tf.data`, and for SavedModels that take strings.

The ids are those of `ElectraTokenizer`. For WordPiece, its engine is applied to every Unicode
character when the graph is built, and the results are stored in tables (`character_table.py`). So
the graph has the engine's version of Unicode and its treatment of white space, punctuation,
accents, case, Chinese and control characters. Names of special tokens are found in the original
text. tensorflow_text splits words into the longest pieces, or does all of SentencePiece.

With WordPiece no difference is known: none in any line of 14 MB of English, German and Chinese,
with any setting (`tools/compare_tokenizers.py`). With a SentencePiece model there are two:

- A unigram model can score two orders of the same pieces equally ("222" as 22 2 or 2 22). Two
  releases of SentencePiece round sums differently, so that the other order may be chosen: in 3
  lines in 10,000 of that text.
- `single_word` tokens that share characters with other added tokens may be found at other
  positions.
"""

import tensorflow as tf

from official_nlp.data.tokenization.graph.graph_sentencepiece import GraphSentencePiece
from official_nlp.data.tokenization.graph.graph_wordpiece import GraphWordPiece
from official_nlp.data.tokenization.graph.located_pieces import LocatedPieces
from official_nlp.data.tokenization.graph.name_finders import TEXT, Spans
from official_nlp.data.tokenization.sentencepiece import SentencePiece
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.data.tokenization.wordpiece import WordPiece
from official_nlp.errors import InputError


class GraphTokenizer(tf.Module):
    """An `ElectraTokenizer` made of TensorFlow operations: no Python runs when it encodes texts.

        graph = nlp.data.GraphTokenizer(nlp.data.ElectraTokenizer.from_pretrained("tokenizer"))
        dataset.batch(64).map(lambda texts: graph(texts, max_length=128))

    Vocabulary and tables are constants, so a SavedModel that contains it can be moved. A program
    that loads it must import `tensorflow_text` first. Invalid UTF-8 bytes count as U+FFFD.

    Call:
      text: strings `[B]`, or one string.
      text_pair: texts of the second segment, in the same shape; None or an empty string: no second
        segment.
      max_length: maximum number of tokens, including special tokens; the longer of two segments is
        shortened.
      padding: "max_length" pads to that length, True or "longest" to the longest sequence, False
        does not pad and returns ragged tensors; None: "max_length" if there is one, else False.

      Returns a dict of int32 `input_ids`, `token_type_ids` and `attention_mask`: `[B, length]`, or
      ragged without padding; for one string `[length]`.

    Raises:
      InputError: if an argument has a value that it does not accept, or arguments contradict one
        another.
    """

    def __init__(self, tokenizer: ElectraTokenizer):
        """Make a graph tokenizer.

        Args:
          tokenizer: the tokenizer to reproduce.

        Raises:
          InputError: if a token cannot be found in a graph.
        """
        super().__init__()
        self._engine = _engine(tokenizer)
        self._cls, self._sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self._pad = tokenizer.pad_token_id
        self._truncates_left = tokenizer.truncation_side == "left"
        self._pads_left = tokenizer.padding_side == "left"

    def __call__(
        self,
        text: tf.Tensor,
        text_pair: tf.Tensor | None = None,
        max_length: int | None = None,
        padding: bool | str | None = None,
    ) -> dict[str, tf.Tensor]:
        texts = [_strings("text", text)]
        if text_pair is not None:
            texts.append(_strings("text_pair", text_pair))
            if not texts[0].shape.is_compatible_with(texts[1].shape):
                raise InputError(
                    f"text_pair must have the shape of text, {texts[0].shape}, was {texts[1].shape}"
                )
        _check_length(max_length, 1 + len(texts))
        padding = _padding(padding, max_length)
        sequences, _ = self._sequences([tf.reshape(each, [-1]) for each in texts], max_length)
        padded = self._padded(sequences, padding, max_length)
        is_one = texts[0].shape.rank == 0
        return {name: values[0] for name, values in padded.items()} if is_one else padded

    def truncated(
        self, text: tf.Tensor, text_pair: tf.Tensor | None, max_length: int
    ) -> tuple[dict[str, tf.RaggedTensor], tf.Tensor]:
        """Return what a call without padding does, and which sequences lost tokens.

        Args:
          text: strings `[B]`.
          text_pair: texts of the second segment `[B]`, or None.
          max_length: maximum number of tokens, including special tokens.

        Returns:
          The ragged outputs of a call, and bool `[B]`: whether a sequence had more tokens.
        """
        return self._sequences([text] if text_pair is None else [text, text_pair], max_length)

    def _sequences(
        self, texts: list[tf.Tensor], max_length: int | None
    ) -> tuple[dict[str, tf.RaggedTensor], tf.Tensor]:
        """Return the sequences of one or two texts `[B]` each, and which of them lost tokens."""
        segments = [self.pieces(strings) for strings in texts]
        seps = [tf.ones_like(segment.row_lengths()) for segment in segments]
        # As in Hugging Face's tokenizers, an empty second text is none.
        seps[1:] = [tf.cast(pair != "", tf.int64) for pair in texts[1:]]
        cut = tf.zeros_like(seps[0], tf.bool)
        if max_length is not None:
            room = max_length - 1 - sum(seps)
            cut = sum(segment.row_lengths() for segment in segments) > room
            segments = self._truncated(segments, room)
        return self._framed(segments, seps), cut

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Return the ids of texts `[B]`, without special tokens: ragged int32 `[B, pieces]`."""
        # Transcoding replaces invalid bytes by U+FFFD; kernels and patterns expect valid UTF-8.
        spans, pieces = self._engine(tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8"))
        return _by_text(spans, pieces, spans.ids, tf.size(texts, tf.int64))

    def located(self, texts: tf.Tensor) -> LocatedPieces:
        """Return the pieces of texts `[B]` with their characters, those of `ElectraTokenizer`.

        Of a character with several combining marks, some of which the tokenizer removes and others
        sorts, the end may be one mark further.

        Args:
          texts: strings `[B]` in valid UTF-8.

        Raises:
          InputError: the tokenizer has an added token that cannot be located.
        """
        spans, pieces = self._engine.located(texts)
        starts, count = spans.starts(), tf.size(texts, tf.int64)
        rows = pieces.ids.value_rowids()
        pieces = pieces._replace(
            starts=pieces.starts.with_values(pieces.starts.values + tf.gather(starts, rows)),
            ends=pieces.ends.with_values(pieces.ends.values + tf.gather(starts, rows)),
        )
        # A name is a piece and a word of its own.
        names = (spans.ids, starts, starts + spans.sizes, tf.ones_like(starts, tf.bool))
        return LocatedPieces(
            *(_by_text(spans, each, name, count) for each, name in zip(pieces, names))
        )

    def _truncated(self, segments: list[tf.RaggedTensor], room: tf.Tensor) -> list[tf.RaggedTensor]:
        """Shorten segments until a sequence has at most `room` `[B]` pieces."""
        sizes = [segment.row_lengths() for segment in segments]
        if len(segments) == 1:
            return [self._cut(segments[0], tf.minimum(sizes[0], room))]
        # As in the `tokenizers` package: the longer segment is shortened, but not below the size of
        # the shorter one; if that is not enough, both get half of the room.
        first, second = sizes
        short = tf.minimum(first, second)
        long = tf.maximum(short, room - short)
        halves = short + long > room
        short = tf.where(halves, room // 2, short)
        long = tf.where(halves, room - room // 2, long)
        is_short, fits = first <= second, first + second <= room
        left = [tf.where(is_short, short, long), tf.where(is_short, long, short)]
        left = [tf.where(fits, size, cut) for size, cut in zip(sizes, left)]
        return [self._cut(segment, size) for segment, size in zip(segments, left)]

    def _cut(self, segment: tf.RaggedTensor, size: tf.Tensor) -> tf.RaggedTensor:
        """Return the first pieces of each text, or the last: `size` `[B]` of them."""
        starts, limits = segment.row_starts(), segment.row_limits()
        indices = (
            tf.ragged.range(limits - size, limits)
            if self._truncates_left
            else tf.ragged.range(starts, starts + size)
        )
        return indices.with_values(tf.gather(segment.values, indices.values))

    def _framed(
        self, segments: list[tf.RaggedTensor], seps: list[tf.Tensor]
    ) -> dict[str, tf.RaggedTensor]:
        """Add special tokens; `seps` `[B]` are the numbers of [SEP] after each segment."""
        cls = _filled(self._cls, tf.ones_like(seps[0]))
        blocks = [
            tf.concat([segment, _filled(self._sep, sep)], 1) for segment, sep in zip(segments, seps)
        ]
        blocks[0] = tf.concat([cls, blocks[0]], 1)
        ids = tf.concat(blocks, 1)
        types = [tf.zeros_like(blocks[0]), *map(tf.ones_like, blocks[1:])]
        return {
            "input_ids": ids,
            "token_type_ids": tf.concat(types, 1),
            "attention_mask": tf.ones_like(ids),
        }

    def _padded(
        self, sequences: dict[str, tf.RaggedTensor], padding: str | None, max_length: int | None
    ) -> dict[str, tf.Tensor]:
        if padding is None:
            return sequences
        width = max_length if padding == "max_length" else None
        return {
            name: self._dense(values, self._pad if name == "input_ids" else 0, width)
            for name, values in sequences.items()
        }

    def _dense(self, values: tf.RaggedTensor, fill: int, width: int | None) -> tf.Tensor:
        if self._pads_left:
            lengths = values.row_lengths()
            longest = tf.reduce_max(lengths) if width is None else width
            values = tf.concat([_filled(fill, longest - lengths), values], 1)
        return values.to_tensor(fill, shape=[None, width])


def _by_text(
    spans: Spans, pieces: tf.RaggedTensor, names: tf.Tensor, count: tf.Tensor
) -> tf.RaggedTensor:
    """Return the values of pieces and names in order, `[texts, pieces]`.

    Args:
      spans: the spans of texts.
      pieces: values of the pieces of spans that are text, `[spans, pieces]`.
      names: values of all spans, of which those of names are used.
      count: number of texts.
    """
    is_name = spans.ids != TEXT
    names = tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(names, is_name), tf.cast(is_name, tf.int64), validate=False
    )
    # A span is a name or text, so that one of the two parts is empty.
    values = tf.concat([pieces, names], 1)
    rows = tf.RaggedTensor.from_value_rowids(values, spans.rows, count, validate=False)
    return rows.merge_dims(1, 2)


def _engine(tokenizer: ElectraTokenizer) -> GraphWordPiece | GraphSentencePiece:
    engine = tokenizer.engine
    if isinstance(engine, WordPiece):
        return GraphWordPiece(tokenizer, engine)
    assert isinstance(engine, SentencePiece)
    return GraphSentencePiece(tokenizer, engine)


def _strings(name: str, text: tf.Tensor) -> tf.Tensor:
    text = tf.convert_to_tensor(text)
    if text.dtype != tf.string or text.shape.rank not in (0, 1):
        raise InputError(
            f"{name} must be a string or strings [B], was {text.dtype.name} {text.shape}"
        )
    return text


def _check_length(max_length: int | None, special: int) -> None:
    if max_length is not None and max_length < special:
        raise InputError(
            f"max_length must be at least {special}, the number of special tokens of a sequence, "
            f"was {max_length}"
        )


def _padding(padding: bool | str | None, max_length: int | None) -> str | None:
    """Return "longest", "max_length" or None."""
    if padding is None:
        return None if max_length is None else "max_length"
    if padding not in (False, True, "longest", "max_length"):
        raise InputError(f'padding must be False, True, "longest" or "max_length", was {padding!r}')
    if padding == "max_length" and max_length is None:
        raise InputError('padding="max_length" needs max_length=')
    if padding is False:
        return None
    return "longest" if padding is True else str(padding)


def _filled(value: int, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Return rows of these lengths that repeat one value."""
    values = tf.fill([tf.reduce_sum(lengths)], value)
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
