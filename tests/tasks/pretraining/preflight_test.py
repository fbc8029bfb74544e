"""What can be known of a run before its first step."""

import dataclasses
import types

import numpy as np
import pytest

from official_nlp.data import MaskingConfig
from official_nlp.data.storage.corrupt_records import CorruptRecords
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from official_nlp.tasks.pretraining import PretrainingData
from official_nlp.training import Devices, PhaseConfig, TrainingConfig

GB = 10**9
PRESET = ElectraConfig.preset("small")
SMALL = PretrainingConfig(PRESET.generator(), PRESET)
PHASE = PhaseConfig(steps=20_000, batch_size=128, length=128)
TRAINING = TrainingConfig()


def opened(
    examples=1_000_000,
    held_out=1000,
    longest=128,
    largest_id=30_521,
    vocabulary=30_522,
    tokens=None,
    **settings,
):
    """Opened data with these numbers and no files; `tokens` is the average of an example."""
    unigrams = np.array([examples * (longest if tokens is None else tokens)])
    counts = {"train": examples, "held_out": held_out}
    index = types.SimpleNamespace(longest_row=longest, largest_id=largest_id, settings=settings)
    tokenizer = types.SimpleNamespace(
        vocab_size=vocabulary, vocab=["[CLS]", "The", "the"], do_lower_case=True
    )
    folder = types.SimpleNamespace(
        count=counts.get, index=index, tokenizer=tokenizer, unigram_counts=lambda: unigrams
    )
    return PretrainingData(folder, CorruptRecords())


DATA = opened()


def look(task=SMALL, phases=(PHASE,), training=TRAINING, data=DATA, devices=None):
    folders = data if isinstance(data, dict) else {None: data}
    return task.preflight(folders, phases, training, devices or Devices())


def changed(original, **changes):
    return dataclasses.replace(original, **changes)


@pytest.mark.parametrize("unknown", [0.0, 0.001, float("nan"), "what", None])
def test_nothing_is_said_against_the_papers_small(unknown):
    found = look(data=opened(unknown_fraction=unknown))
    assert (found.errors, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"phases": (PHASE, changed(PHASE, length=513))},
            "length of phase 2 must be at most max_position_embeddings=512, was 513",
        ),
        (
            {"phases": (changed(PHASE, length=127),)},
            "length of phase 1 must be at least 128, the longest example of its data, was 127; "
            "build examples with --length 127",
        ),
        (
            {"task": changed(SMALL, masking=MaskingConfig(probability=0.99))},
            "predictions per example of phase 1 must be at most 126, its tokens without [CLS] and "
            "[SEP], were 127",
        ),
        (
            {"task": changed(SMALL, phase_mask_probabilities=(0.99,))},
            "predictions per example of phase 1 must be at most 126",
        ),
        (
            {"task": changed(SMALL, phase_mask_probabilities=(None, 0.25))},
            "phase_mask_probabilities must have at most 1 entries, one for each phase, had 2",
        ),
        (
            {"devices": Devices("mirrored", 3, 1)},
            "evaluation_batch_size must be a multiple of 3 replicas, was 64",
        ),
        (
            {"devices": Devices(memory=4 * GB)},
            "of memory, this machine has 4.0 GB: use a smaller BATCH_SIZE",
        ),
    ],
)
def test_what_cannot_be_is_an_error(change, message):
    found = look(**change)
    assert len(found.errors) == 1
    assert message in found.errors[0]


def test_all_errors_are_found_at_once():
    found = look(phases=(changed(PHASE, length=127), changed(PHASE, length=600)))
    assert len(found.errors) == 2


WIDE = ElectraConfig.preset("base")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"task": changed(SMALL, generator=PRESET.generator(1.0))},
            "the generator is 1 times as wide as the discriminator; a quarter to half works best "
            "(paper, section 3.2): a stronger generator leaves the discriminator too little to find"
            ", though ELECTRA-Small++ was released with 1",
        ),
        (
            {"task": changed(SMALL, generator=PRESET.generator(0.75))},
            "the generator is 0.75 times as wide",
        ),
        (
            {"phases": (changed(PHASE, batch_size=13),)},
            "a step of phase 1 predicts only 247 tokens",
        ),
        (
            {"data": opened(examples=60_000)},
            "phase 1 passes 42.7 times over 60,000 examples; beyond 40",
        ),
        (
            {"data": opened(unknown_fraction=0.68)},
            "68.0% of the tokens are unknown, and nothing is learned from them: 1 tokens of the "
            "vocabulary have capital letters, but the tokenizer lower-cases all text",
        ),
        ({"data": opened(held_out=0)}, "no held-out examples: nothing is evaluated"),
        (
            {"task": changed(SMALL, vocab_size=30522), "data": opened(vocabulary=28_000)},
            "word table has 30,522 rows for a vocabulary of 28,000: 2,522 of them are never",
        ),
        (
            {"data": opened(largest_id=15_000)},
            "the largest id in the data is 15,000 of a vocabulary of 30,522: were the examples",
        ),
        (
            {"task": PretrainingConfig(WIDE.generator(), WIDE).for_vocabulary(30522)},
            "the learning rate of 0.0005 is high for a width of 768: the paper uses 0.0002",
        ),
        (
            {"data": opened(longest=64, tokens=60)},
            "53% of each batch of phase 1 is padding: examples have 60 tokens on average and 64 at "
            "most, sequences 128; use LENGTH=64, or build examples with --length 128",
        ),
        (
            {"data": opened(tokens=32)},
            "75% of each batch of phase 1 is padding: examples have 32 tokens on average and 128 "
            "at most, sequences 128; its documents are short: build examples with a smaller",
        ),
        (
            {"devices": Devices(memory=6 * GB)},
            "of memory, this machine has 6.0 GB: use a smaller BATCH_SIZE",
        ),
    ],
)
def test_what_is_odd_is_a_warning(change, message):
    found = look(**change)
    assert found.errors == ()
    assert len(found.warnings) == 1
    assert message in found.warnings[0]


def test_one_encoder_in_both_roles_is_no_wide_generator():
    whole = PretrainingConfig(PRESET, PRESET, sharing="whole").for_vocabulary(30522)
    assert look(task=whole).warnings == ()


def test_a_padded_word_table_is_not_odd():
    assert look(task=changed(SMALL, vocab_size=30528)).warnings == ()


def test_a_phase_without_generator_may_predict_few_tokens():
    phase = changed(PHASE, batch_size=2, loss_weights={"mlm": 0.0})
    assert look(phases=(phase,)).warnings == ()


def test_the_lines_say_what_the_run_is_and_costs():
    text = "\n".join(look(devices=Devices("mirrored", 2, 1)).lines)
    for part in (
        "14,196,219 trainable parameters, sharing shared",
        "30,522 tokens, word table of 30,522 rows, largest id in the data 30,521",
        "phase 1: 19 predictions per example; 1.15e+12 FLOPs per step",
        "compute: 2.3e+16 FLOPs; the time is known after the first steps",
        "memory: about ",
    ):
        assert part in text


def test_a_phase_is_judged_by_its_own_data():
    short = opened(examples=500_000, longest=64)
    first, second = changed(PHASE, length=64, data="short"), changed(PHASE, length=128)
    found = look(phases=(first, second), data={None: DATA, "short": short})
    assert found.errors == ()
    found = look(phases=(changed(first, data=None), second), data={None: DATA})
    assert "length of phase 1 must be at least 128" in found.errors[0]


@pytest.mark.parametrize("longest", [128, 100])
def test_a_little_padding_is_not_odd(longest):
    assert look(data=opened(longest=longest, tokens=95)).warnings == ()


def test_a_checkpoint_has_weights_and_two_slots():
    assert look().checkpoint_bytes == 12 * 14_196_219


def test_memory_of_any_size_is_readable():
    line = look(phases=(changed(PHASE, batch_size=4096),)).lines[-1]
    assert "227 MB weights" in line
    assert " 177 GB activations" in line
