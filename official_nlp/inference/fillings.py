"""Fill the blanks of a text with the generator."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp import ranges
from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.inference import inputs
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction

# At least three underscores, because two are part of names such as __init__.
BLANK = re.compile(r"_{3,}")
TOP = 3  # number of tokens for a blank


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A token for a blank, and its probability."""

    token: str
    score: float


@dataclasses.dataclass(frozen=True)
class Fillings(Prediction):
    """The blanks of a text in order.

    Attributes:
      fillings: for each blank the most probable tokens, the best first.
    """

    fillings: list[list[Candidate]]


class BlankFiller(Head):
    """Predict the tokens at the blanks, [MASK] or ___, of plain texts.

    Args:
      generate: function of a dict of `input_word_ids`, `input_mask` int32 `[batch, length]` and
        `masked_lm_positions` int32 `[batch, 1]` that returns logits `[batch, 1, vocab_size]`.
      tokenizer: tokenizer of the model.
      vocab_size: number of tokens that the model scores.
      length: largest number of tokens in a sequence, special tokens included.
      batch_size: largest number of sequences in a batch.

    Attributes:
      allowed: float32 `[vocab_size]`, 1 for tokens that may fill a blank, else 0.
    """

    expects = inputs.TEXT

    def __init__(
        self,
        generate: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
        tokenizer: ElectraTokenizer,
        vocab_size: int,
        length: int,
        batch_size: int = 64,
    ):
        self.tokenizer = tokenizer
        self.length = length
        # No text is written with special tokens, and a
        # padded table has rows without a token.
        allowed = np.zeros([vocab_size], np.float32)
        allowed[: tokenizer.vocab_size] = 1
        allowed[[*tokenizer.special_ids, tokenizer.unk_token_id]] = 0
        self.allowed = allowed
        self._candidates = int(allowed.sum())

        def best_tokens(batch, top):
            # A plain text is one segment, of type 0, which is the default of the networks.
            batch = {name: x for name, x in batch.items() if name != "input_type_ids"}
            # One position per sequence. Softmax maps log-probabilities, which a pre-trainer may
            # return instead of logits, to the same probabilities.
            probabilities = tf.nn.softmax(generate(batch)[:, 0])  # [B, V]
            best = tf.math.top_k(probabilities * allowed, top)
            return {"probabilities": best.values, "tokens": best.indices}

        def own_probability(batch):
            ids, position = batch["input_word_ids"], batch["masked_lm_positions"]  # [B, L], [B, 1]
            masked = tf.where(tf.range(ids.shape[1]) == position, tokenizer.mask_token_id, ids)
            batch = {"input_mask": batch["input_mask"], "masked_lm_positions": position}
            logits = generate({"input_word_ids": masked, **batch})[:, 0]  # [B, V]
            own = tf.gather(logits, tf.gather(ids, position[:, 0], batch_dims=1), batch_dims=1)
            return {"log_probabilities": own - tf.reduce_logsumexp(logits, axis=-1)}

        self._runner = BatchRunner(best_tokens, tokenizer.pad_token_id, length, batch_size)
        self._own_runner = BatchRunner(own_probability, tokenizer.pad_token_id, length, batch_size)

    def parse(self, value: Any) -> str | None:
        return inputs.parse_text(value)

    def has_blank(self, text: str) -> bool:
        """Return whether a text has a blank: [MASK] or ___."""
        return self.tokenizer.mask_token in text or bool(BLANK.search(text))

    def predict(self, texts: Sequence[str], *, top: int = TOP) -> list[Fillings]:
        """Return the best tokens for each blank of each text.

        Probabilities are those among all tokens; special tokens, [UNK] among them, are left out.

        Args:
          texts: texts with at least one blank.
          top: number of tokens for a blank.

        Raises:
          InputError: a text has no blank, or is longer than a sequence; `top` is out of range.
        """
        if not 1 <= top <= self._candidates:
            raise InputError(f"top must be 1 to {self._candidates} tokens, got {top!r}")
        # Each blank gets a sequence of its own, so that the number of blanks adds no traced shape.
        sequences = [self._sequences(text) for text in texts]
        outputs = iter(self._runner.run([each for part in sequences for each in part], top=top))
        return [Fillings([self._best(next(outputs)) for _ in part]) for part in sequences]

    def log_probabilities(self, rows: Sequence[TokenSequence]) -> list[np.ndarray]:
        """Return the log-probability of each token when it alone is replaced by [MASK].

        Args:
          rows: sequences of at most `length` tokens, [CLS] first and [SEP] last.

        Returns:
          Float64 `[tokens - 2]` for each row: that of [CLS] and [SEP] is not computed. The sum is
          the pseudo-log-likelihood of the text (Salazar et al. 2020, arXiv 1910.14659).
        """
        masked = [
            TokenSequence(row.ids, position=position)
            for row in rows
            for position in range(1, len(row.ids) - 1)
        ]
        outputs = iter(self._own_runner.run(masked))
        return [
            np.array([next(outputs)["log_probabilities"] for _ in row.ids[1:-1]], np.float64)
            for row in rows
        ]

    def _sequences(self, text: str) -> list[TokenSequence]:
        ids = self.tokenizer(BLANK.sub(self.tokenizer.mask_token, text))["input_ids"]
        positions = np.flatnonzero(ids == self.tokenizer.mask_token_id).tolist()
        if not positions:
            raise InputError(
                f"the text has no blank to fill: {ranges.shown(text)}; write [MASK] or ___ where a "
                "token is to be predicted"
            )
        if len(ids) > self.length:
            raise InputError(
                f"a text with a blank must fit into {self.length - 2} tokens, got {len(ids) - 2}; "
                "give the sentence around the blank"
            )
        return [TokenSequence(ids, position=position) for position in positions]

    def _best(self, output: dict[str, np.ndarray]) -> list[Candidate]:
        pairs = zip(output["tokens"].tolist(), output["probabilities"].tolist())
        return [Candidate(self.tokenizer.vocab[token], score) for token, score in pairs]
