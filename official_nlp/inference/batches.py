"""Run a network over sequences of many lengths in few static shapes."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_nlp.errors import InputError

_SHORTEST = 16  # Shorter sequences are padded to this: more shapes would only add traces.
Call = Callable[..., Mapping[str, tf.Tensor]]


class TokenSequence(NamedTuple):
    """One sequence of a batch.

    Attributes:
      ids: integers `[length]`, special tokens included.
      type_ids: integers `[length]`; None for all of type 0.
      position: a position to predict, passed on as `masked_lm_positions` `[batch, 1]`, or None.
        In one call of a `BatchRunner` either all sequences have one or none has.
    """

    ids: Sequence[int] | np.ndarray
    type_ids: Sequence[int] | np.ndarray | None = None
    position: int | None = None


class BatchRunner:
    """Run a function of a padded batch over any number of sequences.

    Sequences are grouped by length. Each group is padded to 16, 32, 64, ... tokens or to `length`,
    and its batches have 1, 4, 16, ... or `batch_size` sequences: a function is traced once for each
    shape that occurs, and these are few. The results of a sequence must depend neither on the other
    sequences of a batch nor on padding, so that neither grouping nor batch size changes them.

    Args:
      call: function of a dict of int32 tensors `input_word_ids`, `input_mask`, `input_type_ids`
        `[batch, length]` and perhaps `masked_lm_positions` `[batch, 1]`, and of the keywords of
        `run`. Returns a dict of tensors whose first axis is the batch.
      pad_token_id: id that fills up a sequence.
      length: largest number of tokens of a sequence.
      batch_size: largest number of sequences of a batch.
      exact_lengths: batch sequences of equal length only and pad none, for networks whose results
        depend on padding.
    """

    def __init__(
        self,
        call: Call,
        pad_token_id: int,
        length: int,
        batch_size: int,
        exact_lengths: bool = False,
    ):
        self._call = call
        self._pad_token_id = pad_token_id
        self._lengths = [length] if exact_lengths else _steps(_SHORTEST, 2, length)
        self._batch_sizes = _steps(1, 4, batch_size)
        self._exact_lengths = exact_lengths
        self._traced: dict[tuple, tf.types.experimental.ConcreteFunction] = {}

    def run(
        self, sequences: Sequence[TokenSequence], **options: Hashable
    ) -> list[dict[str, np.ndarray]]:
        """Return the outputs for each sequence, in order, without the axis of the batch.

        Axes of tokens are as long as the padded batch was.

        Args:
          sequences: any number of sequences.
          **options: hashable values that `call` receives as keywords; each new set is traced.

        Raises:
          InputError: an output is not finite.
        """
        groups: dict[int, list[int]] = {}
        for index, sequence in enumerate(sequences):
            groups.setdefault(self._padded_length(len(sequence.ids)), []).append(index)
        results: list[dict[str, np.ndarray]] = [{} for _ in sequences]
        for length, indices in sorted(groups.items()):
            for start in range(0, len(indices), self._batch_sizes[-1]):
                part = indices[start : start + self._batch_sizes[-1]]
                outputs = self._run_batch([sequences[i] for i in part], length, options)
                for row, index in enumerate(part):
                    results[index] = {name: array[row] for name, array in outputs.items()}
        return results

    def _padded_length(self, length: int) -> int:
        if self._exact_lengths:
            return length
        # There is always one: the callers truncate, cut or refuse longer sequences.
        return next(step for step in self._lengths if step >= length)

    def _run_batch(self, sequences, length, options) -> dict[str, np.ndarray]:
        rows = next(size for size in self._batch_sizes if size >= len(sequences))
        # Surplus places are filled with the last sequence, and their results are ignored. Sequences
        # of nothing but padding would be a special case for the attention.
        sequences = [*sequences, *[sequences[-1]] * (rows - len(sequences))]
        inputs = self._padded(sequences, length)
        key = (rows, length, *sorted(inputs), *sorted(options.items()))
        if key not in self._traced:
            # Concrete functions are stored here because a tf.function logs a warning about
            # retracing if its first calls all have different shapes.
            function = tf.function(lambda batch: dict(self._call(batch, **options)))
            specs = {n: tf.TensorSpec(x.shape, tf.int32, name=n) for n, x in inputs.items()}
            self._traced[key] = function.get_concrete_function(specs)
        outputs = self._traced[key]({name: tf.constant(x) for name, x in inputs.items()})
        arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(
                    f"the model's {name} are not finite; its weights are damaged or diverged in "
                    "training: use another checkpoint"
                )
        return arrays

    def _padded(self, sequences: Sequence[TokenSequence], length: int) -> dict[str, np.ndarray]:
        ids = np.full([len(sequences), length], self._pad_token_id, np.int32)
        mask, type_ids = np.zeros_like(ids), np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            size = len(sequence.ids)
            ids[row, :size] = sequence.ids
            mask[row, :size] = 1
            if sequence.type_ids is not None:
                type_ids[row, :size] = sequence.type_ids
        inputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": type_ids}
        if sequences[0].position is not None:
            positions = [[sequence.position] for sequence in sequences]
            inputs["masked_lm_positions"] = np.array(positions, np.int32)
        return inputs


def _steps(first: int, factor: int, last: int) -> list[int]:
    """Return first, first * factor, ... up to the largest below `last`, and `last` itself."""
    steps = []
    while first < last:
        steps.append(first)
        first *= factor
    return [*steps, last]
