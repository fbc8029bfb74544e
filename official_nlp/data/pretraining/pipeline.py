"""Make batches for training and evaluation: each example is a function of its stream position.

Shapes: B batch size, L length, P predictions.
"""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from official_nlp.data import example_order
from official_nlp.data.pretraining.masking import MaskingConfig, mask_tokens, max_predictions
from official_nlp.data.storage import features
from official_nlp.data.storage.data_folder import DataFolder, Split
from official_nlp.errors import InputError
from official_nlp.randomness import Key

# Folded into the seed. Large, so that they differ from the numbers of phases and layers, which are
# folded into it elsewhere.
TRAINING_MASKS = 0x7472_6169
EVALUATION_MASKS = 0x6576_616C

_BATCHES_AHEAD = 4


def pretraining_dataset(
    folder: DataFolder,
    *,
    batch_size: int,
    length: int,
    masking: MaskingConfig | None = None,
    seed: int,
    phase: int = 0,
    first_step: int = 0,
    masked: bool = True,
    with_replacement: bool = False,
    host: int = 0,
    hosts: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches.

    With N examples in an epoch, position n of the stream holds the example at position `n % N` of
    epoch `n // N`, masked with a key of (seed, phase, n). Neither depends on batch size, host or
    step, so batches, hosts and a resumed run are views of one stream.

    Args:
      folder: the data folder, whose train split is read.
      batch_size: examples per step, over all hosts.
      length: L; shorter examples are padded.
      masking: masking settings, None for the defaults.
      seed: seed of order and masks.
      phase: number of the training phase; each has its own order and masks.
      first_step: step of the phase to start at; no earlier step is read.
      masked: whether tokens are masked. Else the batches have the tokens as they are stored, and no
        `masked_lm_*`, as a causal language model requires.
      with_replacement: whether masked positions are drawn with replacement, as in
        google-research/electra.
      host: number of this host, which gets its `batch_size / hosts` examples of each step.
      hosts: number of hosts.

    Returns:
      Dataset of dicts: int32 `input_word_ids, input_mask, input_type_ids` `[B, L]`, int32
      `masked_lm_positions, masked_lm_ids` and float32 `masked_lm_weights` `[B, P]`, int64
      `stream_position` `[B]`, with B = `batch_size / hosts`.

    Raises:
      InputError: the examples are longer than `length`, or `batch_size` is not a multiple of
        `hosts`.
    """
    if batch_size < 1 or batch_size % hosts:
        raise InputError(
            f"batch_size must be a positive multiple of the number of hosts, {hosts}, "
            f"was {batch_size}"
        )
    split = folder.split(features.TRAIN)
    rows = batch_size // hosts
    # Every phase has an order of its own: phases on the same data must not begin alike.
    order_seed = (seed << 16) + phase

    def positions() -> Iterator[np.ndarray]:
        # Computed from the step: a resumed run reads none of the earlier examples.
        first = first_step * batch_size + host * rows
        while True:
            yield np.arange(first, first + rows)
            first += batch_size

    def examples(position: np.ndarray) -> np.ndarray:
        epoch, within = np.divmod(position, split.count)
        return example_order.position_to_example(order_seed, epoch, within, split.count)

    key = Key(seed).fold(TRAINING_MASKS, phase)
    _check(folder, length)
    stored = _read(split, positions, examples, rows, length)
    if not masked:
        return _unmasked_batches(stored)
    return _batches(folder, stored, length, masking or MaskingConfig(), key, with_replacement)


def evaluation_dataset(
    folder: DataFolder,
    *,
    batch_size: int,
    length: int,
    masking: MaskingConfig | None = None,
    seed: int,
    limit: int | None = None,
    split: str = features.HELD_OUT,
    masked: bool = True,
) -> tf.data.Dataset:
    """Make one pass over a split in the order of its files, the same at every call.

    Args:
      folder: the data folder.
      batch_size: B; the last batch is filled up with empty examples of `input_mask` and weight 0.
      length: L; shorter examples are padded.
      masking: masking settings, None for the defaults.
      seed: seed of the masks, which are a function of it and of the number of the example.
      limit: maximum number of examples, None for all.
      split: "held_out" or "train".
      masked: see `pretraining_dataset`.

    Returns:
      Dataset of dicts as from `pretraining_dataset`; `stream_position` is the number of the
      example.

    Raises:
      InputError: there are no examples, they are longer than `length`, or `batch_size` or `limit`
        is below 1.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise InputError(
            f"batch_size and limit must be at least 1, were batch_size={batch_size}, limit={limit}"
        )
    source = folder.split(split)
    count = source.count if limit is None else min(limit, source.count)

    def positions() -> Iterator[np.ndarray]:
        for first in range(0, count, batch_size):
            yield np.arange(first, first + batch_size)

    def examples(position: np.ndarray) -> np.ndarray:
        return position[position < count]

    _check(folder, length)
    stored = _read(source, positions, examples, batch_size, length)
    # A dataset from a generator has no known length, which the evaluator needs.
    stored = stored.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    if not masked:
        return _unmasked_batches(stored)
    key = Key(seed).fold(EVALUATION_MASKS)
    return _batches(folder, stored, length, masking or MaskingConfig(), key, False)


def _read(
    split: Split,
    positions: Callable[[], Iterator[np.ndarray]],
    examples: Callable[[np.ndarray], np.ndarray],
    rows: int,
    length: int,
) -> tf.data.Dataset:
    """Return a dataset of int64 `[rows]` positions and int32 `[rows, length]` tables."""

    def read() -> Iterator[tuple[np.ndarray, ...]]:
        for position in positions():
            numbers = examples(position)
            tables = split.tables(numbers, length)
            empty = ((0, rows - len(numbers)), (0, 0))
            yield position, *(np.pad(table, empty) for table in tables)

    table = tf.TensorSpec([rows, length], tf.int32)
    signature = (tf.TensorSpec([rows], tf.int64), table, table, table)
    return tf.data.Dataset.from_generator(read, output_signature=signature)


def _batches(
    folder: DataFolder,
    stored: tf.data.Dataset,
    length: int,
    masking: MaskingConfig,
    key: Key,
    with_replacement: bool,
) -> tf.data.Dataset:
    tokenizer = folder.tokenizer
    predictions = max_predictions(masking.probability, length)
    joins = tokenizer.word_joins if masking.whole_word else None
    if with_replacement:
        masking.require_no_replacement()

    def to_batch(
        position: tf.Tensor, ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        masked = mask_tokens(
            ids,
            mask,
            tokenizer.special_ids,
            tokenizer.mask_token_id,
            predictions,
            masking,
            key,
            first_row=position[0],
            with_replacement=with_replacement,
            joins=joins,
        )
        return {
            features.INPUT_WORD_IDS: masked.input_ids,
            features.INPUT_MASK: mask,
            features.INPUT_TYPE_IDS: types,
            features.MASKED_LM_POSITIONS: masked.positions,
            features.MASKED_LM_IDS: masked.ids,
            features.MASKED_LM_WEIGHTS: masked.weights,
            features.STREAM_POSITION: position,
        }

    return _ahead(stored.map(to_batch, num_parallel_calls=2, deterministic=True))


def _unmasked_batches(stored: tf.data.Dataset) -> tf.data.Dataset:
    names = (
        features.STREAM_POSITION,
        features.INPUT_WORD_IDS,
        features.INPUT_MASK,
        features.INPUT_TYPE_IDS,
    )
    return _ahead(stored.map(lambda *tables: dict(zip(names, tables))))


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with some batches made ahead of their use."""
    options = tf.data.Options()
    options.deterministic = True
    # `host` and `hosts` select the examples, and a generator cannot be sharded.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(_BATCHES_AHEAD).with_options(options)


def _check(folder: DataFolder, length: int) -> None:
    if folder.index.longest_row > length:
        raise InputError(
            f"length must be at least {folder.index.longest_row}, the longest example of "
            f"{folder.path}, was {length}: build shorter examples, or train with a greater length"
        )
