"""Cost of pre-training: parameters, floating-point operations, memory. Arithmetic on sizes.

B examples of a micro-batch, L length, P predictions per example, V vocabulary, E embedding width,
H hidden width, I intermediate width, N heads.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from official_nlp.data.pretraining.masking import max_predictions
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.training import PhaseConfig, TrainingConfig
from official_nlp.training.phase import Stage, stages

if TYPE_CHECKING:  # It imports this module.
    from official_nlp.tasks.pretraining.config import PretrainingConfig

_FLOAT = 4


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Numbers of trainable parameters.

    Attributes:
      generator: parameters of the generator, with its tables and head.
      discriminator: parameters of the discriminator likewise; shared ones are in both numbers.
      joint: parameters of both networks, shared ones counted once.
    """

    generator: int
    discriminator: int
    joint: int


def parameters(config: "PretrainingConfig") -> Parameters:
    """Return the numbers of trainable parameters without building the model."""
    first, second = config.generator, config.discriminator
    generator = _tables(first) + _trunk(first) + _language_model_head(first)
    discriminator = _tables(second) + _trunk(second) + _discriminator_head(second)
    common = {
        "shared": _tables(first),
        "word_only": first.vocab_size * first.embedding_size,
        "untied": 0,
        "gdes": 0,
        "whole": _tables(first) + _trunk(first),
    }
    return Parameters(generator, discriminator, generator + discriminator - common[config.sharing])


def language_model_parameters(sizes: ElectraConfig) -> int:
    """Return the number of trainable parameters of a network that scores the vocabulary."""
    own_table = 0 if sizes.tie_word_embeddings else sizes.vocab_size * sizes.embedding_size
    return _tables(sizes) + _trunk(sizes) + _language_model_head(sizes) + own_table


def _tables(sizes: ElectraConfig) -> int:
    rows = sizes.vocab_size + sizes.max_position_embeddings + sizes.type_vocab_size
    return (rows + 2) * sizes.embedding_size  # 2: the layer normalization


def _trunk(sizes: ElectraConfig) -> int:
    width, inner = sizes.hidden_size, sizes.intermediate_size
    attention = 4 * (width * width + width)
    feedforward = 2 * width * inner + inner + width
    # 2 * 2: scale and offset of the two layer normalizations of a layer.
    layers = sizes.num_hidden_layers * (attention + feedforward + 2 * 2 * width)
    return layers + _projection(sizes) * (sizes.embedding_size + 1) * width


def _projection(sizes: ElectraConfig) -> int:
    return int(sizes.embedding_size != sizes.hidden_size)


def _language_model_head(sizes: ElectraConfig) -> int:
    # A dense layer H to E, its layer normalization, and the output bias. The output matrix is the
    # word table, which `_tables` counts.
    return (sizes.hidden_size + 1 + 2) * sizes.embedding_size + sizes.vocab_size


def _discriminator_head(sizes: ElectraConfig) -> int:
    # Two dense layers: H to H, and H to 1.
    return (sizes.hidden_size + 1) * sizes.hidden_size + sizes.hidden_size + 1


def checkpoint_bytes(parameters: int) -> int:
    """Return the size of a checkpoint: weights and two optimizer slots."""
    return 3 * _FLOAT * parameters


def predictions(config: "PretrainingConfig", stage: Stage) -> int:
    """Return P, the predictions per example of a phase."""
    probability = config.masking_of(stage.index).probability
    return max_predictions(probability, stage.phase.length)


def step_flops(config: "PretrainingConfig", stage: Stage) -> int:
    """Return the floating-point operations of one step of a phase, over all replicas.

    Only matrix products are counted, as one multiplication and one addition per term. For each
    token and layer these are

        8 H^2 + 4 H I + 4 L H        projections, feed-forward, attention

    and `2 E V` for each prediction. The backward pass costs twice the forward pass. Recomputation
    is not counted.

    The tool of google-research/electra, whose numbers the paper prints, counts a lookup in the
    word table as a product with the whole table, the backward pass as one more forward pass, and
    element-wise operations. For a million steps of ELECTRA-Small it reports 1.29e18, this function
    1.15e18.
    """
    forward, phase = 0, stage.phase
    if phase.trains("mlm"):
        slots = predictions(config, stage)
        forward += language_model_flops(config.generator, phase.length, slots)
    if phase.trains("rtd"):
        sizes = config.discriminator
        head = 2 * phase.length * sizes.hidden_size * (sizes.hidden_size + 1)
        forward += _trunk_flops(sizes, phase.length) + head
    return training_flops(forward, phase.batch_size)


def language_model_flops(sizes: ElectraConfig, length: int, scored: int) -> int:
    """Return the floating-point operations of the forward pass of one example; see `step_flops`.

    Args:
      sizes: a network that scores the vocabulary.
      length: tokens of the example.
      scored: positions at which the vocabulary is scored.
    """
    head = 2 * scored * sizes.embedding_size * (sizes.hidden_size + sizes.vocab_size)
    return _trunk_flops(sizes, length) + head


def training_flops(forward: int, batch_size: int) -> int:
    """Return the operations of a step, in which the backward pass costs two forward passes."""
    return 3 * forward * batch_size


def _trunk_flops(sizes: ElectraConfig, length: int) -> int:
    width = sizes.hidden_size
    layer = 8 * width * width + 4 * width * sizes.intermediate_size + 4 * length * width
    projection = 2 * _projection(sizes) * sizes.embedding_size * width
    return length * (sizes.num_hidden_layers * layer + projection)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that a replica needs at the peak; `memory` has the formulas.

    Attributes:
      program: Python, TensorFlow, and the graph of the step of each phase.
      state: weights, optimizer slots and gradients.
      activations: activations of one micro-batch.
      vocabulary: scores over the vocabulary of the predictions of one micro-batch.
      evaluation: scores over the vocabulary of an evaluation batch, at another time.
    """

    program: int
    state: int
    activations: int
    vocabulary: int
    evaluation: int

    @property
    def total(self) -> int:
        """Return the bytes of the whole process at its largest."""
        batch = max(self.activations + self.vocabulary, self.evaluation)
        return self.program + self.state + batch


# Measured on two cores with TensorFlow 2.20; `tests/memory_test.py` compares with a real run.
_PROGRAM = 800 << 20
_GRAPH_OF_A_LAYER = 25 << 20
# Number of arrays of each width that exist at the peak, forward and backward pass together.
_COPIES_OF_HIDDEN, _COPIES_OF_INTERMEDIATE, _COPIES_OF_SCORES = 8, 2, 3
_COPIES_OF_LOGITS, _COPIES_IN_EVALUATION = 5, 4


class TrainedNetwork(NamedTuple):
    """A network that a phase trains.

    Attributes:
      sizes: its configuration.
      scored: positions of an example at which it scores the vocabulary; 0 for a discriminator.
    """

    sizes: ElectraConfig
    scored: int


def memory(
    config: "PretrainingConfig",
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    replicas: int = 1,
) -> Memory:
    """Return the memory of a replica at the peak of its largest phase; see `memory_of`."""
    networks = [_trained(config, stage) for stage in stages(phases)]
    slots = max_predictions(config.masking.probability, max(phase.length for phase in phases))
    evaluated = config.evaluation_batch_size * slots * config.generator.vocab_size
    count = parameters(config).joint
    return memory_of(phases, networks, count, evaluated, training, replicas)


def memory_of(
    phases: Sequence[PhaseConfig],
    networks: Sequence[Sequence[TrainedNetwork]],
    parameters: int,
    evaluated: int,
    training: TrainingConfig,
    replicas: int = 1,
) -> Memory:
    """Return the memory of a replica at the peak of its largest phase.

    For a run on a CPU with one replica, the sum estimates the maximum resident size of the process.
    On another device, `program` is memory of the host.

      program:      800 MiB, and 25 MiB of graph for each layer of each phase's networks
      state:        four float32 numbers per parameter: weight, gradient, two optimizer slots
      activations:  for each token and layer, 8 H + 2 I + 3 N L numbers; with recomputation that of
                    one layer, and H numbers for each
      vocabulary:   five times `B P V` floats
      evaluation:   four times `B P V` floats of an evaluation batch

    Activations of a half-precision policy take two bytes per number; scores over the vocabulary are
    always float32.

    Args:
      phases: the phases.
      networks: the networks that each phase trains.
      parameters: number of trainable parameters.
      evaluated: number of scores over the vocabulary, `B P V`, of an evaluation batch.
      training: settings of loop and optimizer.
      replicas: number of replicas.
    """
    pairs = list(zip(phases, networks, strict=True))
    parts = [_phase_memory(phase, trained, training, replicas) for phase, trained in pairs]
    layers = sum(each.sizes.num_hidden_layers for trained in networks for each in trained)
    activations, vocabulary = max(parts, key=sum)
    state = 4 * _FLOAT * parameters
    evaluation = _COPIES_IN_EVALUATION * evaluated * _FLOAT
    if training.evaluation_interval == 0:
        evaluation = 0
    return Memory(_PROGRAM + layers * _GRAPH_OF_A_LAYER, state, activations, vocabulary, evaluation)


def _trained(config, stage: Stage) -> list[TrainedNetwork]:
    found = []
    if stage.phase.trains("mlm"):
        found.append(TrainedNetwork(config.generator, predictions(config, stage)))
    if stage.phase.trains("rtd"):
        found.append(TrainedNetwork(config.discriminator, 0))
    return found


def _phase_memory(phase, networks, training, replicas) -> tuple[int, int]:
    # Rounded up, because the batch size may be no multiple; `training.preflight` reports that.
    rows = -(-phase.batch_size // (replicas * training.accumulation))
    size = _FLOAT if training.policy == "float32" else 2
    activations = scores = 0
    for sizes, scored in networks:
        layer = (
            _COPIES_OF_HIDDEN * sizes.hidden_size
            + _COPIES_OF_INTERMEDIATE * sizes.intermediate_size
            + _COPIES_OF_SCORES * sizes.num_attention_heads * phase.length
        )
        layers = sizes.num_hidden_layers
        held = layers * sizes.hidden_size + layer if training.recompute else layers * layer
        activations += rows * phase.length * size * held
        scores += rows * scored * sizes.vocab_size
    return activations, _COPIES_OF_LOGITS * scores * _FLOAT
