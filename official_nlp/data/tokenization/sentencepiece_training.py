"""Train a SentencePiece model, with the package of its authors."""

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from official_nlp.data import corpus
from official_nlp.errors import InputError

# Training time grows with the square of the length of a line without spaces.
_MAX_LINE = 2000
# More than such a line can have: the trainer silently ignores longer lines.
_MAX_LINE_BYTES = 1 << 16
# Rounding depends on the number of threads, so it must not depend on the machine.
_THREADS = 8
_ONLY_ERRORS = 2
# Fraction of the text's characters that become pieces. The trainer's default, 0.9995, leaves some
# accented letters unknown.
_CHARACTER_COVERAGE = 0.9999


def train(
    lines: Iterable[str],
    size: int,
    algorithm: str,
    lower_case: bool,
    special_tokens: Sequence[str],
) -> bytes:
    """Train a model, and return the content of its file.

    Args:
      lines: the text.
      size: maximum number of pieces.
      algorithm: "unigram" or "bpe".
      lower_case: lower-case the text.
      special_tokens: names of the tokens for padding, unknown, [CLS], [SEP] and mask, whose ids are
        0 to 4. They are control symbols: text is never split into them.

    Raises:
      InputError: if there is no text, or it has more different characters than `size`.
    """
    pad, unknown, cls, sep, mask = special_tokens
    counted = _Lines(lines)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=counted,
            model_writer=model,
            model_type=algorithm,
            vocab_size=size,
            # A small text results in fewer pieces, which would be an error.
            hard_vocab_limit=False,
            normalization_rule_name="nmt_nfkc_cf" if lower_case else "nmt_nfkc",
            pad_id=0,
            pad_piece=pad,
            unk_id=1,
            unk_piece=unknown,
            bos_id=2,
            bos_piece=cls,
            eos_id=3,
            eos_piece=sep,
            control_symbols=[mask],
            character_coverage=_CHARACTER_COVERAGE,
            max_sentence_length=_MAX_LINE_BYTES,
            num_threads=_THREADS,
            minloglevel=_ONLY_ERRORS,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise _explained(error, counted, size) from error
    return model.getvalue()


class _Lines:
    """Yields lines to the trainer.

    The trainer hides exceptions that reading raises behind its own, so they are recorded.

    Attributes:
      count: number of lines yielded.
      error: the exception that reading raised, if any.
    """

    def __init__(self, lines: Iterable[str]):
        self._lines = itertools.chain.from_iterable(map(_shorten, lines))
        self.count = 0
        self.error: Exception | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        self.count += 1
        return line


def _shorten(line: str) -> Iterator[str]:
    """Yield a line in parts of at most `_MAX_LINE` characters, split at spaces if possible."""
    while len(line) > _MAX_LINE:
        middle = line.rfind(" ", 1, _MAX_LINE)
        middle = middle if middle > 0 else _MAX_LINE
        yield line[:middle]
        line = line[middle:]
    yield line


def _explained(error: Exception, lines: _Lines, size: int) -> Exception:
    """Return a clear error for an exception of the trainer, or that exception."""
    if lines.error is not None:
        return lines.error
    needed = re.search(r"required_chars[^0-9]*\d+ vs (\d+)", str(error))
    if needed:
        return InputError(
            f"size must be more than {needed[1]}, the number of different characters in the text, "
            f"was {size}; 30522 is usual"
        )
    if not lines.count or "sentences_.empty()" in str(error) or "freq" in str(error):
        return InputError(corpus.NO_TEXT)
    return error
