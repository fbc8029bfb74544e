"""Evaluation of pretrained networks that are not part of a run."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.tasks.pretraining import metrics
from official_nlp.tasks.pretraining.config import PretrainingConfig
from official_nlp.tasks.pretraining.task import NETWORKS, ElectraPretraining
from official_nlp.training.evaluator import Evaluator
from official_nlp.training.task import DataByPath
from official_nlp.training.tracing import plain_errors

# Content of a config.json, and arrays by Hugging Face name.
Network = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]


def evaluate(
    networks: Mapping[str, Network],
    tokenizer: ElectraTokenizer | None,
    data: str | os.PathLike,
    source: str,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Evaluate pretrained networks on the held-out part of a data folder.

    A pair has the metrics of a run. A generator alone has those named `mlm_`. A discriminator alone
    has `rtd_unigram_auc`, for which tokens are replaced by frequent words instead of samples.

    Args:
      networks: configuration and arrays of `generator` and `discriminator`, of one of them, or of
        one network with the empty name.
      tokenizer: their tokenizer; None if unknown.
      data: a data folder with a held-out part.
      source: path of the networks, for messages.
      seed: seed of masks and samples.

    Returns:
      Metrics by evaluation set.

    Raises:
      InputError: the networks are no generator or discriminator, data and networks do not fit each
        other, or nothing is held out.
    """
    named = {_name(name, *network, source): network for name, network in networks.items()}
    configs = {name: ElectraConfig.from_dict(dict(config)) for name, (config, _) in named.items()}
    (first, *_), is_pair = configs.values(), len(configs) == 2
    config = PretrainingConfig(
        generator=configs.get("generator", first),
        discriminator=configs.get("discriminator", first),
        # The networks of a pair get arrays of their own, even if these are equal. One network alone
        # stands for both: the other one is never run.
        sharing="untied" if is_pair else "whole",
        vocab_size=first.vocab_size,
    )
    opened = config.open_data(data)
    ours = opened.folder.tokenizer
    if tokenizer is not None and tokenizer.vocab_hash != ours.vocab_hash:
        raise InputError(
            f"{data} has another vocabulary ({ours.vocab_size:,} tokens) than {source} "
            f"({tokenizer.vocab_size:,} tokens); build the examples with its tokenizer: electra "
            f"examples --tokenizer {source}"
        )
    different = ours.differences(tokenizer) if tokenizer else ""
    if different:
        raise InputError(
            f"{data} was built by a tokenizer that treats text in another way than that of "
            f"{source} ({different}); build the examples with its tokenizer: electra "
            f"examples --tokenizer {source}"
        )
    task = _Pretrained(config, {None: opened}, named, seed)
    if not task.evaluation_sets():
        raise InputError(f"{data} has no held-out examples: build it with --held-out 1%")
    with plain_errors():
        evaluator = Evaluator(task, task.build(), tf.distribute.get_strategy(), seed)
        return evaluator.evaluate(tf.constant(-1))


class _Pretrained(ElectraPretraining):
    """A pre-training task whose model is initialized from arrays, and may lack a network."""

    def __init__(
        self, config: PretrainingConfig, data: DataByPath, given: Mapping[str, Network], seed: int
    ):
        super().__init__(config, data, seed=seed)
        self._given = given

    def build(self) -> ElectraPretrainer:
        model = super().build()
        tensors = self.named_tensors(model)
        for name, (_, arrays) in self._given.items():
            for tensor in tensors[name]:
                if tensor.name not in arrays:
                    raise InputError(f"the {name} lacks the tensor {tensor.name}")
                tensor.assign_hugging_face(arrays[tensor.name])
        return model

    def evaluate(self, model: ElectraPretrainer, batch):
        if len(self._given) == 2:
            return super().evaluate(model, batch)
        if "generator" in self._given:
            outputs = model.generate(batch)["lm_outputs"]
            return metrics.generator_sums(batch, outputs, self.tokenizer.mask_token_id), {}
        return self.unigram_sums(model, batch), {}


def _name(name: str, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], source) -> str:
    """Return whether a network is a generator or a discriminator, by its head."""
    heads = {"generator": "generator_predictions.", "discriminator": "discriminator_predictions."}
    # A decoder has the head of a generator, but predicts the next token.
    found = [] if config.get("is_decoder") else list(NETWORKS)
    for network in found:
        if any(key.startswith(heads[network]) for key in arrays) and name in ("", network):
            return network
    kind = (config.get("architectures") or ["a network without a head"])[0]
    raise InputError(
        f"{source} holds {kind}; only generators (ElectraForMaskedLM) and discriminators "
        "(ElectraForPreTraining) are evaluated on pre-training data"
    )
