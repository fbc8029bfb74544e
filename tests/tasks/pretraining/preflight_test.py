"""What can be known of a run before its first step."""

import dataclasses

import pytest

from official_nlp.data import MaskingConfig
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig
from official_nlp.tasks.pretraining import preflight
from official_nlp.training import PhaseConfig, TrainingConfig

GB = 10**9
PRESET = ElectraConfig.preset("small")
SMALL = PretrainingConfig(PRESET.generator(), PRESET).for_vocabulary(30522)
PHASE = PhaseConfig(steps=20_000, batch_size=128, length=128)
TRAINING = TrainingConfig()
DATA = preflight.Data(
    examples=1_000_000,
    held_out=1000,
    shards=3,
    longest_row=128,
    largest_id=30_521,
    vocabulary=30_522,
)
DEVICES = preflight.Devices()


def look(task=SMALL, phases=(PHASE,), training=TRAINING, data=DATA, devices=DEVICES):
    folders = data if isinstance(data, dict) else {None: data}
    return preflight.inspect(task, phases, training, folders, devices)


def changed(original, **changes):
    return dataclasses.replace(original, **changes)


def test_nothing_is_said_against_the_papers_small():
    found = look()
    assert (found.errors, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"phases": (PHASE, changed(PHASE, length=513))},
            "length of phase 2 must be at most max_position_embeddings=512, was 513",
        ),
        (
            {"phases": (changed(PHASE, length=127),)},
            "length of phase 1 must be at least 128, the longest row of its data, was 127; build "
            "examples with --length 127",
        ),
        (
            {"data": changed(DATA, examples=0)},
            "the data of phase 1 must have training examples, had none",
        ),
        (
            {"task": changed(SMALL, masking=MaskingConfig(probability=0.99))},
            "predictions a row of phase 1 must be at most 126, its tokens without [CLS] and [SEP], "
            "were 127",
        ),
        (
            {"phases": (changed(PHASE, mask_probability=0.99),)},
            "predictions a row of phase 1 must be at most 126",
        ),
        (
            {"devices": preflight.Devices("mirrored", replicas=3)},
            "batch_size of phase 1 must be a multiple of 3 (3 replicas), was 128",
        ),
        (
            {
                "devices": preflight.Devices("multi_worker", replicas=4, hosts=2),
                "training": changed(TRAINING, accumulation=64),
            },
            "batch_size of phase 1 must be a multiple of 256 (4 replicas x 64 micro-batches), was",
        ),
    ],
)
def test_what_cannot_be_is_an_error(change, message):
    found = look(**change)
    assert len(found.errors) == 1
    assert message in found.errors[0]


def test_all_errors_are_found_at_once():
    found = look(
        phases=(changed(PHASE, length=127), changed(PHASE, length=600, batch_size=3)),
        devices=preflight.Devices("mirrored", replicas=2),
    )
    assert len(found.errors) == 3


WIDE = ElectraConfig.preset("base")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"task": changed(SMALL, generator=PRESET.generator(1.0))},
            "the generator is 1 times as wide as the discriminator; a quarter to half works best "
            "(paper, section 3.2): a stronger one leaves the discriminator too little to find, "
            "though ELECTRA-Small++ was released with 1",
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
            {"data": changed(DATA, examples=60_000)},
            "phase 1 goes 42.7 times through 60,000 examples; above 40",
        ),
        (
            {
                "data": changed(DATA, examples=100),
                "phases": (changed(PHASE, steps=20),),
                "training": changed(TRAINING, warmup_steps=1),
            },
            "a batch of phase 1 has 128 rows, and there are only 100 examples: it holds some twice",
        ),
        ({"data": changed(DATA, held_out=0)}, "no held-out examples: nothing is evaluated"),
        (
            {"task": SMALL.for_vocabulary(30522), "data": changed(DATA, vocabulary=28_000)},
            "word table has 30,522 rows for a vocabulary of 28,000: 2,522 of them are never",
        ),
        (
            {"data": changed(DATA, largest_id=15_000)},
            "the largest id in the data is 15,000 of a vocabulary of 30,522: were the examples",
        ),
        (
            {"training": changed(TRAINING, warmup_steps=20_000)},
            "the warm-up of 20,000 steps is not over at the last of 20,000",
        ),
        (
            {"task": PretrainingConfig(WIDE.generator(), WIDE).for_vocabulary(30522)},
            "the learning rate of 0.0005 is high for a width of 768: the paper has 0.0002",
        ),
        (
            {"devices": preflight.Devices("tpu", absent="there is no TPU")},
            "there is no TPU; all is counted as for one replica",
        ),
        (
            {"devices": preflight.Devices(memory=4 * GB)},
            "of memory, this machine has 4.0 GB: use a smaller BATCH_SIZE",
        ),
    ],
)
def test_what_is_odd_is_a_warning(change, message):
    found = look(**change)
    assert found.errors == []
    assert len(found.warnings) == 1
    assert message in found.warnings[0]


def test_one_encoder_in_both_roles_is_no_wide_generator():
    whole = PretrainingConfig(PRESET, PRESET, sharing="whole").for_vocabulary(30522)
    assert look(task=whole).warnings == []


def test_a_padded_word_table_is_not_odd():
    assert look(task=changed(SMALL, vocab_size=None).for_vocabulary(30528)).warnings == []


def test_a_phase_without_generator_may_predict_few_tokens():
    phase = changed(PHASE, batch_size=2, generator_weight=0.0)
    assert look(phases=(phase,)).warnings == []


def test_the_lines_say_what_the_run_is_and_costs():
    text = "\n".join(look(devices=preflight.Devices("mirrored", 2, 1)).lines)
    for part in (
        "14,196,219 trainable parameters, sharing shared",
        "30,522 tokens, word table of 30,522 rows, largest id in the data 30,521",
        "devices: mirrored, replicas 2, hosts 1",
        "phase 1: 20,000 steps of 128 x 128 tokens, 2.56 times through 1,000,000 examples in 3",
        "19 predictions a row",
        "global batch 128: 64 rows a replica; 1.15e+12 FLOPs a step",
        "compute: 2.3e+16 FLOPs; time is known once some steps have run",
        "memory: about ",
    ):
        assert part in text


def test_a_phase_is_judged_by_its_own_data():
    short = changed(DATA, examples=500_000, longest_row=64)
    first, second = changed(PHASE, length=64, data="short"), changed(PHASE, length=128)
    found = look(phases=(first, second), data={None: DATA, "short": short})
    assert found.errors == []
    assert "through 500,000 examples" in "\n".join(found.lines)
    found = look(phases=(changed(first, data=None), second), data={None: DATA})
    assert "length of phase 1 must be at least 128" in found.errors[0]


def test_memory_of_any_size_is_readable():
    line = look(phases=(changed(PHASE, batch_size=4096),)).lines[-1]
    assert "227 MB weights" in line
    assert " 177 GB activations" in line
