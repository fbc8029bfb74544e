"""Ranges of settings accept what a run can use, and name setting, range and value otherwise."""

import dataclasses
import math
import pathlib

import pytest

from official_nlp.data import MaskingConfig
from official_nlp.errors import InputError
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.ranges import ByName, Choice, Flag, Integer, ListOf, Number, OrNone, Path, Text
from official_nlp.reference_quirks import ReferenceQuirks
from official_nlp.tasks import PretrainingConfig
from official_nlp.training import PhaseConfig, RunConfig, TrainingConfig


@pytest.mark.parametrize(
    ("allowed", "accepted", "refused"),
    [
        (Integer(1, 5), [1, 5], [0, 6, -1, 10**20, 1.0, "1", True, None, math.nan]),
        (Number(0, 1), [0, 1, 0.5], [-1e-9, 1.1, math.nan, math.inf, -math.inf, "1", True, None]),
        (Number(0, 1, above=True, below=True), [0.5, 1e-300], [0, 1, 0.0, 1.0, math.nan]),
        (Flag(), [True, False], [0, 1, "true", None]),
        (Choice(("a", "b")), ["a", "b"], ["c", "", 1, None, ["a"]]),
        (Text(), ["a", " a", "a\0b"], ["", " ", "\n", 3, None, ["a"], pathlib.Path("a")]),
        (
            Path(),
            ["a", " a", pathlib.Path("a"), "./gs://a", "a/gs://b", "gs:/a", "a:b", "a b://c", "~"],
            ["", " ", "a\0b", 3, None, b"a", "gs://a", "S3://a", "hdfs://a/b", "http://a"]
            + ["file:///a", "tf-hub+x.1://a"],
        ),
        (OrNone(Integer(1, 5)), [None, 1], [0, "None"]),
        (ListOf(Integer(1, 5)), [[], (1, 5)], [[0], (1, None), "12", {1: 2}, 3]),
        (ListOf(Integer(1, 5), least=1), [[1]], [[], ()]),
        (ByName(Number(0, 1)), [{}, {"a": 1}], [{"a": 2}, {1: 1}, [1], None]),
    ],
    ids=str,
)
def test_a_range_accepts_its_values_and_no_other(allowed, accepted, refused):
    for value in accepted:
        allowed.require("x", value)
    for value in refused:
        with pytest.raises(InputError, match=r"^x.* must be .*, was "):
            allowed.require("x", value)


@pytest.mark.parametrize(
    ("allowed", "value", "message"),
    [
        (Integer(1, 1000), 0, "x must be an integer from 1 to 1,000, was 0"),
        (Number(0, 1, above=True), 0, "x must be a number above 0 and at most 1, was 0"),
        (Number(0, 1, below=True), 1, "x must be a number of at least 0 and below 1, was 1"),
        (Choice(("a", "b")), "c", "x must be one of a, b, was 'c'"),
        (OrNone(Text()), "", "x must be text that is not empty, or None, was ''"),
        (
            Path(),
            "gs://bucket/x",
            "x must be a local path (mount or copy what is elsewhere, such as gs:// or http://), "
            "was 'gs://bucket/x'",
        ),
        (ListOf(Flag()), [True, 2], "x[1] must be true or false, was 2"),
        (ByName(Flag()), {"a": 2}, "x['a'] must be true or false, was 2"),
        (Flag(), "two\nlines", r"x must be true or false, was 'two\nlines'"),
        (Flag(), "a" * 200, f"x must be true or false, was '{'a' * 79}..."),
    ],
)
def test_a_message_names_setting_range_and_value_in_one_short_line(allowed, value, message):
    with pytest.raises(InputError) as raised:
        allowed.require("x", value)
    assert str(raised.value) == message


# Fields that other checks of ElectraConfig cover are in tests/modeling/networks.
CONFIGS = {
    TrainingConfig: {},
    PhaseConfig: {"steps": 1, "batch_size": 1},
    MaskingConfig: {},
    ReferenceQuirks: {},
    PretrainingConfig: {"generator": ElectraConfig(), "discriminator": ElectraConfig()},
    RunConfig: {
        "task": PretrainingConfig(ElectraConfig(), ElectraConfig()),
        "phases": (PhaseConfig(1, 1),),
        "data": "data",
        "model_dir": "run",
    },
    ElectraConfig: {},
}
# They hold any value: labels of the user's, and keys of other programs.
FREE = {"id2label", "label2id", "extra"}


@pytest.mark.parametrize(
    ("config", "field"),
    [(c, f.name) for c in CONFIGS for f in dataclasses.fields(c) if f.name not in FREE],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_every_field_of_a_configuration_refuses_another_type(config, field):
    config(**CONFIGS[config])
    with pytest.raises(InputError, match=field):
        config(**{**CONFIGS[config], field: object()})


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": -1e-3},
        {"learning_rate": 0},
        {"learning_rate": math.nan},
        {"learning_rate": 1e-40},  # 0 in float32
        {"clip": -1.0},
        {"clip": 0},
        {"beta_1": 1.0},
        {"beta_2": 1.0},
        {"epsilon": 0.0},
        {"warmup_steps": -1},
        {"seed": -1},
        {"seed": 2**32},
        {"keep_best": 3},
        {"keep_every": "abc"},
        {"weight_decay": -0.01},
        {"decay_power": math.inf},
    ],
    ids=str,
)
def test_training_that_cannot_work_is_refused_when_it_is_configured(fields):
    ((name, _),) = fields.items()
    with pytest.raises(InputError, match=f"^{name} must be .*, was "):
        TrainingConfig(**fields)


def test_an_integer_that_python_does_not_print_is_shown_by_its_size():
    with pytest.raises(
        InputError, match=r"^x must be true or false, was an integer of 16,610 bits$"
    ):
        Flag().require("x", 10**5000)
