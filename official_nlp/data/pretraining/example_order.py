"""The order of an epoch as a function: any place of any epoch is found at once.

A Feistel network permutes the numbers below a power of four; numbers that land outside the range
are sent through it again until they land inside (cycle walking), which permutes the range. Nothing
is stored, so a hundred million examples cost what ten do.
"""

import numpy as np

_ROUNDS = 6


def position_to_example(seed: int, epoch, places, count: int) -> np.ndarray:
    """Which example stands at a place of an epoch's order: a bijection of `range(count)`.

    Args:
      seed: integer; another seed, another order in every epoch.
      epoch: integer or integers like `places`, at least 0.
      places: integers from 0 to `count - 1`.
      count: number of examples.

    Returns:
      int64 like `places`.
    """
    places = np.asarray(places, np.uint64)
    epochs = np.broadcast_to(np.asarray(epoch, np.uint64), places.shape)
    half = np.uint64(max(1, (int(count - 1).bit_length() + 1) // 2))
    keys = _mix(_mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF)) ^ epochs)
    result = _permute(places, keys, half)
    while (outside := result >= count).any():
        result[outside] = _permute(result[outside], keys[outside], half)
    return result.astype(np.int64)


def _permute(numbers: np.ndarray, keys: np.ndarray, half: np.uint64) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for turn in range(_ROUNDS):
        mixed = _mix(keys ^ _mix(right + (np.uint64(turn) << np.uint64(32))))
        left, right = right, left ^ (mixed & mask)
    return (left << half) | right


def _mix(words):
    """SplitMix64's step: adds the golden ratio, then mixes every bit into every other."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))
