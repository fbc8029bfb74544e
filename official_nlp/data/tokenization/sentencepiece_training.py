"""Learns a SentencePiece model, with the package of its authors."""

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from official_nlp.errors import InputError

# The trainer's time grows with the square of a line without spaces.
_LONGEST_LINE = 2000
# Above what such a line can have: the trainer leaves out longer ones without a word.
_LONGEST_LINE_BYTES = 1 << 16
# The sums of the threads are added, and must not depend on the machine.
_THREADS = 8
_ONLY_ERRORS = 2
# Share of the text's characters that are pieces whatever they cost; the trainer's own 0.9995 leaves
# some accented letters unknown.
_KNOWN_CHARACTERS = 0.9999


def train(
    lines: Iterable[str],
    size: int,
    algorithm: str,
    lower_case: bool,
    special_tokens: Sequence[str],
) -> bytes:
    """Returns the content of a model's file.

    Args:
      lines: the text.
      size: the most pieces.
      algorithm: "unigram" or "bpe".
      lower_case: capitals become small letters.
      special_tokens: names of padding, the unknown, beginning, end and mask; their places are
        their ids, and no text is ever cut into them.

    Raises:
      InputError: there is no text, or it has more characters than the model pieces.
    """
    pad, unknown, beginning, end, mask = special_tokens
    counted = _Lines(lines)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=counted,
            model_writer=model,
            model_type=algorithm,
            vocab_size=size,
            # Text with little in it gives fewer.
            hard_vocab_limit=False,
            normalization_rule_name="nmt_nfkc_cf" if lower_case else "nmt_nfkc",
            pad_id=0,
            pad_piece=pad,
            unk_id=1,
            unk_piece=unknown,
            bos_id=2,
            bos_piece=beginning,
            eos_id=3,
            eos_piece=end,
            control_symbols=[mask],
            character_coverage=_KNOWN_CHARACTERS,
            max_sentence_length=_LONGEST_LINE_BYTES,
            num_threads=_THREADS,
            minloglevel=_ONLY_ERRORS,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise _explained(error, counted, size) from error
    return model.getvalue()


class _Lines:
    """Counts lines, and keeps what the reading of them raised, which the trainer would hide."""

    def __init__(self, lines: Iterable[str]):
        self._lines = itertools.chain.from_iterable(map(_cut, lines))
        self.count = 0
        self.error: Exception | None = None

    def __iter__(self):
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


def _cut(line: str) -> Iterator[str]:
    """Yields a line in pieces that are short enough, cut at spaces where there are."""
    while len(line) > _LONGEST_LINE:
        middle = line.rfind(" ", 1, _LONGEST_LINE)
        middle = middle if middle > 0 else _LONGEST_LINE
        yield line[:middle]
        line = line[middle:]
    yield line


def _explained(error: Exception, lines: _Lines, size: int) -> Exception:
    if lines.error is not None:
        return lines.error
    needed = re.search(r"required_chars[^0-9]*\d+ vs (\d+)", str(error))
    if needed:
        return InputError(
            f"size must be more than {needed[1]}, the number of different characters of the text, "
            f"was {size}: 30522 is usual"
        )
    if not lines.count or "sentences_.empty()" in str(error) or "freq" in str(error):
        return InputError("no text in the files given: give files that hold some")
    return error
