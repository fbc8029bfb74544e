"""Make token sequences of texts, truncated to the model's length."""

import warnings
from collections.abc import Sequence

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.inference.batches import TokenSequence
from official_nlp.inference.inputs import TextPair
from official_nlp.output import counted


def framed(tokenizer: ElectraTokenizer, ids: np.ndarray) -> TokenSequence:
    """Return the sequence [CLS] ids [SEP]."""
    return TokenSequence([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id])


def truncated(
    tokenizer: ElectraTokenizer, texts: Sequence[TextPair], length: int
) -> list[TokenSequence]:
    """Return a sequence for each text or pair, cut to `length` tokens from the longer text.

    A warning gives the number of truncated inputs.
    """
    result: list[TokenSequence] = []
    longest = count = 0
    for text, pair in texts:
        encoded = tokenizer(text, pair)
        size = len(encoded["input_ids"])
        if size > length:
            # Only long inputs are encoded twice: the full length is for the warning.
            count, longest = count + 1, max(longest, size)
            encoded = tokenizer(text, pair, max_length=length, truncation=True)
        result.append(TokenSequence(encoded["input_ids"], encoded["token_type_ids"]))
    if count:
        warnings.warn(
            f"truncated {count:,} of {counted(len(texts), 'text or pair', 'texts or pairs')} to "
            f"{length} tokens (the longest has {longest:,})",
            # The warning names the caller of `Predictor.__call__`, past `predict` of the head.
            stacklevel=4,
        )
    return result
