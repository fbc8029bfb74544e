"""Merge the rows of several requests into one batch, and divide its outputs again."""

import math
from collections.abc import Sequence

import numpy as np

from official_nlp.serving.server.tensors import Arrays, Signature

# A low estimate, so that a batch has rather fewer tokens than estimated. Special tokens are added.
_BYTES_OF_TOKEN = 3
_SPECIAL_TOKENS = 2
# Tokenizing a byte takes about 100 bytes of memory: so many bytes take as much as one token does in
# a small network. They count because a batch of long texts that are truncated could have any size.
_BYTES_READ_PER_TOKEN = 256
# Outputs named so count the valid elements of padded outputs.
_COUNT = "num_"


def estimated_tokens(inputs: Arrays, length: int | None) -> int:
    """Return the estimated number of tokens of the longest row.

    Args:
      inputs: arrays by name, each with a batch axis.
      length: largest number of tokens that are computed of a text, or None if it is unknown.
    """
    texts = [array for array in inputs.values() if array.dtype == object]
    if not texts:
        return max(1, *(math.prod(array.shape[1:]) for array in inputs.values()), 1)
    sizes = sum(_sizes(array) for array in texts)
    size = int(np.max(sizes))
    longest = size // _BYTES_OF_TOKEN + _SPECIAL_TOKENS
    # Several texts may be several sequences, as of choices.
    sequences = max(math.prod(array.shape[1:]) for array in texts)
    computed = longest if length is None else min(longest, length * max(1, sequences))
    return computed + size // _BYTES_READ_PER_TOKEN


def _sizes(texts: np.ndarray) -> np.ndarray:
    """Return the number of bytes in each row."""
    return np.array(
        [sum(map(len, row)) for row in texts.reshape(len(texts), -1 if texts.size else 0)]
    )


def merged(requests: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Return inputs with the rows of all requests, whose other axes must be equal."""
    return {name: np.concatenate([each[name] for each in requests]) for name in requests[0]}


def divided(
    outputs: Arrays, counts: Sequence[int], signature: Signature
) -> list[dict[str, np.ndarray]] | None:
    """Return the outputs of each request.

    Outputs of variable size are padded to the longest of the batch. The padding that only another
    request needs is removed, where an output `num_...` counts the valid elements: the answer to a
    request does not depend on the others.

    Args:
      outputs: arrays by name.
      counts: number of rows of each request.
      signature: signature that computed them.

    Returns:
      None if an output has another number of rows, so that nobody knows whose they are.
    """
    if any(array.shape[:1] != (sum(counts),) for array in outputs.values()):
        return None
    ends = np.cumsum(counts)
    parts = [
        {name: array[end - count : end] for name, array in outputs.items()}
        for count, end in zip(counts, ends)
    ]
    return [_trimmed(part, outputs, signature) for part in parts]


def _trimmed(part: Arrays, outputs: Arrays, signature: Signature) -> dict[str, np.ndarray]:
    """Return rows without the padding that they do not need."""
    counters = [
        name for name in outputs if name.startswith(_COUNT) and outputs[name].dtype.kind == "i"
    ]
    result = dict(part)
    for name, array in part.items():
        shape = signature.outputs[name].shape
        if len(shape) < 2 or shape[1] is not None:
            continue
        # Two counters may have one maximum; the larger count is then safe for both.
        widths = [
            int(part[counter].max(initial=0))
            for counter in counters
            if int(outputs[counter].max(initial=0)) == array.shape[1]
        ]
        if widths:
            result[name] = array[:, : max(widths)]
    return result


def joined(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Return the outputs of consecutive rows as those of one batch, padded to equal sizes."""
    result = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        sizes = np.max([array.shape[1:] for array in arrays], axis=0, initial=0).astype(int)
        result[name] = np.concatenate([_padded(array, sizes) for array in arrays])
    return result


def _padded(array: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    widths = [(0, 0), *((0, size - own) for size, own in zip(sizes, array.shape[1:]))]
    empty = b"" if array.dtype == object else 0
    return np.pad(array, widths, constant_values=empty) if any(any(w) for w in widths) else array
