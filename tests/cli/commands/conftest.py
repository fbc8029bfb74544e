"""A tiny recipe, and a run that was trained by it through the command."""

import pathlib

import pytest

from official_nlp import data
from official_nlp.cli import main
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from tests import made_once
from tests.data.conftest import (  # noqa: F401
    VOCABULARY,
    built,
    text_file,
    tokenizer,
    tokenizer_folder,
)

# Two phases of 6 and 8 steps, with an evaluation and a checkpoint every 4.
RECIPE = """
from __gin__ import dynamic_registration

from official_nlp import tasks
from official_nlp import training
from official_nlp.modeling import networks

include "runs/pretrain.gin"

SHARING = "shared"
TEMPERATURE = 1.0
FEED_FORWARD = 32
POSITIONS = 32
LENGTH = 32
LEARNING_RATE = 1e-3
BATCH_SIZE = 4
SHORT_LENGTH = 32
SHORT_DATA = None
MLM_STEPS = 6
ELECTRA_STEPS = 8
RTD_WEIGHT = 20.0
WARMUP_STEPS = 4

networks.ElectraConfig.embedding_size = 8
networks.ElectraConfig.num_hidden_layers = 2
networks.ElectraConfig.intermediate_size = %FEED_FORWARD
networks.ElectraConfig.max_position_embeddings = %POSITIONS
networks.ElectraConfig.initializer_range = 0.2
generator/networks.ElectraConfig.hidden_size = 8
generator/networks.ElectraConfig.num_attention_heads = 1
discriminator/networks.ElectraConfig.hidden_size = 16
discriminator/networks.ElectraConfig.num_attention_heads = 2

tasks.PretrainingConfig.generator = @generator/networks.ElectraConfig()
tasks.PretrainingConfig.discriminator = @discriminator/networks.ElectraConfig()
tasks.PretrainingConfig.sharing = %SHARING
tasks.PretrainingConfig.temperature = %TEMPERATURE

training.RunConfig.phases = (@mlm/training.PhaseConfig(), @electra/training.PhaseConfig())
mlm/training.PhaseConfig.data = %SHORT_DATA
mlm/training.PhaseConfig.length = %SHORT_LENGTH
mlm/training.PhaseConfig.steps = %MLM_STEPS
mlm/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": 0.0}
electra/training.PhaseConfig.steps = %ELECTRA_STEPS
electra/training.PhaseConfig.loss_weights = {"mlm": 1.0, "rtd": %RTD_WEIGHT}

training.TrainingConfig.steps_per_loop = 2
training.TrainingConfig.checkpoint_interval = 4
training.TrainingConfig.evaluation_interval = 4
"""


def electra(*words):
    """Run the command in this process; return its exit code."""
    return main.main([str(word) for word in words])


class Command:
    """The command and what it printed."""

    def __init__(self, capsys):
        self._capsys = capsys

    def __call__(self, *words) -> str:
        """Run the command, which must succeed; return what it printed, with single spaces."""
        self._capsys.readouterr()
        code = electra(*words)
        printed = self._capsys.readouterr()
        assert code == main.DONE, printed.err
        return " ".join(printed.out.split())

    def refused(self, *words) -> str:
        """Run the command, which must refuse its input in one line; return the line."""
        self._capsys.readouterr()
        code = electra(*words)
        error = self._capsys.readouterr().err
        assert code == main.USAGE, error
        assert error.count("\n") == 1
        return error


@pytest.fixture
def command(capsys) -> Command:
    return Command(capsys)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> pathlib.Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.gin"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="session")
def run(tmp_path_factory, built, recipe) -> pathlib.Path:  # noqa: F811
    """A finished run; not to be changed."""

    def train(folder):
        words = [recipe, f"DATA={built}", f"MODEL_DIR={folder}", "SEED=5"]
        assert electra("train", *words) == main.DONE

    return made_once.folder(tmp_path_factory, "run of the command", train)


@pytest.fixture(scope="session")
def shards(tmp_path_factory, text_file, tokenizer_folder):  # noqa: F811
    """Make data folders: `shards(length=16, held_out=0)`."""

    def make(vocabulary=tokenizer_folder, **options):
        to = tmp_path_factory.mktemp("shards") / "data"
        data.build_examples(text_file, vocabulary, to, processes=1, progress=False, **options)
        return to

    return make


@pytest.fixture(scope="session")
def other_vocabulary(tmp_path_factory, shards) -> pathlib.Path:
    """A data folder whose vocabulary has one token more."""
    folder = tmp_path_factory.mktemp("other")
    ElectraTokenizer([*VOCABULARY, "walked"]).save_pretrained(folder)
    return shards(folder, length=32, held_out=0.2)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
