"""Text to ids in a graph: for `tf.data`, and for SavedModels that take strings.

The ids are `ElectraTokenizer`'s. What WordPiece must know about characters is asked of the engine
that `ElectraTokenizer` runs on, about all there are, and laid down in tables
(`character_table.py`): its version of Unicode, its kinds of white space and punctuation, its ways
with accents, case, Chinese and control characters are the graph's too. Names of special tokens
are found in the text as it is given. What is left to `tensorflow_text` is to cut words into the
longest pieces, or all that a SentencePiece model does.

Nothing is known to differ with WordPiece: no line of 14 MB of English, German and Chinese did, with
any setting (`tools/compare_tokenizers.py`). With a SentencePiece model,

- of a unigram model, pieces that have the same score in two orders ("222" as 22 2 or 2 22) may
  come in the other one, as two releases of SentencePiece round sums: 3 lines in 10,000 of that
  text;
- `single_word` tokens that share characters with other added tokens may be found elsewhere.
"""

import tensorflow as tf

from official_nlp.data.tokenization.graph_names import TEXT
from official_nlp.data.tokenization.graph_sentencepiece import GraphSentencePiece
from official_nlp.data.tokenization.graph_wordpiece import GraphWordPiece
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError


class GraphTokenizer(tf.Module):
    """An `ElectraTokenizer` of TensorFlow operations: no Python runs when texts are encoded.

        graph = nlp.data.GraphTokenizer(nlp.data.ElectraTokenizer.from_pretrained("tokenizer"))
        dataset.batch(64).map(lambda texts: graph(texts, max_length=128))

    Vocabulary and tables are constants, so a SavedModel that holds it can be moved; whoever loads
    that imports `tensorflow_text` before. Bytes that are no UTF-8 count as U+FFFD.

    Call:
      text: strings `[B]`, or one string.
      text_pair: what goes into the second segment, of the same shape; None, or an empty string:
        nothing.
      max_length: the most tokens, special ones counted; of two segments the longer is cut.
      padding: "max_length" or "longest" pads the rows to that, as True does, False makes no arrays
        of them; None: "max_length" if there is one.

      Returns a dict of int32 `input_ids`, `token_type_ids`, `attention_mask`, `[B, length]` and
      without padding ragged; of one string `[length]`.

    Raises:
      InputError: arguments that do not go together.
    """

    def __init__(self, tokenizer: ElectraTokenizer):
        """Makes one.

        Args:
          tokenizer: gives the same ids in Python.

        Raises:
          InputError: a token that cannot be found in a graph.
        """
        super().__init__()
        self._engine = _engine(tokenizer)
        self._cls, self._sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self._pad = tokenizer.pad_token_id
        self._cuts_left = tokenizer.truncation_side == "left"
        self._pads_left = tokenizer.padding_side == "left"

    def __call__(
        self,
        text: tf.Tensor,
        text_pair: tf.Tensor | None = None,
        max_length: int | None = None,
        padding: bool | str | None = None,
    ) -> dict:
        given = [_strings("text", text)]
        if text_pair is not None:
            given.append(_strings("text_pair", text_pair))
            if not given[0].shape.is_compatible_with(given[1].shape):
                raise InputError(
                    f"text_pair must have the shape of text, {given[0].shape}, was {given[1].shape}"
                )
        _check_length(max_length, 1 + len(given))
        padding = _padding(padding, max_length)
        segments = [self.pieces(tf.reshape(strings, [-1])) for strings in given]
        seps = [tf.ones_like(segment.row_lengths()) for segment in segments]
        # As in Hugging Face's tokenizers, an empty second text is none.
        seps[1:] = [tf.cast(tf.reshape(pair, [-1]) != "", tf.int64) for pair in given[1:]]
        if max_length is not None:
            segments = self._truncated(segments, max_length - 1 - sum(seps))
        rows = self._padded(self._framed(segments, seps), padding, max_length)
        is_one = given[0].shape.rank == 0
        return {name: values[0] for name, values in rows.items()} if is_one else rows

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of texts `[B]`, ragged int32 `[B, pieces]`, without special tokens around."""
        parts, pieces = self._engine(tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8"))
        is_name = parts.ids != TEXT
        names = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(parts.ids, is_name), tf.cast(is_name, tf.int64), validate=False
        )
        ids = tf.concat([pieces, names], 1)
        count = tf.size(texts, tf.int64)
        rows = tf.RaggedTensor.from_value_rowids(ids, parts.rows, count, validate=False)
        return rows.merge_dims(1, 2)

    def _truncated(self, segments: list[tf.RaggedTensor], room: tf.Tensor) -> list[tf.RaggedTensor]:
        """The segments without what is more than `room` `[B]`."""
        sizes = [segment.row_lengths() for segment in segments]
        if len(segments) == 1:
            return [self._cut(segments[0], tf.minimum(sizes[0], room))]
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
        starts, limits = segment.row_starts(), segment.row_limits()
        places = (
            tf.ragged.range(limits - size, limits)
            if self._cuts_left
            else tf.ragged.range(starts, starts + size)
        )
        return places.with_values(tf.gather(segment.values, places.values))

    def _framed(self, segments: list[tf.RaggedTensor], seps: list[tf.Tensor]) -> dict:
        """The rows of segments, each with as many [SEP] behind it as `seps` says."""
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

    def _padded(self, rows: dict, padding: str | None, max_length: int | None) -> dict:
        if padding is None:
            return rows
        width = max_length if padding == "max_length" else None
        return {
            name: self._dense(row, self._pad if name == "input_ids" else 0, width)
            for name, row in rows.items()
        }

    def _dense(self, row: tf.RaggedTensor, fill: int, width: int | None) -> tf.Tensor:
        if self._pads_left:
            lengths = row.row_lengths()
            longest = tf.reduce_max(lengths) if width is None else width
            row = tf.concat([_filled(fill, longest - lengths), row], 1)
        return row.to_tensor(fill, shape=[None, width])


def _engine(tokenizer: ElectraTokenizer) -> tf.Module:
    if tokenizer.kind == "wordpiece":
        return GraphWordPiece(tokenizer)
    return GraphSentencePiece(tokenizer)


def _strings(name: str, text) -> tf.Tensor:
    text = tf.convert_to_tensor(text)
    if text.dtype != tf.string or text.shape.rank not in (0, 1):
        raise InputError(
            f"{name} must be a string or strings [B], was {text.dtype.name} {text.shape}"
        )
    return text


def _check_length(max_length: int | None, special: int):
    if max_length is not None and max_length < special:
        raise InputError(
            f"max_length must be at least {special}, the number of special tokens of a row, was "
            f"{max_length}"
        )


def _padding(padding: bool | str | None, max_length: int | None) -> str | None:
    if padding is None:
        return None if max_length is None else "max_length"
    if padding not in (False, True, "longest", "max_length"):
        raise InputError(f'padding must be False, True, "longest" or "max_length", was {padding!r}')
    if padding == "max_length" and max_length is None:
        raise InputError('padding="max_length" needs max_length=')
    return "longest" if padding is True else padding or None


def _filled(value: int, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Rows of these lengths with one value."""
    values = tf.fill([tf.reduce_sum(lengths)], value)
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
