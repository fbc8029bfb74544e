"""The run folder: its files, the identity of its run, and the lock of its writer."""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from official_nlp import ranges
from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors, guarded, safe_paths
from official_nlp.training import checkpoints

_PACKAGES = ("official_nlp", "tensorflow", "tf_keras", "tf-models-official", "numpy")
RECIPE = "config.gin"
_LOCK = ".lock"
# Files of the task until they are complete.
_UNFINISHED = ".files.new"
# What identifies a run in run.json: a resumed run must have it unchanged.
_IDENTITY = ("task", "phases", "training", "data", "phase_data")
# Types of the parts of run.json. Only the first two are in the files of every version.
_PARTS = {
    "phases": list,
    "training": dict,
    "task": dict,
    "phase_data": list,
    "rounding": dict,
    "origin": dict,
    "files": dict,
    "versions": dict,
    "flags": dict,
    "devices": dict,
    "extended_from": list,
    "stopped_early": str,
}
_KINDS = {list: "a list", dict: "an object", str: "text"}
# Environment variables that change how TensorFlow computes, and with it the last bits.
_FLAGS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "NVIDIA_TF32_OVERRIDE",
)


class RunFolder:
    """Paths in a run folder, and its `run.json`.

    Args:
      path: the folder.
      writes: whether this process writes; in a run on several hosts only the first does.
    """

    def __init__(self, path: str | os.PathLike, writes: bool = True):
        ranges.Path().require("the run folder", path)
        self.path = pathlib.Path(path)
        self.writes = writes

        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.timing = self.path / "timing.jsonl"
        self.summaries = self.path / "summaries"
        self.curves = self.path / "curves.png"
        self.description = self.path / "run.json"

    @property
    def has_checkpoint(self) -> bool:
        """Whether a run that trains here continues from a checkpoint, which may be damaged."""
        return checkpoints.any_listed(self.checkpoints)

    def describe(self) -> dict[str, Any]:
        """Return the content of `run.json`.

        Raises:
          InputError: the file is missing, or cannot be read.
        """
        if not self.description.exists():
            raise InputError(f"{self.path} is not a run folder: it has no {self.description.name}")
        described = guarded.read_object(self.description, "copy the run again")
        parts = ("phases", "training")
        if any(part not in described for part in parts):
            raise InputError(
                f"{self.description} must describe a run ({', '.join(parts)}), but does not: "
                "another program wrote it, or it is truncated"
            )
        for part, kind in _PARTS.items():
            if part in described and not isinstance(described[part], kind):
                raise InputError(
                    f"{self.description}: {part} must be {_KINDS[kind]}, was "
                    f"{str(described[part])[:80]!r}: the file is damaged; copy the run again"
                )
        return described

    def claim(
        self,
        identity: Mapping[str, Any],
        rounding: Mapping[str, Any] | None = None,
        extend: bool = False,
        origin: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Write `run.json`, or compare it where the run was started before.

        Args:
          identity: what a resumed run must have unchanged, as nested dicts, lists, strings and
            numbers: `task`, `phases`, `training`, `data`, `phase_data`.
          rounding: settings that may change, though they change the last bits.
          extend: whether the last phase may have more steps than before; `run.json` is updated.
          origin: where data and initial weights came from, for people. It is not compared, and
            not changed once there is a checkpoint. Until then nothing bars another identity, as a
            run that was refused or failed at its first steps has trained nothing.

        Returns:
          Lines about differences that are allowed but may change the last bits: those settings,
          versions, flags, devices.

        Raises:
          InputError: the folder holds checkpoints of a run of another identity; the message lists
            the fields that differ.
        """
        if not self.writes:
            self.require_same(identity, extend)
            return []
        self._make()
        self.checkpoints.mkdir(exist_ok=True)
        new = {**identity, "rounding": rounding or {}, "origin": origin or {}}
        new = _as_json({**new, **_surroundings()})
        self.require_same(identity, extend)
        if not self._was_trained:
            self._describe(new)
            return []
        old = self.describe()
        if _identity(old) != _identity(new):
            earlier = [*old.get("extended_from", []), old["phases"][-1]["steps"]]
            self._describe({**old, **_identity(new), "extended_from": earlier})
        parts = ("rounding", "versions", "flags", "devices")
        return [line for part in parts for line in _differences(old.get(part), new[part], part)]

    def prepare(
        self,
        write_files: Callable[[pathlib.Path], None],
        recipe: str = "",
        extended: bool = False,
    ) -> None:
        """Write the files of a run that has no checkpoint yet.

        Args:
          write_files: writes files of the task, such as a tokenizer.
          recipe: text of the resolved recipe, `config.gin`; nothing is written where it is empty.
          extended: whether the run has more steps than before. The recipe of such a run is written
            again, because it must replay the run as it is now.

        Raises:
          StorageError: the folder cannot be written.
        """
        if not self.writes or (self.has_checkpoint and not extended):
            return
        if self.has_checkpoint:
            with disk_errors.writing(RECIPE, self.path):
                atomic.write(self.path / RECIPE, recipe)
            return
        with disk_errors.writing("the run's files", self.path, "Make room, or give another folder"):
            hashes = self._write_files(write_files)
            if recipe:
                atomic.write(self.path / RECIPE, recipe)
        if self.describe().get("files") != hashes:
            self._describe({**self.describe(), "files": hashes})

    def _write_files(self, write_files: Callable[[pathlib.Path], None]) -> dict[str, str]:
        """Write the files of the task; return the SHA-256 of each by its relative path."""
        unfinished = self.path / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        write_files(unfinished)
        files = sorted(path for path in unfinished.rglob("*") if path.is_file())
        hashes = {file.relative_to(unfinished).as_posix(): _hash(file) for file in files}
        atomic.sync(*unfinished.rglob("*"))
        for entry in sorted(unfinished.iterdir()):
            # As a whole: a file that an earlier attempt left there would count, too.
            if (self.path / entry.name).is_dir():
                shutil.rmtree(self.path / entry.name)
            os.replace(entry, self.path / entry.name)
        unfinished.rmdir()
        atomic.sync(self.path)
        return hashes

    def require_unchanged(self) -> None:
        """Check that the files of the task are those that the run wrote; older runs record none.

        Raises:
          InputError: a file is missing, was changed, or is a link that leads out of the folder.
        """
        for name, expected in self.describe().get("files", {}).items():
            file = safe_paths.inside(self.path, name)
            if _hash(file) != expected:
                raise InputError(
                    f"{file} is not the file that the run was trained with: its hash differs from "
                    f"that in {self.description.name}; restore it from a copy"
                )

    def add_to_origin(self, more: Mapping[str, Any]) -> None:
        """Add to the part `origin` of `run.json`."""
        if self.writes and more:
            content = self.describe()
            self._describe({**content, "origin": {**content["origin"], **more}})

    def record_early_stop(self, reason: str | None) -> None:
        """Record in `run.json` why a run ended before its last step; None where it did not."""
        if not self.writes:
            return
        content = self.describe()
        if content.get("stopped_early") != reason:
            content.pop("stopped_early", None)
            self._describe({**content, "stopped_early": reason} if reason else content)

    def extended_from(self, identity: Mapping[str, Any]) -> int | None:
        """Return the former number of steps of the last phase, if only that number has grown.

        Args:
          identity: see `claim`.

        Returns:
          The number; None where there is no run, no growth, or another difference.
        """
        if not self._was_trained:
            return None
        old, new = _identity(self.describe()), _as_json(identity)
        try:
            steps = old["phases"][-1]["steps"]
            if new["phases"][-1]["steps"] <= steps:
                return None
            new["phases"][-1]["steps"] = steps
        except (KeyError, IndexError, TypeError):
            return None
        return steps if old == new else None

    def begun_with(self, total: int) -> int:
        """Return the number of steps of all phases with which the run of the folder began.

        Args:
          total: number of steps of a run that begins now.
        """
        steps = self.trained_steps()
        if not steps:
            return total
        first = [*self.describe().get("extended_from", []), steps[-1]][0]
        # Another type is that of a damaged file, which `require_same` refuses.
        return sum(steps[:-1]) + (first if type(first) is int and first > 0 else steps[-1])

    def trained_steps(self) -> list[int] | None:
        """Return the steps of each phase of the run that was trained here.

        Returns:
          None where nothing was trained, or where the file is damaged.
        """
        if not self._was_trained:
            return None
        phases = self.describe()["phases"]
        steps = [phase["steps"] for phase in phases if isinstance(phase, dict) and "steps" in phase]
        is_whole = len(steps) == len(phases)
        return steps if is_whole and all(type(each) is int and each > 0 for each in steps) else None

    def require_same(self, identity: Mapping[str, Any], extend: bool = False) -> None:
        """Compare with `run.json`, if a run was trained here; write nothing.

        Args:
          identity: see `claim`.
          extend: see `claim`.

        Raises:
          InputError: the folder holds checkpoints of a run of another identity, or without a
            `run.json`; the message lists the fields that differ.
        """
        if not self._was_trained:
            return
        different = _differences(_identity(self.describe()), _as_json(identity))
        longer = self.extended_from(identity) is not None
        if different and not (longer and extend):
            hint = ", or EXTEND=true (extend=True in Python) to train longer" if longer else ""
            raise InputError(
                f"{self.path} holds a run of another configuration: {'; '.join(different)}; give "
                f"another folder, or these values{hint}"
            )

    def in_use(self) -> bool:
        """Return whether another process is training here; write nothing."""
        try:
            with open(self.path / _LOCK) as file:
                # Shared, so that two dry runs do not refuse each other. Closing releases it.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def require_own(self) -> None:
        """Check that nothing but a run is in the folder, and that no write leads out of it.

        Raises:
          InputError: the folder is neither missing, empty nor a run folder, or holds a link.
        """
        if not self.path.is_dir():
            return
        if not os.path.lexists(self.description):
            found = sorted(path.name for path in self.path.iterdir() if not _is_begun(path))
            if found:
                names = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
                raise InputError(
                    f"the folder of a run must be new, empty or a run folder, but {self.path} has "
                    f"no {self.description.name}, and holds {names}, which might be overwritten: "
                    "give another folder"
                )
        for folder, folders, files in os.walk(self.path):
            for path in (pathlib.Path(folder, name) for name in [*folders, *files]):
                if path.is_symlink():
                    raise InputError(
                        f"{path} is a link to {os.readlink(path)}, and a run writes into its own "
                        "folder alone: put a copy there, or make the run folder itself the link"
                    )
                if not path.is_dir() and not path.is_file():
                    raise InputError(
                        f"{path} is a pipe or a device, not a file of a run: remove it"
                    )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here; a killed process holds no lock.

        Raises:
          InputError: another process trains here, or the folder does not belong to a run.
        """
        if not self.writes:
            yield
            return
        self.require_own()
        self._make()
        # A file of its own: run.json is replaced by renames, and a lock would stay with the old
        # file. The kernel releases the lock when the process ends, however it ends.
        with open(self.path / _LOCK, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another process is training in {self.path}") from None
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be locked: {error.strerror}; give a folder on a file "
                    "system that supports locks"
                ) from error
            yield

    @property
    def _was_trained(self) -> bool:
        """Whether the folder holds a checkpoint, with the description of its run.

        Raises:
          InputError: it has checkpoints, but no description.
        """
        if self.description.exists():
            return self.has_checkpoint
        if (self.checkpoints / "checkpoint").exists():
            raise InputError(
                f"{self.path} has checkpoints but no {self.description.name}; give another "
                "folder, or delete this one"
            )
        return False

    def _describe(self, content: dict) -> None:
        with disk_errors.writing(self.description.name, self.path):
            atomic.write(self.description, json.dumps(content, indent=2) + "\n")

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # An existing folder may be read-only, which only an attempt to write shows.
            with open(self.path / _LOCK, "a"):
                pass
        except OSError as error:
            raise InputError(
                f"the run folder must be writable, {self.path} is not: {error.strerror}"
            ) from error


def _is_begun(path: pathlib.Path) -> bool:
    """Return whether a run that was killed before it wrote `run.json` left a file or folder."""
    if path.name == "checkpoints" and path.is_dir():
        return not any(path.iterdir())
    return path.name in (_LOCK, ".run.json.new")


def _hash(file: pathlib.Path) -> str:
    return hashlib.sha256(guarded.read_bytes(file)).hexdigest()


def _identity(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in _IDENTITY if name in described}


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they read back from JSON: tuples become lists."""
    return json.loads(json.dumps(values))


def _surroundings() -> dict:
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "flags": {name: os.environ[name] for name in _FLAGS if name in os.environ},
        "devices": {
            "devices": [device.device_type for device in tf.config.list_logical_devices()],
            "machine": platform.machine(),
            # The number of threads determines how sums are divided, and with it their last bits.
            "threads": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
        },
    }


def _versions() -> dict:
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _differences(old, new, name: str = "") -> list[str]:
    """Return `name was old, is now new` for every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        lines = (_differences(old.get(k), new.get(k), f"{name}.{k}".strip(".")) for k in keys)
        return [line for part in lines for line in part]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new))
        return [line for i, (a, b) in pairs for line in _differences(a, b, f"{name}[{i}]")]
    return [] if old == new else [f"{name} was {json.dumps(old)}, is now {json.dumps(new)}"]
