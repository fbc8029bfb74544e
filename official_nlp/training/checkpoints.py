"""Checkpoints that are either complete or absent.

The data and index files of a checkpoint are written under temporary names, renamed, and flushed to
the disk. Then the file `checkpoint`, which lists the valid checkpoints, is replaced by a rename.
Before the rename the new checkpoint does not exist; after it, it is complete. Files that a killed
process left half-written are listed nowhere and removed later.

A disk can corrupt a file afterwards. TensorFlow stores a checksum of each tensor and of each block
of the index. Before a checkpoint is restored, every tensor of it is read; a checkpoint that cannot
be read is set aside.
"""

import os
import pathlib
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors, guarded, plain_paths
from official_nlp.training.best import FILE as BEST_FILE
from official_nlp.training.best import Best

_NAME = "ckpt"
_STATE = "checkpoint"
# Must not begin with `_NAME`: files that do are deleted if they are not listed.
_ASIDE = "damaged-"
# A line of the list. Other programs write absolute paths, and only the last part of a path counts.
_LISTED_KEY = "all_model_checkpoint_paths:"
_LISTED = re.compile(rf'{_LISTED_KEY} "(?:.*/)?{_NAME}-(\d{{1,18}})"')


class Checkpoints:
    """The checkpoints of a run: saving, restoring, and which of them are retained.

    Retained are the latest `keep`, every one at a multiple of `keep_every`, and the best. A
    checkpoint that is saved out of turn, when a run is asked to stop, is the first to be deleted
    and is not a candidate for the best. In the end the same checkpoints remain as without the
    interruption.

    Args:
      items: roots of the checkpoint by name.
      folder: folder of the checkpoints.
      step: the global step.
      interval: steps between checkpoints; None for checkpoints on request only.
      keep: number of the latest checkpoints to retain.
      keep_every: steps between checkpoints that are retained forever; None for none.
      keep_best: name of an evaluation metric, see `best.parse`; None for no best checkpoint.
      last_step: last step of the run.
      notify: called with lines of text for the user.
      writes: whether this process writes; the other processes of a run on several hosts restore
        the same files.

    Attributes:
      seconds: time spent on saving, so far.
      last_seconds: time spent on the latest checkpoint; None before the first.
    """

    def __init__(
        self,
        items: Mapping[str, Any],
        folder: str | os.PathLike,
        step: tf.Variable,
        interval: int | None,
        keep: int,
        keep_every: int | None = None,
        keep_best: str | None = None,
        last_step: int | None = None,
        notify: Callable[[str], None] = print,
        writes: bool = True,
    ):
        self._folder = pathlib.Path(folder)
        self._interval = interval
        self._step = step
        self._keep = keep
        self._keep_every = keep_every
        self._best = Best(keep_best)
        self._last_step = last_step
        self._notify = notify
        self._writes = writes
        self.seconds = 0.0
        self.last_seconds: float | None = None
        self._steps, self._list_lost = _listed(self._folder)
        if self._list_lost:
            notify(self._list_lost)
        if writes:
            _remove_unfinished(self._folder)
        self._root = tf.train.Checkpoint(**items)

    @property
    def latest(self) -> str | None:
        """Path of the latest checkpoint; None where there is none."""
        return self._path(self._steps[-1]) if self._steps else None

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is due at a step, by the interval."""
        return self._interval is not None and step % self._interval == 0

    def save(self) -> str | None:
        """Save the state, once a step.

        Returns:
          The path, or None where the step was saved before.

        Raises:
          StorageError: the disk is full; earlier checkpoints are unchanged.
        """
        step = int(self._step.numpy())
        if step in self._steps:
            return None
        if not self._writes:
            # The variables are equal in all processes, so the files of the first serve all.
            self._steps = self._retained([*self._steps, step])
            return self._path(step)
        start = time.perf_counter()
        try:
            with disk_errors.writing(f"the checkpoint of step {step}", self._folder):
                # Not a count of saves, which would differ in a run that was asked to stop.
                self._root.save_counter.assign(step)
                # `save` would replace TensorFlow's list before the files have reached the disk.
                self._root.write(plain_paths.plain(self._path(step)))
                _to_disk(self._path(step))
                retained = self._retained([*self._steps, step])
                _write_state(self._folder, retained)
        except BaseException:
            # On a full disk its files may take the room that is lacking. A second Ctrl-C, however,
            # can arrive when the checkpoint is already listed.
            if step not in _listed(self._folder)[0]:
                _remove(self._folder, step)
            raise
        self._delete_all_but(retained)
        self.last_seconds = time.perf_counter() - start
        self.seconds += self.last_seconds
        return self._path(step)

    def restore_latest(self) -> str | None:
        """Restore every value of the newest checkpoint that can be read.

        Newer checkpoints that are damaged are set aside, and the user is notified.

        Returns:
          Its path, or None where there are no checkpoints.

        Raises:
          InputError: no checkpoint can be read, or it belongs to another model.
        """
        damages: dict[int, str] = {}
        for step in reversed(self._steps):
            reason = damage(self._path(step))
            if reason is None:
                break
            damages[step] = reason
        else:
            if damages:
                found = ", ".join(f"{_NAME}-{step} {reason}" for step, reason in damages.items())
                raise InputError(
                    f"none of the checkpoints of {self._folder} can be read: {found}; restore "
                    "them from copies, or delete the run folder to start again"
                )
            return None
        restore(self._root, self._path(step)).assert_consumed()
        if damages or self._list_lost:
            with disk_errors.writing("the list of checkpoints", self._folder):
                self._step_back(damages)
        return self._path(step)

    def _step_back(self, damages: Mapping[int, str]) -> None:
        """Set damaged checkpoints aside, notify the user, and take them off the list."""
        self._steps = [each for each in self._steps if each not in damages]
        if not self._writes:
            return
        for bad, reason in damages.items():
            aside = _set_aside(self._folder, bad)
            where = f"; its files are retained as {aside}" if aside else ""
            newest = f"{_NAME}-{self._steps[-1]}"
            self._notify(f"checkpoint {self._path(bad)} {reason}: continuing from {newest}{where}")
        _write_state(self._folder, self._steps)

    def tidy(self, evaluations: Iterable[dict] = ()) -> None:
        """Determine the best checkpoint and delete those that are not retained.

        Call it once after restoring, and after each evaluation.

        Args:
          evaluations: lines of evaluation metrics with their `step` that are new since the last
            call.
        """
        for line in evaluations:
            step = line["step"]
            if step in self._steps and self._in_turn(step):
                self._best.update(step, line)
        if not self._writes:
            return
        with disk_errors.writing("the list of checkpoints", self._folder):
            self._best.write(self._folder)
            retained = self._retained(self._steps)
            # The list before the deletions: a listed checkpoint without files counts as damaged.
            if retained != self._steps:
                _write_state(self._folder, retained)
        self._delete_all_but(retained)

    def _in_turn(self, step: int) -> bool:
        return self.is_due(step) or step == self._last_step

    def _retained(self, steps: list[int]) -> list[int]:
        # One out of turn goes first, unless it is the latest: an undisturbed run has none.
        by_rank = sorted(steps, key=lambda step: (self._in_turn(step), step))
        chosen = {*by_rank[-self._keep :], steps[-1] if steps else None, self._best.step}
        every = self._keep_every
        return [step for step in steps if step in chosen or (every and step % every == 0)]

    def _delete_all_but(self, retained: list[int]) -> None:
        for step in sorted(_on_disk(self._folder)):
            if step not in retained:
                _remove(self._folder, step)
        self._steps = retained

    def _path(self, step: int) -> str:
        return str(self._folder / f"{_NAME}-{step}")


def newest(folder: str | os.PathLike) -> str:
    """Return the path of the newest checkpoint of a folder.

    Raises:
      InputError: there is none.
    """
    return path_of(folder, retained(folder)[-1])


def any_listed(folder: str | os.PathLike) -> bool:
    """Return whether a folder lists checkpoints, complete or damaged."""
    return bool(_listed(pathlib.Path(folder))[0])


def path_of(folder: str | os.PathLike, step: int) -> str:
    """Return the path that the checkpoint of a step has, without the endings of its files."""
    return os.path.join(folder, f"{_NAME}-{step}")


def retained(folder: str | os.PathLike) -> list[int]:
    """Return the steps of the checkpoints of a folder in order.

    Raises:
      InputError: there is none.
    """
    steps, _ = _listed(pathlib.Path(folder))
    found = [step for step in steps if os.path.exists(path_of(folder, step) + ".index")]
    if not found:
        raise InputError(f"no checkpoint in {folder}; train a model first")
    return found


def find(folder: str | os.PathLike, which: int | str = "newest") -> str:
    """Return the path of a checkpoint of a folder: `newest`, `best`, or that of a step.

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
    """Return the path of the checkpoint of a step.

    Raises:
      InputError: there is none.
    """
    path = path_of(folder, step)
    if not os.path.exists(path + ".index"):
        steps, _ = _listed(pathlib.Path(folder))
        found = ", ".join(map(str, steps)) or "none"
        raise InputError(f"no checkpoint of step {step} in {folder}; available steps: {found}")
    return path


def best(folder: str | os.PathLike) -> str:
    """Return the path of the best checkpoint of a run with `keep_best`.

    Raises:
      InputError: no best checkpoint is recorded.
    """
    file = pathlib.Path(folder, BEST_FILE)
    if not file.is_file():
        raise InputError(
            f"{folder} has no best checkpoint: the run had no KEEP_BEST, or was not evaluated at a "
            "checkpoint; use the newest, or name a step"
        )
    step = guarded.read_object(file, "name the step of a checkpoint instead").get("step")
    if type(step) is not int:
        raise InputError(
            f"{file} must name the step of the best checkpoint, but its step is {step!r}; name the "
            "step of a checkpoint instead"
        )
    return at_step(folder, step)


def restore_items(items: Mapping, folder: str | os.PathLike, which: int | str = "newest") -> str:
    """Restore parts of a checkpoint of a folder; return its path.

    Args:
      items: some of the saved roots, by name; all their variables must be in the checkpoint.
      folder: folder of the checkpoints.
      which: `newest`, `best` or the number of a step.

    Raises:
      InputError: there is no such checkpoint, or it belongs to another model.
    """
    path = find(folder, which)
    status = restore(tf.train.Checkpoint(**items), path)
    status.assert_existing_objects_matched().expect_partial()
    return path


def damage(path: str) -> str | None:
    """Read every tensor of a checkpoint; return what is wrong with it, or None."""
    if not os.path.exists(path + ".index"):
        return "is missing"
    try:
        reader = tf.train.load_checkpoint(plain_paths.plain(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:
        # TensorFlow's reader raises Python exceptions of many kinds.
        return f"is damaged ({_first_line(error)})"
    return None


def restore(checkpoint: tf.train.Checkpoint, path: str) -> "_Status":
    """Restore a checkpoint; return a status whose assertions raise `InputError`."""
    try:
        return _Status(checkpoint.restore(plain_paths.plain(path)), path)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise InputError(
            f"checkpoint {path} cannot be read ({_first_line(error)}); continuing the run falls "
            "back to the previous one"
        ) from error


class _Status:
    """A load status of TensorFlow whose failed assertions are input errors."""

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
            # Otherwise TensorFlow warns about every unused value when the status is deleted.
            self._status.expect_partial()
            raise InputError(
                f"checkpoint {self._path} belongs to another model: {_first_line(error)}"
            ) from error
        return self


# === The list of checkpoints ===


def _listed(folder: pathlib.Path) -> tuple[list[int], str | None]:
    """Return the steps of the listed checkpoints, and a line of text if the list is lost.

    Raises:
      InputError: the list is damaged, and there is no checkpoint beside it.
    """
    state = folder / _STATE
    found = sorted(_on_disk(folder))
    if not os.path.lexists(state):
        # A process that was killed while saving its first checkpoint left no list either.
        found = [step for step in found if damage(str(folder / f"{_NAME}-{step}")) is None]
        return found, _lost(state, "is missing", found) if found else None
    steps = _steps_of_list(state)
    if steps:
        return steps, None
    if not found:
        raise InputError(
            f"{state} cannot be read, and there is no checkpoint beside it; delete the run's "
            "folder to start again"
        )
    return found, _lost(state, "cannot be read", found)


def _steps_of_list(state: pathlib.Path) -> list[int]:
    """Return the steps that a list of checkpoints names in order, [] where it is damaged."""
    try:
        lines = guarded.read_text(state).splitlines()
    except InputError:
        return []
    matches = [_LISTED.fullmatch(line) for line in lines if line.startswith(_LISTED_KEY)]
    return sorted(int(match[1]) for match in matches if match) if all(matches) else []


def _lost(state: pathlib.Path, what: str, found: list[int]) -> str:
    names = ", ".join(f"{_NAME}-{step}" for step in found)
    return f"{state}, the list of checkpoints, {what}; found on disk: {names}"


def _write_state(folder: pathlib.Path, steps: list[int]) -> None:
    # TensorFlow's own format, so that `tf.train.latest_checkpoint` works in the folder, too. Names
    # are relative, because the folder may be moved.
    lines = [f'model_checkpoint_path: "{_NAME}-{steps[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{_NAME}-{step}"' for step in steps]
    atomic.write(folder / _STATE, "\n".join(lines) + "\n")


# === Files ===


def _on_disk(folder: pathlib.Path) -> set[int]:
    """Return the steps that have any file."""
    names = (re.fullmatch(rf"{_NAME}-(\d+)\..*", path.name) for path in folder.glob(f"{_NAME}-*"))
    return {int(name[1]) for name in names if name}


def _files(folder: pathlib.Path, step: int) -> list[pathlib.Path]:
    return sorted(folder.glob(f"{_NAME}-{step}.*"))


def _remove(folder: pathlib.Path, step: int) -> None:
    shutil.rmtree(folder / f"{_NAME}-{step}_temp", ignore_errors=True)
    # The index first: without it the data is not taken for a checkpoint.
    for file in reversed(_files(folder, step)):
        file.unlink()


def _set_aside(folder: pathlib.Path, step: int) -> str | None:
    """Rename the files of a damaged checkpoint; return their common name, None without files."""
    files = _files(folder, step)
    prefix, number = _ASIDE, 1
    while any((folder / f"{prefix}{file.name}").exists() for file in files):
        number += 1
        prefix = f"{_ASIDE}{number}-"
    for file in files:
        file.rename(folder / f"{prefix}{file.name}")
    return f"{prefix}{_NAME}-{step}.*" if files else None


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Remove files of processes that were killed while saving."""
    for shards in folder.glob(f"{_NAME}-*_temp"):
        shutil.rmtree(shards)
    for state in folder.glob(f".{_STATE}.new"):
        state.unlink()


def _to_disk(prefix: str) -> None:
    path = pathlib.Path(prefix)
    atomic.sync(*path.parent.glob(f"{path.name}.*"), path.parent)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
