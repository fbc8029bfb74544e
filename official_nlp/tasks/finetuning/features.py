"""Token sequences of a data set in flat arrays, and batches of them."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from official_nlp.modeling.models.electra_for import IGNORED_LABEL

# Lengths of padded batches are multiples of this, so that few shapes occur and vector instructions
# stay full.
_MULTIPLE = 8


@dataclasses.dataclass(frozen=True)
class Features:
    """Sequences of a data set, in the order of its examples.

    A feature is what the model gets for one row of a batch. Usually that is one sequence, and an
    example has one feature. A long text has several features (windows), and a feature of multiple
    choice has several sequences (one for each choice).

    Attributes:
      ids: int32 `[tokens]`, the sequences one after another, special tokens included.
      type_ids: int32 `[tokens]`.
      starts: int64 `[sequences + 1]`, where each sequence starts; the last entry is the end.
      examples: int64 `[features]`, number of the example of each feature, ascending.
      labels: arrays `[features, ...]` by name, in the dtype that the model expects.
      token_labels: int32 `[tokens]`, a label of each token; None where labels are not of tokens.
      weights: float32 `[features]`, weight of each feature in the loss.
      group: number of sequences of a feature.
      truncated: number of examples whose text was truncated.
    """

    ids: np.ndarray
    type_ids: np.ndarray
    starts: np.ndarray
    examples: np.ndarray
    labels: Mapping[str, np.ndarray]
    weights: np.ndarray
    token_labels: np.ndarray | None = None
    group: int = 1
    truncated: int = 0

    @classmethod
    def of_sequences(
        cls,
        ids: Sequence[ArrayLike],
        type_ids: Sequence[ArrayLike],
        examples: ArrayLike,
        labels: Mapping[str, np.ndarray],
        weights: ArrayLike | None = None,
        token_labels: Sequence[ArrayLike] | None = None,
        group: int = 1,
        truncated: int = 0,
    ) -> "Features":
        """Return the features of a list of sequences.

        Args:
          ids: the sequences; those of a feature are consecutive.
          type_ids: segments of their tokens.
          examples: number of the example of each feature.
          labels: see the class.
          weights: weights of the features; None for 1 each.
          token_labels: labels of the tokens of each sequence.
          group, truncated: see the class.
        """
        sizes = [len(np.asarray(each)) for each in ids]
        numbers = np.asarray(examples, np.int64)
        if weights is None:
            weights = np.ones(len(numbers))
        return cls(
            ids=_flat(ids),
            type_ids=_flat(type_ids),
            starts=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
            examples=numbers,
            labels=dict(labels),
            weights=np.asarray(weights, np.float32),
            token_labels=None if token_labels is None else _flat(token_labels),
            group=group,
            truncated=truncated,
        )

    def __len__(self) -> int:
        return len(self.examples)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Number of tokens of the longest sequence of each feature, int64 `[features]`."""
        sizes = np.diff(self.starts)
        return sizes.reshape(-1, self.group).max(axis=1) if len(sizes) else sizes

    def batch(self, numbers: np.ndarray, length: int, pad_id: int) -> dict[str, np.ndarray]:
        """Return the arrays of some features, padded to a length.

        Args:
          numbers: int64 `[batch]`, numbers of features.
          length: number of tokens of each sequence, at least that of the longest.
          pad_id: id of padding.

        Returns:
          `input_word_ids`, `input_mask`, `input_type_ids`, int32 `[batch, length]`, or
          `[batch, group, length]` where a feature has several sequences; the labels by name;
          `labels` `[batch, length]` where labels are of tokens; `sample_weight` float32 `[batch]`.
        """
        rows = (numbers[:, np.newaxis] * self.group + np.arange(self.group)).ravel()
        columns = np.arange(length)
        mask = columns < (self.starts[rows + 1] - self.starts[rows])[:, np.newaxis]
        # Positions beyond a sequence read some token, which the mask replaces.
        places = np.minimum(self.starts[rows][:, np.newaxis] + columns, len(self.ids) - 1)
        shape = [len(numbers), length] if self.group == 1 else [len(numbers), self.group, length]
        result = {
            "input_word_ids": np.where(mask, self.ids[places], pad_id).astype(np.int32),
            "input_mask": mask.astype(np.int32),
            "input_type_ids": np.where(mask, self.type_ids[places], 0).astype(np.int32),
        }
        if self.token_labels is not None:
            token_labels = np.where(mask, self.token_labels[places], IGNORED_LABEL)
            result["labels"] = token_labels.astype(np.int32)
        result = {name: array.reshape(shape) for name, array in result.items()}
        result |= {name: array[numbers] for name, array in self.labels.items()}
        result["sample_weight"] = self.weights[numbers]
        return result


def padded_length(longest: int, limit: int) -> int:
    """Return the length to which a batch is padded: a multiple of 8, at most `limit`.

    Args:
      longest: number of tokens of the longest sequence of the batch.
      limit: largest length of a sequence.
    """
    return min(-(-longest // _MULTIPLE) * _MULTIPLE, limit)


def _flat(sequences: Sequence[ArrayLike]) -> np.ndarray:
    if not len(sequences):
        return np.zeros(0, np.int32)
    return np.concatenate([np.asarray(each, np.int32) for each in sequences])
