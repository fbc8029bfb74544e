"""TensorBoard summaries."""

import orbit
import tensorflow as tf


class Summaries(orbit.utils.SummaryManager):
    """Writes what was measured under `train/` and `held_out/`, one curve a figure.

    Args:
      folder: where the event files go, or None for nowhere.
      global_step: counts updates.
      interval: steps between summaries of training; evaluations are always written.
      last_step: the run's last, always written.
    """

    def __init__(self, folder, global_step: tf.Variable, interval: int, last_step: int):
        folder = folder and str(folder)
        super().__init__(folder, tf.summary.scalar, global_step=global_step)
        self._step = global_step
        self._interval = interval
        self._last_step = last_step

    def write_summaries(self, summary_dict):
        """Writes nested figures; orbit's own steps per second are in `timing.jsonl`."""
        step = int(self._step.numpy())
        figures = {name: x for name, x in summary_dict.items() if isinstance(x, dict)}
        if "train" in figures and step % self._interval and step != self._last_step:
            del figures["train"]
        if figures:
            super().write_summaries(figures)
