"""The folder of a run: what is in it, whose it is, and who writes to it."""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Mapping

import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.files import atomic, disk_errors
from official_nlp.training import checkpoints

_PACKAGES = ("official_nlp", "tensorflow", "tf_keras", "tf-models-official", "numpy")
# Environment that changes how TensorFlow computes, and with it the last bits.
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
    """Paths in a run's folder, and its `run.json`.

    Attributes:
      path: the folder.
      writes: whether this process does; of a run on several hosts only the first.
    """

    def __init__(self, path: str | os.PathLike, writes: bool = True):
        self.path = pathlib.Path(path)
        self.writes = writes

    checkpoints = property(lambda self: self.path / "checkpoints")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    timing = property(lambda self: self.path / "timing.jsonl")
    summaries = property(lambda self: self.path / "summaries")
    curves = property(lambda self: self.path / "curves.png")
    description = property(lambda self: self.path / "run.json")

    @property
    def has_checkpoint(self) -> bool:
        """Whether a run that trains here goes on from one; it may be damaged."""
        return checkpoints.any_named(self.checkpoints)

    def describe(self) -> dict:
        """Returns the content of `run.json`."""
        try:
            described = json.loads(self.description.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"{self.path} is not the folder of a run: it has no {self.description.name}"
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.description} cannot be read: {error}") from error
        if not isinstance(described, dict) or not isinstance(described.get("fixed"), dict):
            raise InputError(
                f"{self.description} must say what the run is made of, but has no such part "
                "(fixed): another program wrote it, or it was cut off"
            )
        return described

    def claim(
        self,
        fixed: Mapping,
        rounding: Mapping | None = None,
        extend: bool = False,
        beginning: Mapping | None = None,
    ) -> list[str]:
        """Writes `run.json`, or compares it where the run was begun before.

        Args:
          fixed: what a resumed run must have kept, as nested dicts, lists, strings and numbers:
            seed, model, hash of the data, batch, schedule.
          rounding: settings that may differ, though they change the last bits.
          extend: whether the last phase may have more steps than before; `run.json` then says so.
          beginning: what the run began with: names of the data, weights that were read. Kept as
            it was once there is a checkpoint, and compared with nothing.

        Returns:
          Lines about what is different now and allowed to be, though it may change the last bits:
          those settings, versions, flags, devices.

        Raises:
          InputError: another configuration was trained here, with the fields that differ.
        """
        if not self.writes:
            self.require_same(fixed, extend)
            return []
        self._make()
        new = {"fixed": fixed, "rounding": rounding or {}, "beginning": beginning or {}}
        new = json.loads(json.dumps({**new, **_surroundings()}))
        if not self.description.exists():
            if (self.checkpoints / "checkpoint").exists():
                raise InputError(
                    f"{self.path} has checkpoints but no {self.description.name}; give another "
                    "folder, or delete this one"
                )
            self._describe(new)
            return []
        self.require_same(fixed, extend)
        old = self.describe()
        if old["fixed"] != new["fixed"]:
            earlier = [*old.get("extended_from", []), old["fixed"]["phases"][-1]["steps"]]
            self._describe({**old, "fixed": new["fixed"], "extended_from": earlier})
        elif old.get("beginning") != new["beginning"] and not self.has_checkpoint:
            self._describe({**old, "beginning": new["beginning"]})
        parts = ("rounding", "versions", "flags", "devices")
        return [line for part in parts for line in _differences(old.get(part), new[part], part)]

    def add_to_beginning(self, more: Mapping) -> None:
        """Adds to what `run.json` says of how the run began."""
        if self.writes and more:
            content = self.describe()
            self._describe({**content, "beginning": {**content["beginning"], **more}})

    def extended_from(self, fixed: Mapping) -> int | None:
        """Returns how many steps the last phase had, where that they are more is all that differs.

        Args:
          fixed: as of `claim`.
        """
        if not self.description.exists():
            return None
        old, new = self.describe().get("fixed", {}), json.loads(json.dumps(fixed))
        try:
            steps = old["phases"][-1]["steps"]
            if new["phases"][-1]["steps"] <= steps:
                return None
            new["phases"][-1]["steps"] = steps
        except (KeyError, IndexError, TypeError):
            return None
        return steps if old == new else None

    def require_same(self, fixed: Mapping, extend: bool = False) -> None:
        """Compares with `run.json`, if a run was begun here; writes nothing.

        Args:
          fixed: as of `claim`.
          extend: as of `claim`.

        Raises:
          InputError: another configuration was trained here, with the fields that differ.
        """
        if not self.description.exists():
            return
        new = json.loads(json.dumps(fixed))
        different = _differences(self.describe().get("fixed", {}), new)
        longer = self.extended_from(fixed) is not None
        if different and not (longer and extend):
            hint = ", or EXTEND=true (extend=True in Python) to train longer" if longer else ""
            raise InputError(
                f"{self.path} holds a run of another configuration: {'; '.join(different)}; give "
                f"another folder, or these values{hint}"
            )

    @contextlib.contextmanager
    def locked(self):
        """Keeps other runs from training here; a killed process holds no lock."""
        if not self.writes:
            yield
            return
        self._make()
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"another process is training in {self.path}") from None
            yield

    def _describe(self, content: dict) -> None:
        with disk_errors.writing(self.description.name, self.path):
            atomic.write(self.description, json.dumps(content, indent=2) + "\n")

    def _make(self) -> None:
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            with open(self.path / ".lock", "a"):
                pass
        except OSError as error:
            raise InputError(
                f"the run's folder must be writable, {self.path} is not: {error.strerror}"
            ) from error


def _surroundings() -> dict:
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "flags": {name: os.environ[name] for name in _FLAGS if name in os.environ},
        "devices": {
            "devices": [device.device_type for device in tf.config.list_logical_devices()],
            "machine": platform.machine(),
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
    """Returns `name: old there, new here` for every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        lines = (_differences(old.get(k), new.get(k), f"{name}.{k}".strip(".")) for k in keys)
        return [line for part in lines for line in part]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new))
        return [line for i, (a, b) in pairs for line in _differences(a, b, f"{name}[{i}]")]
    return [] if old == new else [f"{name} was {json.dumps(old)}, is now {json.dumps(new)}"]
