"""Run folders with damaged files: whatever they hold, opening them gives a result or one error."""

import contextlib
import io
import json
import pathlib
import random
import shutil
import traceback

import pytest
import tensorflow as tf

from official_nlp.cli import main
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange.saved_run import load_run
from official_nlp.training import PhaseConfig, loop
from official_nlp.training.best import Best
from official_nlp.training.checkpoints import Checkpoints
from official_nlp.training.metrics_log import MetricsLog
from official_nlp.training.run_folder import RunFolder
from tests import damage
from tests.data.conftest import VOCABULARY
from tests.interchange import trained_run

FILES = [
    "run.json",
    "checkpoints/checkpoint",
    "checkpoints/best.json",
    "metrics.jsonl",
    "config.gin",
    "generator/config.json",
]
CLASS = "official_nlp.tasks.pretraining.config.PretrainingConfig"
ODD_VALUES = [
    None,
    "",
    "x",
    "\0",
    "../x",
    -1,
    0,
    1.5,
    10**30,
    1e308,
    float("nan"),
    True,
    [],
    {},
    [{}],
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """A folder with all files of a run, whose checkpoint holds nothing of a model."""
    folder = RunFolder(tmp_path_factory.mktemp("fuzzed") / "run")
    config = trained_run.config().for_vocabulary(len(VOCABULARY))
    task = config.make(None, trained_run.TRAINING)
    phases = [PhaseConfig(4, batch_size=4, length=32)]
    folder.claim(loop.identity(task, phases, trained_run.TRAINING), {"strategy": "one_device"})

    def write_files(path):
        for name in ("generator", "discriminator"):
            (path / name).mkdir()
            (path / name / "config.json").write_text(getattr(config, name).to_json())
        ElectraTokenizer(VOCABULARY).save_pretrained(path / "tokenizer")

    folder.prepare(write_files, "SEED = 5\n")
    step = tf.Variable(2, dtype=tf.int64)
    Checkpoints({"step": step}, folder.checkpoints, step, 2, keep=2).save()
    log = MetricsLog(folder.metrics, folder.timing)
    log.write(2, 0, {"train/loss": 2.5, "learning_rate": 1e-3, "grad_norm": 1.0})
    log.write(2, 0, {"held_out/rtd_loss": 0.5, "held_out/rtd_auc": float("nan")})
    best = Best("rtd_loss")
    best.update(2, log.evaluations()[0])
    best.write(folder.checkpoints)
    return folder.path


def test_the_run_that_is_damaged_is_read(run):
    assert all((run / name).is_file() for name in FILES)
    assert load_run(run, "best").step == 2
    assert main.main(["info", str(run)]) == main.DONE


@pytest.mark.timeout(120)
def test_a_damaged_run_is_read_or_refused(run, tmp_path, record_property):
    record_property(damage.TRIED, 200)
    _fuzz(run, tmp_path, range(200))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_damaged_in_many_ways_is_read_or_refused(run, tmp_path, record_property):
    record_property(damage.TRIED, 4_000)
    _fuzz(run, tmp_path, range(1_000, 5_000))


def _fuzz(run, tmp_path, seeds):
    refused = 0
    for seed in seeds:
        folder = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("summaries"))
        change = _damaged(folder, random.Random(seed))
        try:
            refused += _opened(folder)
        except Exception:
            pytest.fail(f"seed {seed}, {change}:\n{traceback.format_exc()}")
        shutil.rmtree(folder)
    # Neither all nor none: the damages are such that both happen.
    assert len(seeds) // 10 < refused < len(seeds)


def _opened(folder) -> bool:
    """Open a run in every way; return whether one of them was refused by an error of ours."""
    opened = (
        lambda: RunFolder(folder).describe(),
        lambda: load_run(folder).evaluation(),
        lambda: load_run(folder, "best").step,
    )
    refused = False
    for each in opened:
        try:
            each()
        except InputError:
            refused = True
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        code = main.main(["info", str(folder)])
    assert code in (main.DONE, main.USAGE), errors.getvalue()
    assert errors.getvalue().count("\n") == (code == main.USAGE)
    return refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": [3]}, r"phases\[0\] must be an object with an integer 'steps'"),
        ({"phases": [{"steps": "4"}]}, r"phases\[0\] must be an object with an integer 'steps'"),
        ({"origin": {"data": []}}, "origin must describe data and warm_start by objects"),
        ({"origin": {"warm_start": {"generator": 3}}}, "origin must describe data and warm_start"),
        ({"training": {"seed": 1, "unknown": 2}}, "settings of training that cannot be read"),
        ({"task": {"class": CLASS, "config": {"generator": 3}}}, "that .*Config cannot read"),
        (
            {"task": {"class": CLASS, "config": {"generator": {"hidden_size": -1}}}},
            "Config cannot read: hidden_size must be a positive integer, was -1$",
        ),
    ],
)
def test_a_damaged_description_names_the_part(run, tmp_path, change, message):
    folder = shutil.copytree(run, tmp_path / "run")
    described = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**described, **change}))
    with pytest.raises(InputError, match=rf"run\.json.*{message}"):
        load_run(folder).training  # noqa: B018 - reading it is the test


# === Damages ===


def _damaged(folder, choice: random.Random) -> str:
    """Damage one file; return what was done."""
    file = folder / choice.choice(FILES)
    kind = choice.choice([_flip, _cut, _swap, _insert, _replace_value, _replace_value])
    content = file.read_bytes()
    damaged = kind(content, choice)
    file.write_bytes(damaged)
    return f"{kind.__name__} in {file.name}: {damaged[:2000]!r}"


def _flip(content: bytes, choice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(choice.choice([1, 1, 5])):
        changed[choice.randrange(len(changed))] ^= 1 << choice.randrange(8)
    return bytes(changed)


def _cut(content: bytes, choice: random.Random) -> bytes:
    return content[: choice.randrange(len(content))]


def _swap(content: bytes, choice: random.Random) -> bytes:
    first, second, third = sorted(choice.randrange(len(content)) for _ in range(3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def _insert(content: bytes, choice: random.Random) -> bytes:
    start = choice.randrange(len(content))
    piece = choice.choice([b"\xff", b"\0", b"[" * 100_000, b"9" * 5_000, b"\n", b'"', b"{}"])
    return content[:start] + piece + content[start:]


def _replace_value(content: bytes, choice: random.Random) -> bytes:
    """Replace or delete a value of JSON; cut the file where it is none."""
    lines = content.decode().splitlines()
    # The metrics log has an object in each of its two lines, other files one in all of them.
    parts = [content.decode()] if len(lines) > 2 else lines
    number = choice.randrange(len(parts))
    try:
        value = json.loads(parts[number])
    except ValueError:
        return _cut(content, choice)
    places = list(_places(value))
    holder, key = choice.choice(places)
    if choice.random() < 0.3:
        del holder[key]
    else:
        holder[key] = choice.choice(ODD_VALUES)
    parts[number] = json.dumps(value)
    return ("\n".join(parts) + "\n").encode()


def _places(value):
    """Yield each object or list with each of its keys, at any depth."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
