import resource

import pytest
import tensorflow as tf

from official_nlp.errors import StorageError
from official_nlp.training.summaries import Summaries, cut


def _steps(folder):
    steps = []
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)  # noqa: TID251
            steps += [event.step for value in event.summary.value if value.tag == "loss"]
    return steps


def test_training_is_written_at_the_interval_and_evaluation_always(tmp_path):
    step = tf.Variable(0, dtype=tf.int64)
    summaries = Summaries(tmp_path, step, interval=10, last_step=17)
    for now in (5, 10, 15, 17):
        step.assign(now)
        summaries.write_summaries({"train": {"loss": 1.0}, "steps_per_second": 3.0})
    step.assign(15)
    summaries.write_summaries({"held_out": {"loss": 2.0}})
    summaries.flush()
    assert _steps(tmp_path / "train") == [10, 17]
    assert _steps(tmp_path / "held_out") == [15]


def _write(folder, *steps):
    step = tf.Variable(0, dtype=tf.int64)
    summaries = Summaries(folder, step, interval=1, last_step=100)
    for now in steps:
        step.assign(now)
        summaries.write_summaries({"train": {"loss": 1.0}})
    summaries.flush()
    return summaries


def test_what_a_killed_process_wrote_ahead_is_cut(tmp_path):
    _write(tmp_path, 5, 10, 15, 20)
    (file,) = (tmp_path / "train").glob("events*")
    with open(file, "ab") as stream:
        stream.write(b"half an event")
    cut(tmp_path / "train", 10)
    assert _steps(tmp_path / "train") == [5, 10]
    before = file.stat()
    cut(tmp_path / "train", 10)
    assert file.stat() == before
    _write(tmp_path, 15, 20)
    assert sorted(_steps(tmp_path / "train")) == [5, 10, 15, 20]
    cut(tmp_path / "nothing", 10)


def test_a_full_disk_is_named(tmp_path):
    summaries = _write(tmp_path, 5)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        (file,) = (tmp_path / "train").glob("events*")
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, limits[1]))

        def write():
            # TensorFlow writes when it likes, at the latest when it is told to.
            summaries.write_summaries({"train": {"loss": 1.0}})
            summaries.flush()

        with pytest.raises(StorageError, match="summaries could not be written to"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
