"""Endless training batches, and evaluation batches, of features in memory."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from official_nlp.data.example_order import position_to_example
from official_nlp.tasks.finetuning.features import Features, padded_length
from official_nlp.training.task import ORDER, VALID

# Row with the number of the example of each feature: a long text has several features.
DOCUMENT = "document"
# Batches whose examples are sorted by length together. More would waste less padding, but a batch
# would then always hold the same kind of text.
_SORTED_BATCHES = 64
# Mixed into the seed of the order of batches, so that it is not that of the examples.
_BATCH_ORDER = 0x5BD1E995
# Epochs of the stream of a phase, so that phases have orders of their own.
_EPOCHS_OF_PHASE = 1 << 32


class ExampleStream:
    """The features of every training batch, as a function of the step.

    An epoch is a permutation of the features, and epochs follow one another without a gap: the last
    batch of an epoch is completed by the next one. With `by_length`, the features of 64 consecutive
    batches are sorted by length and divided again, and these batches are permuted. So a batch holds
    sequences of similar length, and every feature still occurs once in each epoch.

    Args:
      lengths: number of tokens of each feature.
      batch_size: number of features of a batch.
      seed: seed of the run.
      stage: index of the phase.
      by_length: sort by length.
    """

    def __init__(
        self, lengths: np.ndarray, batch_size: int, seed: int, stage: int, by_length: bool
    ):
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._first_epoch = stage * _EPOCHS_OF_PHASE
        self._by_length = by_length
        self._sorted: tuple[int, np.ndarray] | None = None  # The last window, and its batches.

    def numbers(self, step: int) -> np.ndarray:
        """Return the numbers of the features of a batch, int64 `[batch_size]`."""
        if not self._by_length:
            return self._in_order(step * self._batch_size, self._batch_size)
        window, place = divmod(step, _SORTED_BATCHES)
        if self._sorted is None or self._sorted[0] != window:
            self._sorted = window, self._sort(window)
        return self._sorted[1][place]

    def _in_order(self, first: int, count: int) -> np.ndarray:
        positions = np.arange(first, first + count, dtype=np.int64)
        epochs, within = np.divmod(positions, len(self._lengths))
        return position_to_example(
            self._seed, epochs + self._first_epoch, within, len(self._lengths)
        )

    def _sort(self, window: int) -> np.ndarray:
        count = _SORTED_BATCHES * self._batch_size
        numbers = self._in_order(window * count, count)
        # A stable sort keeps the order of equal lengths, which is that of the permutation.
        numbers = numbers[np.argsort(self._lengths[numbers], kind="stable")]
        order = position_to_example(
            self._seed ^ _BATCH_ORDER,
            self._first_epoch + window,
            np.arange(_SORTED_BATCHES),
            _SORTED_BATCHES,
        )
        return numbers.reshape(_SORTED_BATCHES, self._batch_size)[order]


def training_batches(
    features: Features,
    stream: ExampleStream,
    batch_size: int,
    length: int,
    by_length: bool,
    pad_id: int,
    first_step: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> tf.data.Dataset:
    """Return the endless batches of a phase, see `Task.train_dataset`.

    Args:
      features: the training features.
      stream: which of them each batch holds.
      batch_size: features of a batch, over all hosts.
      length: largest number of tokens of a sequence.
      by_length: pad each batch only to its own longest sequence, rounded up to a multiple of 8;
        else every batch has `length` tokens.
      pad_id: id of padding.
      first_step, host, hosts: see `Task.train_dataset`.
    """
    own = batch_size // hosts

    def batches() -> Iterator[dict[str, np.ndarray]]:
        step = first_step
        while True:
            numbers = stream.numbers(step)
            size = padded_length(int(features.lengths[numbers].max()), length)
            part = slice(host * own, (host + 1) * own)
            batch = features.batch(numbers[part], size if by_length else length, pad_id)
            # Random draws are keyed by the position in the stream.
            first = step * batch_size + host * own
            batch["stream_position"] = np.arange(first, first + own, dtype=np.int64)
            yield batch
            step += 1

    has_token_labels = features.token_labels is not None
    dataset = _dataset(batches, own, None if by_length else length, has_token_labels)
    return dataset.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    features: Features, batch_size: int, length: int, by_length: bool, pad_id: int
) -> tf.data.Dataset:
    """Return one pass over a set; the batches are in order of length, and of known number.

    Besides the arrays of `Features.batch`, a batch holds `valid`, False at features that only fill
    the last batch; `example`, by which the loop restores the order of the set; and `document`, the
    number of the example that a feature is a part of.

    Args:
      features: the features of the set; at least one.
      batch_size, length, by_length, pad_id: see `training_batches`.
    """
    order = np.argsort(features.lengths, kind="stable") if by_length else np.arange(len(features))
    count = -(-len(features) // batch_size)

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for number in range(count):
            positions = np.arange(number * batch_size, (number + 1) * batch_size, dtype=np.int64)
            valid = positions < len(features)
            numbers = order[np.minimum(positions, len(features) - 1)]
            size = padded_length(int(features.lengths[numbers].max()), length)
            batch = features.batch(numbers, size if by_length else length, pad_id)
            batch["sample_weight"] = batch["sample_weight"] * valid
            batch |= {"stream_position": positions, VALID: valid}
            batch |= {ORDER: numbers, DOCUMENT: features.examples[numbers]}
            yield batch

    has_token_labels = features.token_labels is not None
    dataset = _dataset(batches, batch_size, None if by_length else length, has_token_labels)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


def _dataset(
    batches: Callable[[], Iterator[dict[str, np.ndarray]]],
    rows: int,
    length: int | None,
    has_token_labels: bool,
) -> tf.data.Dataset:
    """Return a dataset of a generator; the axis of tokens is static if `length` is given."""
    first = next(batches())
    tokens = {"input_word_ids", "input_mask", "input_type_ids"}
    if has_token_labels:
        tokens.add("labels")
    signature = {
        name: tf.TensorSpec(
            [rows, *array.shape[1:-1], length] if name in tokens else [rows, *array.shape[1:]],
            array.dtype,
        )
        for name, array in first.items()
    }
    return tf.data.Dataset.from_generator(batches, output_signature=signature)
