"""TensorBoard summaries."""

import pathlib
import struct
from collections.abc import Iterator

import orbit
import tensorflow as tf
from tensorflow.core.util import event_pb2

from official_nlp.files import atomic, disk_errors

# A record of an event file: its length, a checksum of that, the event, a checksum of it.
_HEADER, _FOOTER_BYTES = struct.Struct("<QI"), 4


class Summaries(orbit.utils.SummaryManager):
    """Writes what was measured under `train/` and `held_out/`, one curve a figure.

    Args:
      folder: where the event files go, or None for nowhere.
      global_step: counts updates.
      interval: steps between summaries of training; evaluations are always written.
      last_step: the run's last, always written.
    """

    def __init__(self, folder, global_step: tf.Variable, interval: int, last_step: int):
        self._folder = folder = folder and str(folder)
        super().__init__(folder, tf.summary.scalar, global_step=global_step)
        self._step = global_step
        self._interval = interval
        self._last_step = last_step

    def write_summaries(self, summary_dict):
        """Writes nested metrics; orbit's own steps per second are in `timing.jsonl`."""
        step = int(self._step.numpy())
        metrics = {name: x for name, x in summary_dict.items() if isinstance(x, dict)}
        if "train" in metrics and step % self._interval and step != self._last_step:
            del metrics["train"]
        if metrics:
            with disk_errors.writing("summaries", self._folder):
                super().write_summaries(metrics)

    def flush(self):
        """Returns when the files hold what was written."""
        with disk_errors.writing("summaries", self._folder):
            super().flush()


def cut(folder: pathlib.Path, step: int) -> None:
    """Removes what event files hold of later steps, and an event that was not finished.

    A process that was killed wrote them; the next writes the same steps again, and TensorBoard
    would draw both.
    """
    for file in folder.glob("events.out.tfevents.*"):
        content = file.read_bytes()
        kept = b"".join(
            record
            for event, record in _events(content)
            if event_pb2.Event.FromString(event).step <= step
        )
        if kept != content:
            with disk_errors.writing("what is left of the summaries", file):
                atomic.write(file, kept)


def _events(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields events and their records, up to one that is not whole."""
    start = 0
    while start + _HEADER.size <= len(content):
        first = start + _HEADER.size
        last = first + _HEADER.unpack_from(content, start)[0]
        if last + _FOOTER_BYTES > len(content):
            return
        yield content[first:last], content[start : last + _FOOTER_BYTES]
        start = last + _FOOTER_BYTES
