"""TensorBoard summaries."""

import pathlib
from collections.abc import Mapping

import tensorflow as tf

from official_nlp.files import disk_errors, plain_paths
from official_nlp.training.metrics_log import TRAIN


class Summaries:
    """Writes the metrics of training and of each evaluation set, as one TensorBoard run each.

    A resumed run writes the steps after its checkpoint once more. Their values are the same to the
    bit, so TensorBoard draws them over the earlier ones.

    Args:
      folder: folder of the event files; None to write nothing.
      interval: steps between summaries of training; evaluations are always written.
      last_step: last step of the run, always written.
    """

    def __init__(self, folder: pathlib.Path | None, interval: int, last_step: int):
        self._folder = folder
        self._interval = interval
        self._last_step = last_step
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """Write metrics at a step.

        Args:
          name: `train`, or the name of an evaluation set.
          step: finished steps.
          metrics: numbers by name.
        """
        due = name != TRAIN or step % self._interval == 0 or step == self._last_step
        if self._folder is None or not due:
            return
        with disk_errors.writing("summaries", self._folder):
            if name not in self._writers:
                self._folder.mkdir(exist_ok=True)
                folder = plain_paths.plain(self._folder / name)
                self._writers[name] = tf.summary.create_file_writer(folder)
            with self._writers[name].as_default():
                for metric, value in metrics.items():
                    tf.summary.scalar(metric, value, step=step)

    def flush(self) -> None:
        """Return when the files hold all summaries. Call it before each checkpoint."""
        if self._folder is None:
            return
        with disk_errors.writing("summaries", self._folder):
            for writer in self._writers.values():
                writer.flush()
