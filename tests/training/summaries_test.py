import tensorflow as tf

from official_nlp.training.summaries import Summaries


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
