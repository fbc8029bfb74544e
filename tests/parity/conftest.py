"""Comparisons with Model Garden's tfnlp: slow tests, which its import alone makes slow."""

import pathlib

import pytest
import tf_keras

# Reads checkpoints of tfnlp, which no other test does; imports tfnlp only when it runs.
ALWAYS = "tfnlp_checkpoint_test.py"


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    """Skip the files of slow tests before their import, which takes ten seconds per process."""
    in_folder = collection_path.parent == pathlib.Path(__file__).parent
    is_test = in_folder and collection_path.name.endswith("_test.py")
    if is_test and collection_path.name != ALWAYS and config.option.markexpr == "not slow":
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == pathlib.Path(__file__).parent and item.path.name != ALWAYS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _repeatable():
    """Equal initial values in every run, because rounding differences depend on them."""
    tf_keras.utils.set_random_seed(1)
