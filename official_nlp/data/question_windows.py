"""Sequences of a question and a part of its context, and the tokens of answers in them."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official_nlp import ranges
from official_nlp.data import text_windows
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError

# A question is truncated rather than leaving fewer tokens of the context in a window.
_FEWEST_CONTEXT_TOKENS = 8


@dataclasses.dataclass(frozen=True)
class QuestionWindows:
    """Sequences [CLS] question [SEP] part of the context [SEP].

    A context that does not fit into a sequence beside its question has several overlapping windows,
    which are consecutive. Every question has at least one.

    Attributes:
      ids, type_ids: integers `[length]` of each window; the context has type 1.
      questions: int64 `[windows]`, number of the question of each window, ascending.
      positions: int64 `[windows]`, position of the first token of the context in the sequence.
      starts: int64 `[windows]`, number of that token within the context.
      counts: int64 `[windows]`, number of tokens of the context in the window.
      offsets: int32 `[tokens, 2]` of each question: first character of each token of its context,
        and the one after its last. Questions share the arrays.
      limit: largest number of tokens of a question.
      truncated: number of questions with more tokens.
    """

    ids: list[np.ndarray]
    type_ids: list[np.ndarray]
    questions: np.ndarray
    positions: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    offsets: list[np.ndarray]
    limit: int
    truncated: int

    def __len__(self) -> int:
        return len(self.ids)


def make_windows(
    tokenizer: ElectraTokenizer,
    questions: Sequence[tuple[str, str]],
    length: int,
    stride: int = 128,
    max_question_length: int = 64,
) -> QuestionWindows:
    """Return the windows of questions and their contexts.

    Args:
      tokenizer: tokenizer of the network.
      questions: questions with their contexts.
      length: largest number of tokens of a sequence, special tokens included.
      stride: number of tokens that neighbouring windows share; at most half of those of the context
        in a window.
      max_question_length: largest number of tokens of a question; longer ones are truncated.

    Raises:
      InputError: `length` has no room for a question and a context, or a context has no tokens.

    Reference: Devlin et al. 2019 (arXiv 1810.04805), sections 4.2 and 4.3.
    """
    limit = longest_question(length, max_question_length)
    ids, type_ids, offsets = [], [], []
    places: list[tuple[int, int, int, int]] = []  # questions, positions, starts, counts
    truncated = 0
    contexts: dict[str, text_windows.TextTokens] = {}  # Many questions share a context.
    for number, (question, context) in enumerate(questions):
        if context not in contexts:
            contexts[context] = _context_tokens(tokenizer, question, context)
        tokens = contexts[context]
        offsets.append(tokens.offsets)
        question_ids = text_windows.tokenize(tokenizer, question).ids
        truncated += len(question_ids) > limit
        before = np.array(
            [tokenizer.cls_token_id, *question_ids[:limit], tokenizer.sep_token_id], np.int32
        )
        room = length - len(before) - 1  # 1 for the last [SEP]
        # An overlap of more than half a window would multiply the number of windows.
        for cut in text_windows.cut(len(tokens.ids), room, min(stride, room // 2)):
            part = tokens.ids[cut.start : cut.stop]
            ids.append(np.concatenate([before, part, before[-1:]]))
            type_ids.append(np.repeat(np.array([0, 1], np.int32), [len(before), len(part) + 1]))
            places.append((number, len(before), cut.start, len(part)))
    numbers, positions, starts, counts = np.array(places, np.int64).reshape(-1, 4).T
    return QuestionWindows(
        ids, type_ids, numbers, positions, starts, counts, offsets, limit, truncated
    )


def longest_question(length: int, max_question_length: int) -> int:
    """Return the largest number of tokens of a question that leaves room for a context.

    Args:
      length, max_question_length: as in `make_windows`.

    Raises:
      InputError: there is no room.
    """
    # 3 for [CLS] and two [SEP].
    limit = min(max_question_length, length - 3 - _FEWEST_CONTEXT_TOKENS)
    if limit < 1:
        raise InputError(
            f"length must be at least {4 + _FEWEST_CONTEXT_TOKENS} tokens for a question and "
            f"a part of its context, got {length}"
        )
    return limit


def _context_tokens(
    tokenizer: ElectraTokenizer, question: str, context: str
) -> text_windows.TextTokens:
    tokens = text_windows.tokenize(tokenizer, context)
    if not len(tokens.ids):
        raise InputError(
            f"the context of the question {ranges.shown(question)} has no tokens: "
            f"{ranges.shown(context)}; give a text that may hold the answer"
        )
    return tokens


# === Answers ===


class TokenAnswers(NamedTuple):
    """Positions of the answer to each question in each of its windows.

    Attributes:
      start, end: int32 `[windows]`, positions of the first and the last token in the sequence; 0,
        the position of [CLS], in a window that does not hold the whole answer.
      aligned: bool `[questions]`, False for an answer that has no token, such as a character that
        the tokenizer removes.
      inexact: number of answers that begin or end within a token.
      long: number of answers with more tokens than a prediction may have.
      divided: number of answers that no window holds as a whole.
    """

    start: np.ndarray
    end: np.ndarray
    aligned: np.ndarray
    inexact: int
    long: int
    divided: int


def locate_answers(
    windows: QuestionWindows,
    contexts: Sequence[str],
    spans: Sequence[tuple[int, int] | None],
    longest: int,
) -> TokenAnswers:
    """Return the tokens of answers.

    Args:
      windows: windows of the questions.
      contexts: context of each question.
      spans: first character of the answer to each question and the one after its last; None for no
        answer.
      longest: largest number of tokens of a predicted answer.
    """
    count = len(spans)
    first, last = np.full([2, count], -1, np.int64)
    aligned = np.ones(count, bool)
    inexact = 0
    for number, (context, span) in enumerate(zip(contexts, spans)):
        if span is None:
            continue
        offsets = windows.offsets[number]
        inside = np.flatnonzero((offsets[:, 1] > span[0]) & (offsets[:, 0] < span[1]))
        aligned[number] = len(inside) > 0
        if len(inside):
            first[number], last[number] = inside[0], inside[-1]
            covered = text_windows.stripped_span(
                context, offsets[inside[0], 0], offsets[inside[-1], 1]
            )
            inexact += covered != text_windows.stripped_span(context, *span)
    has_tokens = first >= 0
    # The same for windows: their answer, counted from the first token of their part.
    own_first = first[windows.questions] - windows.starts
    own_last = last[windows.questions] - windows.starts
    whole = has_tokens[windows.questions] & (own_first >= 0) & (own_last < windows.counts)
    held = np.zeros(count, bool)
    held[windows.questions[whole]] = True
    return TokenAnswers(
        start=np.where(whole, windows.positions + own_first, 0).astype(np.int32),
        end=np.where(whole, windows.positions + own_last, 0).astype(np.int32),
        aligned=aligned,
        inexact=inexact,
        long=int((has_tokens & (last - first >= longest)).sum()),
        divided=int((has_tokens & ~held).sum()),
    )
