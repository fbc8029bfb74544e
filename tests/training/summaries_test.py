"""TensorBoard summaries: when they are written, and a disk that is full."""

import resource

import pytest
import tensorflow as tf

from official_nlp.errors import StorageError
from official_nlp.training.summaries import Summaries
from tests.files.plain_paths_test import ODD


def _steps(folder):
    steps = []
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)  # noqa: TID251
            steps += [event.step for value in event.summary.value if value.tag == "loss"]
    return steps


def test_training_is_written_at_the_interval_and_evaluation_always(tmp_path):
    summaries = Summaries(tmp_path, interval=10, last_step=17)
    for step in (5, 10, 15, 17):
        summaries.write("train", step, {"loss": 1.0})
    summaries.write("held_out", 15, {"loss": 2.0})
    summaries.flush()
    assert _steps(tmp_path / "train") == [10, 17]
    assert _steps(tmp_path / "held_out") == [15]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_of_any_name_is_written(tmp_path, name):
    summaries = Summaries(tmp_path / name, interval=1, last_step=1)
    summaries.write("train", 1, {"loss": 1.0})
    summaries.flush()
    assert len(list((tmp_path / name / "train").iterdir())) == 1


def test_without_a_folder_nothing_is_written(tmp_path):
    summaries = Summaries(None, interval=1, last_step=2)
    summaries.write("train", 1, {"loss": 1.0})
    summaries.flush()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_with_the_folder(tmp_path):
    summaries = Summaries(tmp_path, interval=1, last_step=100)
    summaries.write("train", 5, {"loss": 1.0})
    summaries.flush()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        (file,) = (tmp_path / "train").glob("events*")
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, limits[1]))

        def write():
            # TensorFlow writes in its own time, at the latest when it is flushed.
            summaries.write("train", 6, {"loss": 1.0})
            summaries.flush()

        with pytest.raises(StorageError, match="summaries could not be written to"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
