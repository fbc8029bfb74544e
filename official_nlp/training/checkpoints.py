"""Checkpoints that are whole or absent.

TensorFlow writes a checkpoint's data beside its final name and renames it, writes its index, and
then replaces the file `checkpoint`, which names the newest, by an atomic rename. A process killed
before that rename leaves files that nothing refers to: they are removed or overwritten later, and
the run goes on from the checkpoint before. What TensorFlow leaves out is done here: data and index
reach the disk before `checkpoint` names them, so a power failure cannot leave a name without data.
"""

import glob
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Mapping

import tensorflow as tf

from official_nlp.errors import InputError

_NAME = "ckpt"


class Checkpoints(tf.train.CheckpointManager):
    """The checkpoints of a run, as orbit's Controller uses them.

    Args:
      items: roots of the checkpoint by name.
      folder: where they are.
      step: the global step.
      interval: steps between checkpoints, or None for none but those that are asked for.
      keep: how many to keep.
      notify: called with a line of text about what the user should know.
      before: called before a checkpoint is written.

    Attributes:
      seconds: spent on saving, so far.
    """

    def __init__(
        self,
        items: Mapping,
        folder: "str | os.PathLike",
        step: tf.Variable,
        interval: "int | None",
        keep: int,
        notify: Callable[[str], None] = print,
        before: Callable[[], None] = lambda: None,
    ):
        self._interval = interval
        self._step = step
        self._notify = notify
        self._before = before
        self.seconds = 0.0
        _require_readable_state(folder)
        _remove_unfinished(pathlib.Path(folder))
        super().__init__(
            tf.train.Checkpoint(**items),
            str(folder),
            max_to_keep=keep,
            checkpoint_name=_NAME,
            step_counter=step,
            # Not used: `save` decides. But without one, the Controller never saves.
            checkpoint_interval=interval or 1,
        )

    def save(self, checkpoint_number=None, check_interval=True, options=None):
        """Saves at multiples of the interval, or when not `check_interval`; once a step."""
        step = int(self._step.numpy())
        if check_interval and (self._interval is None or step % self._interval):
            return None
        start = time.perf_counter()
        self._before()
        # A fresh object each time: the manager appends its own callback to the list.
        options = tf.train.CheckpointOptions(experimental_write_callbacks=[_to_disk])
        path = super().save(checkpoint_number, check_interval=False, options=options)
        if path is not None:
            _sync(self.directory, os.path.join(self.directory, "checkpoint"))
        self.seconds += time.perf_counter() - start
        return path

    def restore_or_initialize(self):
        """Restores the newest checkpoint, every value of it; returns its path, or None."""
        paths = list(reversed(self.checkpoints))
        path = next((path for path in paths if os.path.exists(path + ".index")), None)
        if path is None:
            if paths:
                raise InputError(
                    f"the checkpoints of {self.directory} are gone, {paths[0]} for one; put them "
                    "back, or delete the run's folder to start again"
                )
            return None
        if path != paths[0]:
            self._notify(f"{paths[0]} is missing, continuing from {path}")
        restore(self.checkpoint, path).assert_consumed()
        self._last_checkpoint_step = int(self._step.numpy())
        return path


def newest(folder: "str | os.PathLike") -> str:
    """Returns the path of a folder's newest checkpoint."""
    _require_readable_state(folder)
    state = tf.train.get_checkpoint_state(str(folder))
    for path in reversed(state.all_model_checkpoint_paths if state else []):
        if os.path.exists(path + ".index"):
            return path
    raise InputError(f"no checkpoint in {folder}; train a model first")


def restore_items(items: Mapping, folder: "str | os.PathLike") -> str:
    """Restores parts of the newest checkpoint of a folder; returns its path.

    Args:
      items: roots by name, some of those saved; all their variables must be in the checkpoint.
      folder: the checkpoints.
    """
    path = newest(folder)
    status = restore(tf.train.Checkpoint(**items), path)
    status.assert_existing_objects_matched().expect_partial()
    return path


def restore(checkpoint: tf.train.Checkpoint, path: str):
    """Restores a checkpoint; returns a status whose assertions raise `InputError`."""
    try:
        return _Status(checkpoint.restore(path), path)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        # TensorFlow's reader turns its errors into Python's of many kinds.
        reason = str(error).splitlines()[0]
        raise InputError(
            f"checkpoint {path} cannot be read ({reason}); delete its files to continue from the "
            "one before"
        ) from error


class _Status:
    """A load status of TensorFlow whose assertions are errors of the user."""

    def __init__(self, status, path: str):
        self._status = status
        self._path = path

    def assert_consumed(self):
        return self._check(self._status.assert_consumed)

    def assert_existing_objects_matched(self):
        return self._check(self._status.assert_existing_objects_matched)

    def expect_partial(self):
        self._status.expect_partial()
        return self

    def _check(self, assertion):
        try:
            assertion()
        except AssertionError as error:
            self._status.expect_partial()
            raise InputError(
                f"checkpoint {self._path} is of another model: {str(error).splitlines()[0]}"
            ) from error
        return self


def _require_readable_state(folder) -> None:
    """Refuses a folder whose newest checkpoint is not known: starting again would overwrite it."""
    state = pathlib.Path(folder, "checkpoint")
    if not state.exists():
        return
    try:
        readable = tf.train.get_checkpoint_state(str(folder)) is not None
    except ValueError:
        readable = False
    if not readable:
        raise InputError(
            f'{state} cannot be read; write the line model_checkpoint_path: "{_NAME}-STEP" into it '
            "with the step of the newest checkpoint, or delete the run's folder"
        )


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what processes left that were killed while they saved."""
    for shards in folder.glob(f"{_NAME}-*_temp"):
        shutil.rmtree(shards)
    for state in folder.glob("checkpoint.tmp*"):
        state.unlink()


def _to_disk(prefix: str) -> None:
    files = glob.glob(glob.escape(prefix) + ".*")
    _sync(*files, os.path.dirname(prefix))


def _sync(*paths: str) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
