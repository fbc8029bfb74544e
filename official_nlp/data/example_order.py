"""The order of the examples in an epoch, computed instead of stored.

A Feistel network permutes the numbers below a power of four. A result outside the range of the
examples is permuted again until it lies inside (cycle walking), which is a permutation of the
range. Nothing is stored, so the position of a hundred million examples costs what that of ten does.
"""

import numpy as np

_ROUNDS = 6


def position_to_example(
    seed: int,
    epoch: int | np.ndarray | list[int],
    positions: np.ndarray | list[int],
    count: int,
) -> np.ndarray:
    """Return the examples at some positions of an epoch: a bijection of `range(count)`.

    Args:
      seed: seed of the order; another seed gives another order in every epoch.
      epoch: number of the epoch, from 0; an integer, or integers in the shape of `positions`.
      positions: integers from 0 to `count - 1`, of any shape.
      count: number of examples.

    Returns:
      int64 numbers of examples, in the shape of `positions`.
    """
    positions = np.asarray(positions, np.uint64)
    epochs = np.broadcast_to(np.asarray(epoch, np.uint64), positions.shape)
    # The network needs an even number of bits, to split them into halves.
    half = np.uint64(max(1, (int(count - 1).bit_length() + 1) // 2))
    # The seed is mixed first: otherwise all pairs with the same `seed ^ epoch` would share an
    # order.
    keys = _mix(_mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF)) ^ epochs)
    result = _permute(positions, keys, half)
    # At most three of four results lie outside, so few rounds are needed.
    while (outside := result >= count).any():
        result[outside] = _permute(result[outside], keys[outside], half)
    return result.astype(np.int64)


def _permute(numbers: np.ndarray, keys: np.ndarray, half: np.uint64) -> np.ndarray:
    """Permute uint64 numbers of `2 * half` bits by a Feistel network."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for number in range(_ROUNDS):
        mixed = _mix(keys ^ _mix(right + (np.uint64(number) << np.uint64(32))))
        left, right = right, left ^ (mixed & mask)
    return (left << half) | right


def _mix(words: np.ndarray | np.uint64) -> np.ndarray:
    """Apply one step of SplitMix64: add the golden ratio, then mix every bit into every other."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(words ^ (words >> np.uint64(31)))
