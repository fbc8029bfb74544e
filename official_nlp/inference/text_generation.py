"""Continue texts with a decoder."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.inference import inputs
from official_nlp.inference.batches import BatchRunner, TokenSequence
from official_nlp.inference.head import Head, Prediction
from official_nlp.modeling.models import ElectraForCausalLM


@dataclasses.dataclass(frozen=True)
class GeneratedText(Prediction):
    """The continuation of a text, without the text itself."""

    text: str


class TextGenerator(Head):
    """Continue plain texts.

    Args:
      model: the model.
      tokenizer: tokenizer of the model.
      length: largest number of tokens in a sequence, those of the continuation included.
      batch_size: largest number of sequences in a batch.

    Raises:
      InputError: the model attends to an encoder, whose states cannot be given as text.
    """

    expects = inputs.TEXT

    def __init__(
        self,
        model: ElectraForCausalLM,
        tokenizer: ElectraTokenizer,
        length: int,
        batch_size: int = 64,
    ):
        if model.config.add_cross_attention:
            raise InputError(
                "the model must continue a text alone, but has add_cross_attention: it needs the "
                "states of an encoder; call its generate(encoder_hidden_states=...) instead"
            )
        self.tokenizer = tokenizer
        self.length = length
        self._batch_size = batch_size
        self._model = model
        ends = model.config.eos_token_id
        # Without a token of its own, a text ends where the tokenizer ends it.
        ends = tokenizer.sep_token_id if ends is None else ends
        self._ends: list[int] = list(ends) if isinstance(ends, (list, tuple)) else [ends]
        self._runners: dict[int, BatchRunner] = {}  # by the largest number of tokens of a prompt

    def parse(self, value: Any) -> str | None:
        return inputs.parse_text(value)

    def predict(
        self,
        texts: Sequence[str],
        *,
        max_new_tokens: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> list[GeneratedText]:
        """Return the continuation of each text.

        Args:
          texts: texts to continue.
          max_new_tokens: largest number of tokens to add.
          do_sample: draw tokens instead of taking the most probable ones. The draws for a text
            depend on `seed` and on its position among the texts.
          temperature: divisor of the logits; below 1 probable tokens become more probable.
          top_k: number of most probable tokens to draw from; None for all.
          seed: seed of the draws.

        Raises:
          InputError: a text is too long to be continued, or an option is out of range.
        """
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens must be at least 1, got {max_new_tokens!r}")
        room = self.length - max_new_tokens
        sequences = [self._sequence(text, room, max_new_tokens) for text in texts]
        options: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
        }
        if do_sample:
            # Texts are continued one at a time, because the draws depend on the position in the
            # batch, and eagerly, because a graph would be traced again for every seed.
            continued = [
                self._model.generate(
                    tf.constant([sequence.ids]),
                    eos_token_id=self._ends,
                    do_sample=True,
                    seed=seed + number,
                    **options,
                )[0].numpy()
                for number, sequence in enumerate(sequences)
            ]
        else:
            outputs = self._runner(room).run(sequences, **options)
            continued = [output["tokens"] for output in outputs]
        return [GeneratedText(self._text(tokens[-max_new_tokens:])) for tokens in continued]

    def _sequence(self, text: str, room: int, max_new_tokens: int) -> TokenSequence:
        # The final [SEP] is removed: it marks the end of a text.
        ids = self.tokenizer(text)["input_ids"][:-1]
        if len(ids) > room:
            raise InputError(
                f"a text must have at most {max(0, room - 1)} tokens, of {self.length} for "
                f"max_new_tokens={max_new_tokens}, got {len(ids) - 1}; give a shorter text or ask "
                "for fewer tokens"
            )
        return TokenSequence(ids)

    def _runner(self, room: int) -> BatchRunner:
        """Return the runner whose padded sequences leave space for the continuation."""
        if room not in self._runners:
            self._runners[room] = BatchRunner(
                self._generate, self.tokenizer.pad_token_id, room, self._batch_size
            )
        return self._runners[room]

    def _generate(self, batch, **options):
        tokens = self._model.generate(
            batch["input_word_ids"], batch["input_mask"], eos_token_id=self._ends, **options
        )
        return {"tokens": tokens}

    def _text(self, new: np.ndarray) -> str:
        # The first end token and the padding after it do not belong to the text.
        ends = np.flatnonzero(np.isin(new, self._ends))
        new = new[: ends[0]] if len(ends) else new
        # A padded table has rows without a token, which a decoder may choose all the same.
        known = new[new < self.tokenizer.vocab_size]
        return self.tokenizer.decode(known, skip_special_tokens=True)
