"""Parameters, operations and memory: arithmetic against models that are built, and the paper."""

import dataclasses

import pytest

from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from official_nlp.tasks.pretraining import cost
from official_nlp.training import PhaseConfig, TrainingConfig
from official_nlp.training.phase import stages
from tests.tasks.conftest import config

# Steps, batch, length and share to predict of the paper, and what google-research's tool counts.
PAPER = {
    "small": (1_000_000, 128, 128, 0.15, 1.294e18),
    "base": (766_000, 256, 512, 0.15, 6.425e19),
    "large": (400_000, 2048, 512, 0.25, 7.118e20),
}


def of(name):
    sizes = ElectraConfig.preset(name)
    return PretrainingConfig(sizes.generator(), sizes).for_vocabulary(30522)


def flops(task, phase):
    (stage,) = stages([phase])
    return cost.step_flops(task, stage)


def masked(task, probability):
    return dataclasses.replace(task, phase_mask_probabilities=(probability,))


def built(task):
    model = task.build()
    heads = [model.discriminator_projection, model.discriminator_head]
    parts = [
        [model.generator_network, model.masked_lm],
        [model.discriminator_network, *heads],
        [model],
    ]
    return [_count(part) for part in parts]


def _count(parts):
    unique = {id(v): v.shape.num_elements() for part in parts for v in part.trainable_variables}
    return sum(unique.values())


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "whole", "gdes"])
def test_parameters_are_those_of_the_model_that_is_built(sharing):
    task = config(sharing).for_vocabulary(77)
    assert list(dataclasses.astuple(cost.parameters(task))) == built(task)


def test_parameters_of_networks_as_wide_as_their_tables():
    sizes = dataclasses.replace(config().discriminator, embedding_size=16)
    task = PretrainingConfig(sizes.generator(0.5), sizes).for_vocabulary(77)
    assert list(dataclasses.astuple(cost.parameters(task))) == built(task)


@pytest.mark.parametrize(
    ("name", "joint"),
    [
        ("small", 14_196_219),
        ("small_plus_plus", 23_122_875),
        ("base", 119_386_427),
        ("large", 354_655_291),
    ],
)
def test_the_papers_models_have_their_parameters(name, joint):
    assert cost.parameters(of(name)).joint == joint


@pytest.mark.parametrize("name", PAPER)
def test_flops_are_those_of_the_papers_tool_but_for_what_it_counts_otherwise(name):
    steps, batch, length, share, tool = PAPER[name]
    task = of(name)
    phase = PhaseConfig(steps, batch, length)
    ours = flops(masked(task, share), phase)
    # Look-ups in both networks as products, 15.6 % predicted, the backward pass once.
    sizes = task.discriminator
    look_up = 2 * 2 * length * sizes.vocab_size * sizes.embedding_size
    theirs = 2 * (flops(masked(task, 0.15625 - 0.004), phase) / 3 + batch * look_up)
    assert theirs * steps == pytest.approx(tool, rel=0.015)
    assert ours * steps == pytest.approx(tool, rel=0.3)


def test_a_network_that_does_not_run_costs_nothing():
    task = of("small")
    both = PhaseConfig(1, 8, 128)
    first = dataclasses.replace(both, loss_weights={"rtd": 0.0})
    second = dataclasses.replace(both, loss_weights={"mlm": 0.0})
    assert flops(task, first) + flops(task, second) == flops(task, both)
    assert cost.memory(task, [first], TrainingConfig()).activations < 0.3 * (
        cost.memory(task, [both], TrainingConfig()).activations
    )
    assert cost.memory(task, [second], TrainingConfig()).vocabulary == 0


def test_memory_is_of_the_largest_phase_and_of_a_replicas_micro_batch():
    task = of("small")
    one, two = PhaseConfig(1, 16, 128), PhaseConfig(1, 8, 512)
    parts = [cost.memory(task, phases, TrainingConfig()) for phases in ([one], [two], [one, two])]
    assert parts[2].activations == max(part.activations for part in parts[:2])
    whole = cost.memory(task, [one], TrainingConfig())
    for split in (
        cost.memory(task, [one], TrainingConfig(), replicas=4),
        cost.memory(task, [one], TrainingConfig(accumulation=4)),
    ):
        assert split.activations == whole.activations / 4
        assert split.state == whole.state == 16 * 14_196_219
    half = cost.memory(task, [one], TrainingConfig(policy="mixed_bfloat16"))
    assert half.activations == whole.activations / 2


def test_evaluation_needs_memory_at_another_time_than_training():
    task, phase = of("small"), PhaseConfig(1, 1, 128)
    needed = cost.memory(task, [phase], TrainingConfig())
    assert needed.evaluation == 4 * 64 * 19 * 30522 * 4
    assert needed.total == needed.program + needed.state + needed.evaluation
    assert cost.memory(task, [phase], TrainingConfig(evaluation_interval=0)).evaluation == 0
