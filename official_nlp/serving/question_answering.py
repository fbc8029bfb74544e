"""Question answering as a signature."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp.data.question_windows import longest_question
from official_nlp.data.tokenization.graph.located_pieces import LocatedPieces
from official_nlp.inference import question_answering
from official_nlp.inference.question_answering import QuestionAnswerer
from official_nlp.serving import windows as text_windows
from official_nlp.serving.located_text import stripped, substring
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
from official_nlp.serving.windows import Windows
from official_nlp.tasks.finetuning.joint_spans import best_joint_spans

_QUESTIONS = ("What was closed?", "Wer sagt das?", "哪里?")


class _Spans(NamedTuple):
    """The best span of each sequence, all `[sequences]`.

    Attributes:
      first, last: int64 positions of its first and its last token in the sequence.
      rank: float32; of the windows of a context, that with the highest one has the answer.
      score: float64 probability of the span.
      null: float32 score of no answer; the lowest one of all windows counts.
      null_score: float64 probability of no answer.
    """

    first: tf.Tensor
    last: tf.Tensor
    rank: tf.Tensor
    score: tf.Tensor
    null: tf.Tensor
    null_score: tf.Tensor


class ServedQuestionAnswerer(ServedHead):
    """Answer questions by spans of their contexts.

    Call of the signature:
      question, context: strings `[batch]`.

      Returns `answer` string, `start`, `end` int32, its span in the characters of the context,
      `score` float32, all `[batch]`, as `inference.question_answering.Answer` describes them; and
      `truncated` bool `[batch]`. A long context is divided into windows, of which the first ones
      are computed. A context without tokens has the empty answer.

    Args:
      head: the head in Python.
      network: a network with the outputs of the head's model.
      windows: largest number of windows of a context.
    """

    def __init__(self, head: QuestionAnswerer, network: ServedNetwork, windows: int):
        super().__init__()
        self.windows = windows
        self.networks = {"": network}
        self._encoding = TextEncoding(head.tokenizer, head.length)
        self._is_joint = head.is_joint
        self._null_threshold = head.null_threshold
        self._longest_question = longest_question(
            head.length, question_answering.MAX_QUESTION_LENGTH
        )

    def signatures(self) -> dict[str, Any]:
        return {DEFAULT: traced(self._answer, {"question": STRINGS, "context": STRINGS})}

    def samples(self) -> dict[str, Samples]:
        contexts = [*SAMPLES[: len(_QUESTIONS)], long_sample(self._encoding.length)]
        pairs = list(zip([*_QUESTIONS, _QUESTIONS[0]], contexts))
        request = {"question": [question for question, _ in pairs], "context": contexts}
        return {DEFAULT: Samples(request, pairs)}

    def results(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        names = ("answer", "start", "end", "score")
        rows = zip(*(outputs[name].tolist() for name in names))
        return [dict(zip(names, row)) for row in rows]

    def _answer(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        encoding = self._encoding
        question, cut_question = encoding.bounded(question)
        context, cut_context = encoding.bounded(context)
        asked = encoding.graph.pieces(question)
        framed = encoding.framed(asked[:, : self._longest_question])
        pieces = encoding.graph.located(context)
        begin = framed.row_lengths()  # position of the first token of the context
        room, sizes = encoding.length - begin - 1, pieces.ids.row_lengths()
        overlap = tf.minimum(tf.constant(question_answering.STRIDE, tf.int64), room // 2)
        parts = text_windows.cut(sizes, room, overlap, self.windows)
        inputs = self._inputs(tf.gather(framed, parts.rows), parts.tokens(pieces.ids))
        outputs = self.networks[""](inputs)
        if self._is_joint:
            spans = _joint_spans(outputs, inputs)
        else:
            of_windows = tf.gather(begin, parts.rows), parts.stops - parts.starts
            spans = _best_spans(outputs["start_logits"], outputs["end_logits"], *of_windows)
        found, windows = self._best(spans, parts)
        # Without tokens there is no answer.
        empty = (found.null > self._null_threshold) | (sizes == 0)
        # Positions in the sequence become numbers of tokens of all contexts.
        shift = pieces.ids.row_starts() + tf.gather(parts.starts, windows) - begin
        starts, ends = _characters(context, pieces, found.first + shift, found.last + shift, empty)
        return {
            "answer": substring(context, tf.range(tf.size(context)), starts, ends),
            "start": tf.cast(starts, tf.int32),
            "end": tf.cast(ends, tf.int32),
            "score": tf.cast(tf.where(empty, found.null_score, found.score), tf.float32),
            "truncated": parts.truncated
            | cut_question
            | cut_context
            | (asked.row_lengths() > self._longest_question),
        }

    def _inputs(self, questions: tf.RaggedTensor, contexts: tf.RaggedTensor) -> dict[str, Any]:
        """Return the inputs of the network for [CLS] question [SEP] context [SEP].

        Args:
          questions: ids with the special tokens, ragged `[sequences, tokens]`.
          contexts: ids without them, ragged `[sequences, tokens]`.
        """
        sep = tf.fill([contexts.nrows(), 1], self._encoding.tokenizer.sep_token_id)
        second = tf.concat([contexts, sep], 1)
        return self._encoding.padded(
            tf.concat([questions, second], 1),
            tf.concat([tf.zeros_like(questions), tf.ones_like(second)], 1),
        )

    def _best(self, spans: _Spans, parts: Windows) -> tuple[_Spans, tf.Tensor]:
        """Return what `answer_spans.best_windows` does, all `[batch]`, and the windows of answers.

        Args:
          spans: the best span of each window.
          parts: the windows of the contexts.
        """
        best, null = parts.lowest(-spans.rank), parts.lowest(spans.null)
        found = _Spans(*(tf.gather(each, best) for each in spans))
        null_score = tf.gather(spans.null, null)
        if not self._is_joint:  # The threshold is on the difference of the logits.
            null_score -= found.rank
        return found._replace(null=null_score, null_score=tf.gather(spans.null_score, null)), best


def _characters(
    contexts: tf.Tensor,
    pieces: LocatedPieces,
    first: tf.Tensor,
    last: tf.Tensor,
    empty: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the first character of each answer and the one after its last, int64 `[batch]`.

    Args:
      contexts: strings `[batch]`.
      pieces: their pieces.
      first, last: numbers of the first and of the last piece of each answer among all pieces, int64
        `[batch]`.
      empty: bool `[batch]`, whether the answer is empty; the numbers are then not used.
    """
    zeros = tf.zeros_like(first)
    # One more value, so that a batch of empty contexts has something to gather.
    starts = tf.gather(tf.concat([pieces.starts.values, [0]], 0), tf.where(empty, zeros, first))
    ends = tf.gather(tf.concat([pieces.ends.values, [0]], 0), tf.where(empty, zeros, last))
    starts, ends = tf.where(empty, zeros, starts), tf.where(empty, zeros, ends)
    return stripped(contexts, tf.range(tf.size(contexts)), starts, ends)


def _best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, begin: tf.Tensor, sizes: tf.Tensor
) -> _Spans:
    """Return the best spans by the sum of two logits, as `answer_spans.find_spans` does.

    Args:
      start_logits, end_logits: float32 `[sequences, length]`.
      begin, sizes: first position and number of the tokens of the context, int64 `[sequences]`.
    """
    longest = question_answering.MAX_ANSWER_LENGTH
    length = tf.shape(start_logits, tf.int64)[1]
    positions = tf.range(length)[tf.newaxis]
    stop = (begin + sizes)[:, tf.newaxis]
    inside = (positions >= begin[:, tf.newaxis]) & (positions < stop)
    lowest = start_logits.dtype.min / 4  # The sum of two of them is finite.
    starts, ends = tf.where(inside, start_logits, lowest), tf.where(inside, end_logits, lowest)
    # The ends of a start are the `longest` positions from it on.
    ends = tf.pad(ends, [[0, 0], [0, longest - 1]], constant_values=lowest)
    sums = starts[..., tf.newaxis] + tf.signal.frame(ends, longest, 1)  # [B, L, longest]
    flat = tf.reshape(sums, [tf.shape(sums, tf.int64)[0], length * longest])
    best = tf.argmax(flat, axis=1)
    first, last = best // longest, best // longest + best % longest
    rank, null = tf.gather(flat, best, batch_dims=1), start_logits[:, 0] + end_logits[:, 0]
    # An answer starts and ends at tokens of the context, or at [CLS], which means no answer.
    allowed = inside | (positions == 0)
    of_starts, of_ends = (
        tf.nn.softmax(tf.where(allowed, tf.cast(logits, tf.float64), tf.float64.min / 4))
        for logits in (start_logits, end_logits)
    )
    score = tf.gather(of_starts, first, batch_dims=1) * tf.gather(of_ends, last, batch_dims=1)
    return _Spans(first, last, rank, score, null, of_starts[:, 0] * of_ends[:, 0])


def _joint_spans(outputs: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor]) -> _Spans:
    """Return the best spans of a model that scores ends given starts."""
    found = best_joint_spans(outputs, inputs, question_answering.MAX_ANSWER_LENGTH)
    null = found["null_score"]
    return _Spans(
        tf.cast(found["span_first"], tf.int64),
        tf.cast(found["span_last"], tf.int64),
        found["span_score"],
        tf.exp(tf.cast(found["span_score"], tf.float64)),
        null,
        tf.sigmoid(tf.cast(null, tf.float64)),
    )
