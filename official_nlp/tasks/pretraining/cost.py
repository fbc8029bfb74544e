"""What pre-training costs: parameters, floating-point operations, memory. Arithmetic on sizes.

B rows of a micro-batch, L length, P predictions a row, V vocabulary, E embedding width, H width,
I intermediate width, N heads.
"""

import dataclasses
from collections.abc import Sequence

from official_nlp.data.pretraining.masking import max_predictions
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.tasks.pretraining.task import PretrainingConfig
from official_nlp.training import PhaseConfig, TrainingConfig

_FLOAT = 4


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Numbers of trainable parameters.

    Attributes:
      generator: of the generator with its tables and head.
      discriminator: likewise; what both share is in both.
      joint: of both, what they share once.
    """

    generator: int
    discriminator: int
    joint: int


def parameters(config: PretrainingConfig) -> Parameters:
    """Returns the trainable parameters of a model, which need not be built for it."""
    first, second = config.generator, config.discriminator
    generator = _tables(first) + _trunk(first) + _generator_head(first)
    discriminator = _tables(second) + _trunk(second) + _discriminator_head(second)
    common = {
        "shared": _tables(first),
        "word_only": first.vocab_size * first.embedding_size,
        "untied": 0,
        "gdes": 0,
        "whole": _tables(first) + _trunk(first),
    }
    return Parameters(generator, discriminator, generator + discriminator - common[config.sharing])


def _tables(sizes: ElectraConfig) -> int:
    rows = sizes.vocab_size + sizes.max_position_embeddings + sizes.type_vocab_size
    return (rows + 2) * sizes.embedding_size  # 2: the layer normalization


def _trunk(sizes: ElectraConfig) -> int:
    width, inner = sizes.hidden_size, sizes.intermediate_size
    attention = 4 * (width * width + width)
    feedforward = 2 * width * inner + inner + width
    layers = sizes.num_hidden_layers * (attention + feedforward + 2 * 2 * width)
    return layers + _projection(sizes) * (sizes.embedding_size + 1) * width


def _projection(sizes: ElectraConfig) -> int:
    return int(sizes.embedding_size != sizes.hidden_size)


def _generator_head(sizes: ElectraConfig) -> int:
    return (sizes.hidden_size + 1 + 2) * sizes.embedding_size + sizes.vocab_size


def _discriminator_head(sizes: ElectraConfig) -> int:
    return (sizes.hidden_size + 1) * sizes.hidden_size + sizes.hidden_size + 1


def predictions(config: PretrainingConfig, phase: PhaseConfig) -> int:
    """Returns P, the predictions a row of a phase."""
    probability = phase.mask_probability
    if probability is None:
        probability = config.masking.probability
    return max_predictions(probability, phase.length)


def step_flops(config: PretrainingConfig, phase: PhaseConfig) -> int:
    """Returns the floating-point operations of one step of a phase, over all replicas.

    Counted are the matrix products, a multiplication and an addition each: for a token and layer

        8 H^2 + 4 H I + 4 L H        projections, feed-forward, attention

    and `2 E V` for each prediction. The backward pass costs twice the forward pass; recomputation
    is not counted.

    google-research's tool, whose numbers the paper prints, counts a look-up in the word table as a
    product with all of it, the backward pass as one more forward pass, and element-wise operations.
    For ELECTRA-Small it has 1.29e18 for a million steps, this function 1.15e18.
    """
    forward = 0
    if phase.generator_weight:
        sizes = config.generator
        slots = predictions(config, phase)
        head = 2 * slots * sizes.embedding_size * (sizes.hidden_size + sizes.vocab_size)
        forward += _trunk_flops(sizes, phase.length) + head
    if phase.discriminator_weight:
        sizes = config.discriminator
        head = 2 * phase.length * sizes.hidden_size * (sizes.hidden_size + 1)
        forward += _trunk_flops(sizes, phase.length) + head
    return 3 * forward * phase.batch_size


def _trunk_flops(sizes: ElectraConfig, length: int) -> int:
    width = sizes.hidden_size
    layer = 8 * width * width + 4 * width * sizes.intermediate_size + 4 * length * width
    projection = 2 * _projection(sizes) * sizes.embedding_size * width
    return length * (sizes.num_hidden_layers * layer + projection)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that a replica needs at the peak; `memory` says what each part is.

    Attributes:
      program: Python, TensorFlow, and the graph of each phase's step.
      state: weights, slots and gradients.
      activations: of one micro-batch.
      vocabulary: scores of one micro-batch's predictions.
      evaluation: the same of a batch of held-out text, at another time.
    """

    program: int
    state: int
    activations: int
    vocabulary: int
    evaluation: int

    @property
    def total(self) -> int:
        batch = max(self.activations + self.vocabulary, self.evaluation)
        return self.program + self.state + batch


# Measured on two cores with TensorFlow 2.20; `tests/memory_test.py` compares.
_PROGRAM = 800 << 20
_GRAPH_OF_A_LAYER = 25 << 20
# Copies that are alive at the peak, forward and backward together, of what is so wide for a token.
_COPIES_OF_HIDDEN, _COPIES_OF_INTERMEDIATE, _COPIES_OF_SCORES = 8, 2, 3
_COPIES_OF_LOGITS, _COPIES_IN_EVALUATION = 5, 4


def memory(
    config: PretrainingConfig,
    phases: Sequence[PhaseConfig],
    training: TrainingConfig,
    replicas: int = 1,
) -> Memory:
    """Returns what a replica needs at the peak of its largest phase.

    Of a run on a CPU with one replica, the sum is the largest resident size of the process. On
    another device `program` is the host's.

      program:      800 MiB, and 25 for each layer of each phase's networks, which are its graph
      state:        four float32 numbers a parameter: weight, gradient, and the optimizer's two
      activations:  for each token and layer, floats for 8 H, 2 I and 3 N L; recomputed, of one
                    layer alone, and H for each
      vocabulary:   five times `B P V` floats
      evaluation:   four times `B P V` floats of a held-out batch

    Activations of a half-precision policy take two bytes; scores over the vocabulary are float32.
    """
    parts = [_phase_memory(config, phase, training, replicas) for phase in phases]
    graph = sum(_layers(config, phase) for phase in phases) * _GRAPH_OF_A_LAYER
    activations, vocabulary = max(parts, key=sum)
    state = 4 * _FLOAT * parameters(config).joint
    evaluation = _COPIES_IN_EVALUATION * _evaluated_scores(config, phases) * _FLOAT
    if training.evaluation_interval == 0:
        evaluation = 0
    return Memory(_PROGRAM + graph, state, activations, vocabulary, evaluation)


def _evaluated_scores(config, phases) -> int:
    length = max(phase.length for phase in phases)
    slots = max_predictions(config.masking.probability, length)
    return config.evaluation_batch_size * slots * config.generator.vocab_size


def _networks(config, phase) -> list[ElectraConfig]:
    used = [(config.generator, phase.generator_weight)]
    used += [(config.discriminator, phase.discriminator_weight)]
    return [sizes for sizes, weight in used if weight]


def _layers(config, phase) -> int:
    return sum(sizes.num_hidden_layers for sizes in _networks(config, phase))


def _phase_memory(config, phase, training, replicas) -> tuple[int, int]:
    rows = -(-phase.batch_size // (replicas * training.accumulation))
    size = _FLOAT if training.policy == "float32" else 2
    tokens = rows * phase.length
    activations = 0
    for sizes in _networks(config, phase):
        layer = (
            _COPIES_OF_HIDDEN * sizes.hidden_size
            + _COPIES_OF_INTERMEDIATE * sizes.intermediate_size
            + _COPIES_OF_SCORES * sizes.num_attention_heads * phase.length
        )
        layers = sizes.num_hidden_layers
        held = layers * sizes.hidden_size + layer if training.recompute else layers * layer
        activations += tokens * size * held
    slots = rows * predictions(config, phase) if phase.generator_weight else 0
    return activations, _COPIES_OF_LOGITS * slots * config.generator.vocab_size * _FLOAT
