"""Token ids to try a network with: batches of several sizes and lengths, with padding."""

from collections.abc import Mapping

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.serving.served_network import ServedNetwork

# Sequences and tokens of a batch; of a longer one than the model takes, its longest length.
_SHAPES = ((1, 8), (3, 16), (2, 33), (5, 64), (1, 1_000_000))
_CHOICES = (1, 3, 2, 2, 4)  # of an example, for networks that choose
_PREDICTIONS = (1, 2, 5, 3, 8)  # positions of a sequence, for generators
_FEWEST_TOKENS = 3


def sample_ids(
    network: ServedNetwork, config: ElectraConfig, tokenizer: ElectraTokenizer, length: int
) -> list[dict[str, np.ndarray]]:
    """Return batches of int32 arrays by name of the network's inputs.

    The tokens are random and the same in every call. The first sequence of a batch has no padding.

    Args:
      network: the network.
      config: its configuration.
      tokenizer: its tokenizer.
      length: largest number of tokens of a sequence.
    """
    random = np.random.default_rng(0)
    specs = network.function.structured_input_signature[1]
    batches = []
    for (count, longest), choices, predictions in zip(_SHAPES, _CHOICES, _PREDICTIONS):
        tokens = min(longest, length)
        has_choices = specs["input_word_ids"].shape.rank == 3
        shape = [count, choices, tokens] if has_choices else [count, tokens]
        sizes = random.integers(_FEWEST_TOKENS, tokens + 1, shape[:-1])
        sizes[(0,) * sizes.ndim] = tokens
        positions, ends = np.arange(tokens), sizes[..., np.newaxis]
        mask = positions < ends
        ids = random.integers(0, tokenizer.vocab_size, shape)
        ids[..., 0] = tokenizer.cls_token_id
        ids = np.where(positions == ends - 1, tokenizer.sep_token_id, ids)
        # The second half of the tokens is a second text.
        types = mask & (positions > ends // 2) & (config.type_vocab_size > 1)
        values: Mapping[str, np.ndarray] = {
            "input_word_ids": np.where(mask, ids, tokenizer.pad_token_id),
            "input_mask": mask,
            "input_type_ids": types,
            "masked_lm_positions": random.integers(0, tokens, [count, predictions]),
        }
        batches.append({name: values[name].astype(np.int32) for name in specs})
    return batches
