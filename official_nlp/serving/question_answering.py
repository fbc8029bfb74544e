"""Question answering as a signature."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp.data.question_windows import longest_question
from official_nlp.inference import question_answering
from official_nlp.inference.question_answering import QuestionAnswerer
from official_nlp.serving.located_text import stripped, substring
from official_nlp.serving.served_head import DEFAULT, SAMPLES, STRINGS, Samples, ServedHead
from official_nlp.serving.served_network import ServedNetwork, traced
from official_nlp.serving.text_encoding import TextEncoding
from official_nlp.tasks.finetuning.joint_spans import best_joint_spans

_QUESTIONS = ("What was closed?", "Wer sagt das?", "哪里?")


class _Spans(NamedTuple):
    """The best span of each sequence, all `[batch]`.

    Attributes:
      first, last: int64 positions of its first and its last token in the sequence.
      score: float64 probability of the span.
      null: float32; there is no answer if it exceeds the threshold of the model.
      null_score: float64 probability of no answer.
    """

    first: tf.Tensor
    last: tf.Tensor
    score: tf.Tensor
    null: tf.Tensor
    null_score: tf.Tensor


class ServedQuestionAnswerer(ServedHead):
    """Answer questions by spans of their contexts.

    Call of the signature:
      question, context: strings `[batch]`.

      Returns `answer` string, `start`, `end` int32, its span in the characters of the context,
      `score` float32, all `[batch]`, as `inference.question_answering.Answer` describes them; and
      `truncated` bool `[batch]`. An answer is sought in the beginning of a context that is
      truncated, while `Predictor` divides it into windows. A context without tokens has the empty
      answer.

    Args:
      head: the head in Python.
      network: a network with the outputs of the head's model.
    """

    def __init__(self, head: QuestionAnswerer, network: ServedNetwork):
        super().__init__()
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
        pairs = list(zip(_QUESTIONS, SAMPLES))
        questions, contexts = zip(*pairs)
        request = {"question": list(questions), "context": list(contexts)}
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
        room = encoding.length - begin - 1
        sizes = tf.minimum(pieces.ids.row_lengths(), room)
        cut = cut_question | cut_context | (pieces.ids.row_lengths() > room)
        cut |= asked.row_lengths() > self._longest_question
        indices = tf.ragged.range(pieces.ids.row_starts(), pieces.ids.row_starts() + sizes)
        part = indices.with_values(tf.gather(pieces.ids.values, indices.values))
        sep = tf.fill([part.nrows(), 1], encoding.tokenizer.sep_token_id)
        second = tf.concat([part, sep], 1)
        inputs = encoding.padded(
            tf.concat([framed, second], 1),
            tf.concat([tf.zeros_like(framed), tf.ones_like(second)], 1),
        )
        outputs = self.networks[""](inputs)
        if self._is_joint:
            found = _joint_spans(outputs, inputs)
        else:
            found = _best_spans(outputs["start_logits"], outputs["end_logits"], begin, sizes)
        # Positions in the sequence become numbers of tokens of all contexts. Without tokens there
        # is no answer, and the numbers are not used.
        empty = (found.null > self._null_threshold) | (sizes == 0)
        shift, zeros = pieces.ids.row_starts() - begin, tf.zeros_like(begin)
        first = tf.where(empty, zeros, found.first + shift)
        last = tf.where(empty, zeros, found.last + shift)
        # One more value, so that a batch of empty contexts has something to gather.
        starts = tf.gather(tf.concat([pieces.starts.values, [0]], 0), first)
        ends = tf.gather(tf.concat([pieces.ends.values, [0]], 0), last)
        starts, ends = tf.where(empty, zeros, starts), tf.where(empty, zeros, ends)
        rows = tf.range(tf.size(context))
        starts, ends = stripped(context, rows, starts, ends)
        return {
            "answer": substring(context, rows, starts, ends),
            "start": tf.cast(starts, tf.int32),
            "end": tf.cast(ends, tf.int32),
            "score": tf.cast(tf.where(empty, found.null_score, found.score), tf.float32),
            "truncated": cut,
        }


def _best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, begin: tf.Tensor, sizes: tf.Tensor
) -> _Spans:
    """Return what `answer_spans.find_spans` does for sequences with one window each.

    Args:
      start_logits, end_logits: float32 `[batch, length]`.
      begin, sizes: first position and number of the tokens of the context, int64 `[batch]`.
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
    null = start_logits[:, 0] + end_logits[:, 0] - tf.gather(flat, best, batch_dims=1)
    # An answer starts and ends at tokens of the context, or at [CLS], which means no answer.
    allowed = inside | (positions == 0)
    of_starts, of_ends = (
        tf.nn.softmax(tf.where(allowed, tf.cast(logits, tf.float64), tf.float64.min / 4))
        for logits in (start_logits, end_logits)
    )
    score = tf.gather(of_starts, first, batch_dims=1) * tf.gather(of_ends, last, batch_dims=1)
    return _Spans(first, last, score, null, of_starts[:, 0] * of_ends[:, 0])


def _joint_spans(outputs: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor]) -> _Spans:
    """Return the best spans of a model that scores ends given starts."""
    found = best_joint_spans(outputs, inputs, question_answering.MAX_ANSWER_LENGTH)
    null = found["null_score"]
    return _Spans(
        tf.cast(found["span_first"], tf.int64),
        tf.cast(found["span_last"], tf.int64),
        tf.exp(tf.cast(found["span_score"], tf.float64)),
        null,
        tf.sigmoid(tf.cast(null, tf.float64)),
    )
