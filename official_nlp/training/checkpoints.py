"""Checkpoints that are whole or absent.

A checkpoint's data and index are written beside their final names, renamed, and brought to the
disk. Then the file `checkpoint`, which names all that count, is replaced by a rename: before it the
checkpoint does not exist, after it it is whole. What a killed process leaves half-written is named
nowhere and removed later.

A disk can spoil a file afterwards. TensorFlow keeps a checksum of each tensor and of each block of
the index: before a checkpoint is restored every tensor of it is read, and one that cannot be read
is put aside.
"""

import json
import os
import pathlib
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Mapping

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors
from official_nlp.training.best import FILE as BEST_FILE
from official_nlp.training.best import Best

_NAME = "ckpt"
_STATE = "checkpoint"
_ASIDE = "damaged-"
_WINDOW = ".window"


class Checkpoints(tf.train.CheckpointManager):
    """The checkpoints of a run, as orbit's Controller uses them.

    Kept are the last `keep`, every one at a multiple of `keep_every`, and the best. Those that are
    saved when a run is asked to stop, out of turn, are the first to go and are not compared, so
    that in the end the same are kept as without.

    Args:
      items: roots of the checkpoint by name.
      folder: where they are.
      step: the global step.
      interval: steps between checkpoints, or None for none but those that are asked for.
      keep: how many of the last to keep.
      keep_every: steps between those that are kept for ever, or None.
      keep_best: name of a held-out figure, see `best.parse`, or None.
      last_step: the run's last.
      notify: called with a line of text about what the user should know.
      before: called before a checkpoint is written.
      half_window: called when one is written, returns the sums of a metric window that has not
        ended, or none.
      writes: whether this process does; the others of a run on several hosts restore the same.

    Attributes:
      half_window: of the checkpoint that was restored.
      seconds: spent on saving, so far.
      last_seconds: spent on the last that was saved, or None.
    """

    def __init__(
        self,
        items: Mapping,
        folder: str | os.PathLike,
        step: tf.Variable,
        interval: int | None,
        keep: int,
        keep_every: int | None = None,
        keep_best: str | None = None,
        last_step: int | None = None,
        notify: Callable[[str], None] = print,
        before: Callable[[], None] = lambda: None,
        half_window: Callable[[], list[float]] = list,
        writes: bool = True,
    ):
        self._folder = pathlib.Path(folder)
        self._interval = interval
        self._step = step
        self._keep = keep
        self._keep_every = keep_every
        self._best = Best(keep_best, folder)
        self._last_step = last_step
        self._notify = notify
        self._before = before
        self._take_half_window = half_window
        self.half_window: list[float] = []
        self._writes = writes
        self.seconds = 0.0
        self.last_seconds: float | None = None
        self._steps, self._list_lost = _named(self._folder)
        if self._list_lost:
            notify(self._list_lost)
        if writes:
            _remove_unfinished(self._folder)
        self._root = tf.train.Checkpoint(**items)

    # Of the parent, which is one by its type alone: orbit asks for that.
    directory = property(lambda self: str(self._folder))
    checkpoint = property(lambda self: self._root)
    checkpoints = property(lambda self: [self._path(step) for step in self._steps])
    latest_checkpoint = property(lambda self: self._path(self._steps[-1]) if self._steps else None)
    # `save` decides. But without a number, orbit's Controller never saves.
    checkpoint_interval = property(lambda self: self._interval or 1)

    def sync(self) -> None:
        """Does nothing: what is saved is saved."""

    def save(self, checkpoint_number=None, check_interval=True, options=None):
        """Saves at multiples of the interval, or when not `check_interval`; once a step.

        Returns:
          The path, or None where nothing was saved.

        Raises:
          StorageError: the disk is full; the checkpoints before are as they were.
        """
        del checkpoint_number, options
        step = int(self._step.numpy())
        if step in self._steps or (check_interval and not self._regular(step)):
            return None
        if not self._writes:
            self._steps = self._kept([*self._steps, step])
            return self._path(step)
        start = time.perf_counter()
        try:
            with disk_errors.writing(f"the checkpoint of step {step}", self._folder):
                self._before()
                # Not a count of savings, which would differ in a run that was asked to stop.
                self._root.save_counter.assign(step)
                self._root.write(self._path(step))
                _write_window(self._path(step), self._take_half_window())
                _to_disk(self._path(step))
                kept = self._kept([*self._steps, step])
                _write_state(self._folder, kept)
        except BaseException:
            # Its room may be what is lacking. A second Ctrl-C can come when it counts already.
            if step not in _named(self._folder)[0]:
                _remove(self._folder, step)
            raise
        self._delete_all_but(kept)
        self.last_seconds = time.perf_counter() - start
        self.seconds += self.last_seconds
        return self._path(step)

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint that is whole, every value of it.

        Those that are newer and damaged are put aside, and the user is told.

        Returns:
          Its path, or None where there are none.

        Raises:
          InputError: none can be read, or it is of another model.
        """
        damages = {}
        for step in reversed(self._steps):
            reason = damage(self._path(step))
            if reason is None:
                break
            damages[step] = reason
        else:
            if damages:
                found = ", ".join(f"{_NAME}-{step} {reason}" for step, reason in damages.items())
                raise InputError(
                    f"none of the checkpoints of {self._folder} can be read: {found}; put copies "
                    "back, or delete the run's folder to start again"
                )
            return None
        restore(self._root, self._path(step)).assert_consumed()
        self.half_window = _read_window(self._path(step))
        if damages or self._list_lost:
            with disk_errors.writing("the list of checkpoints", self._folder):
                self._step_back(step, damages)
        return self._path(step)

    def _step_back(self, step: int, damages: Mapping[int, str]) -> None:
        """Puts damaged checkpoints aside, and tells; then they are no longer named."""
        self._steps = [each for each in self._steps if each not in damages]
        if not self._writes:
            return
        for bad, reason in damages.items():
            kept = _put_aside(self._folder, bad)
            where = f"; its files are kept as {kept}" if kept else ""
            self._notify(
                f"checkpoint {self._path(bad)} {reason}: continuing from {_NAME}-{step}{where}"
            )
        _write_state(self._folder, self._steps)

    def tidy(self, held_out: Iterable[dict] = ()) -> None:
        """Finds the best and removes what is not to be kept; to be called once restored, too.

        Args:
          held_out: lines of held-out metrics with their `step`, that were not given before.
        """
        for line in held_out:
            step = line["step"]
            if step in self._steps and self._in_turn(step):
                self._best.measured(step, line)
        if not self._writes:
            return
        with disk_errors.writing("the list of checkpoints", self._folder):
            self._best.write()
            kept = self._kept(self._steps)
            if kept != self._steps:
                _write_state(self._folder, kept)
        self._delete_all_but(kept)

    def _regular(self, step: int) -> bool:
        return self._interval is not None and step % self._interval == 0

    def _in_turn(self, step: int) -> bool:
        return self._regular(step) or step == self._last_step

    def _kept(self, steps: list[int]) -> list[int]:
        # One out of turn goes first, once it is not the last: an undisturbed run has none.
        by_rank = sorted(steps, key=lambda step: (self._in_turn(step), step))
        chosen = {*by_rank[-self._keep :], steps[-1] if steps else None, self._best.step}
        every = self._keep_every
        return [step for step in steps if step in chosen or (every and step % every == 0)]

    def _delete_all_but(self, kept: list[int]) -> None:
        for step in sorted(_on_disk(self._folder)):
            if step not in kept:
                _remove(self._folder, step)
        self._steps = kept

    def _path(self, step: int) -> str:
        return str(self._folder / f"{_NAME}-{step}")


def newest(folder: str | os.PathLike) -> str:
    """Returns the path of a folder's newest checkpoint."""
    steps, _ = _named(pathlib.Path(folder))
    for step in reversed(steps):
        path = os.path.join(folder, f"{_NAME}-{step}")
        if os.path.exists(path + ".index"):
            return path
    raise InputError(f"no checkpoint in {folder}; train a model first")


def any_named(folder: str | os.PathLike) -> bool:
    """Whether a folder holds checkpoints that count, whole or damaged."""
    return bool(_named(pathlib.Path(folder))[0])


def find(folder: str | os.PathLike, which: int | str = "newest") -> str:
    """Returns the path of a folder's checkpoint: `newest`, `best`, or that of a step.

    Raises:
      InputError: there is none, or `which` is something else.
    """
    if which == "newest":
        return newest(folder)
    if which == "best":
        return best(folder)
    if not isinstance(which, int):
        raise InputError(
            f"a run's checkpoint must be newest, best or the number of a step, was {which!r}"
        )
    return at_step(folder, which)


def at_step(folder: str | os.PathLike, step: int) -> str:
    """Returns the path of a folder's checkpoint of a step.

    Raises:
      InputError: there is none.
    """
    path = os.path.join(folder, f"{_NAME}-{step}")
    if not os.path.exists(path + ".index"):
        steps, _ = _named(pathlib.Path(folder))
        found = ", ".join(map(str, steps)) or "none"
        raise InputError(f"no checkpoint of step {step} in {folder}; there are those of: {found}")
    return path


def best(folder: str | os.PathLike) -> str:
    """Returns the path of the checkpoint that a run with `keep_best` named the best.

    Raises:
      InputError: none was named.
    """
    file = pathlib.Path(folder, BEST_FILE)
    if not file.is_file():
        raise InputError(
            f"{folder} has no best checkpoint: the run was not told KEEP_BEST, or was not measured "
            "at a checkpoint; take the newest, or name a step"
        )
    return at_step(folder, json.loads(file.read_text(encoding="utf-8"))["step"])


def restore_items(items: Mapping, folder: str | os.PathLike, which: int | str = "newest") -> str:
    """Restores parts of a checkpoint of a folder; returns its path.

    Args:
      items: roots by name, some of those saved; all their variables must be in the checkpoint.
      folder: the checkpoints.
      which: `newest`, `best` or the number of a step.

    Raises:
      InputError: there is no such checkpoint, or it is of another model.
    """
    path = find(folder, which)
    status = restore(tf.train.Checkpoint(**items), path)
    status.assert_existing_objects_matched().expect_partial()
    return path


def damage(path: str) -> str | None:
    """Reads every tensor of a checkpoint; returns what is wrong with it, or None."""
    if not os.path.exists(path + ".index"):
        return "is missing"
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
        _read_window(path)
    except Exception as error:
        # TensorFlow's reader turns its errors into Python's of many kinds.
        return f"is damaged ({_first_line(error)})"
    return None


def restore(checkpoint: tf.train.Checkpoint, path: str):
    """Restores a checkpoint; returns a status whose assertions raise `InputError`."""
    try:
        return _Status(checkpoint.restore(path), path)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise InputError(
            f"checkpoint {path} cannot be read ({_first_line(error)}); continuing the run falls "
            "back to the one before"
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
                f"checkpoint {self._path} is of another model: {_first_line(error)}"
            ) from error
        return self


# === The list of checkpoints ===


def _named(folder: pathlib.Path) -> tuple[list[int], str | None]:
    """Returns the steps of the checkpoints that count; and if their list is lost, a line on that.

    Raises:
      InputError: the list is damaged, and there is nothing else to go by.
    """
    state = folder / _STATE
    found = sorted(_on_disk(folder))
    if not state.exists():
        # A process killed while it saved its first has left no list, either.
        found = [step for step in found if damage(str(folder / f"{_NAME}-{step}")) is None]
        return found, _lost(state, "is missing", found) if found else None
    try:
        content = tf.train.get_checkpoint_state(str(folder))
    except ValueError:
        content = None
    if content is not None:
        paths = content.all_model_checkpoint_paths
        return sorted(int(path.rpartition("-")[2]) for path in paths), None
    if not found:
        raise InputError(
            f"{state} cannot be read, and there is no checkpoint beside it; delete the run's "
            "folder to start again"
        )
    return found, _lost(state, "cannot be read", found)


def _lost(state: pathlib.Path, what: str, found: list[int]) -> str:
    names = ", ".join(f"{_NAME}-{step}" for step in found)
    return f"{state}, the list of checkpoints, {what}; found were {names}"


def _write_state(folder: pathlib.Path, steps: list[int]) -> None:
    lines = [f'model_checkpoint_path: "{_NAME}-{steps[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{_NAME}-{step}"' for step in steps]
    atomic.write(folder / _STATE, "\n".join(lines) + "\n")


# === Half windows ===


def _write_window(path: str, sums: list[float]) -> None:
    """Writes sums beside a checkpoint, with their checksum; nothing where there are none."""
    if sums:
        text = json.dumps(sums)
        content = f"{zlib.crc32(text.encode()):08x} {text}\n"
        pathlib.Path(path + _WINDOW).write_text(content, encoding="ascii")


def _read_window(path: str) -> list[float]:
    file = pathlib.Path(path + _WINDOW)
    if not file.exists():
        return []
    checksum, _, text = file.read_text(encoding="ascii").rstrip("\n").partition(" ")
    if f"{zlib.crc32(text.encode()):08x}" != checksum:
        raise ValueError(f"the checksum of {file.name} does not fit its content")
    return json.loads(text)


# === Files ===


def _on_disk(folder: pathlib.Path) -> set[int]:
    """Returns the steps of which there is some file."""
    names = (re.fullmatch(rf"{_NAME}-(\d+)\..*", path.name) for path in folder.glob(f"{_NAME}-*"))
    return {int(name[1]) for name in names if name}


def _files(folder: pathlib.Path, step: int) -> list[pathlib.Path]:
    return sorted(folder.glob(f"{_NAME}-{step}.*"))


def _remove(folder: pathlib.Path, step: int) -> None:
    shutil.rmtree(folder / f"{_NAME}-{step}_temp", ignore_errors=True)
    # The index first: data without one is no checkpoint.
    for file in reversed(_files(folder, step)):
        file.unlink()


def _put_aside(folder: pathlib.Path, step: int) -> str | None:
    """Renames the files of a damaged checkpoint; returns their common name, None without any."""
    files = _files(folder, step)
    prefix, number = _ASIDE, 1
    while any((folder / f"{prefix}{file.name}").exists() for file in files):
        number += 1
        prefix = f"{_ASIDE}{number}-"
    for file in files:
        file.rename(folder / f"{prefix}{file.name}")
    return f"{prefix}{_NAME}-{step}.*" if files else None


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what processes left that were killed while they saved."""
    for shards in folder.glob(f"{_NAME}-*_temp"):
        shutil.rmtree(shards)
    for state in folder.glob(f".{_STATE}.new"):
        state.unlink()


def _to_disk(prefix: str) -> None:
    path = pathlib.Path(prefix)
    _sync(*path.parent.glob(f"{path.name}.*"), path.parent)


def _sync(*paths: str | os.PathLike) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
