"""Models by name, each in its newest version, which a newer one replaces without a pause."""

import asyncio
import logging
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from official_nlp.errors import InputError
from official_nlp.inference import exported_files
from official_nlp.serving.server.batching import Batcher
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.tensors import Arrays, Signature

_ADVICE = "name a folder that `electra export` wrote"


class Model(Protocol):
    """A version of a model, see `ModelVersion`."""

    version: int
    head: str | None
    length: int | None
    signatures: Mapping[str, Signature]

    def run(self, name: str, inputs: Arrays) -> dict[str, Any]:
        """Compute a signature."""

    def warm_up(self) -> None:
        """Compute each signature once."""


class Served:
    """A version of a model that answers requests.

    Attributes:
      name: name of the model.
      model: the version.
      batcher: computes its requests.
    """

    def __init__(self, name: str, model: Model, batcher: Batcher):
        self.name = name
        self.model = model
        self.batcher = batcher


class Repository:
    """The models that a server serves.

    Args:
      folders: exported folders; the last part of a path is the name of the model.
      load: loads the folder of a version.
      limits: limits of the server.
      tell: called with the name of an event and its fields.
      observe: called with the name of a model, rows and estimated tokens of each batch.

    Raises:
      InputError: a folder has no version, or two have one name.
    """

    def __init__(
        self,
        folders: Sequence[str | os.PathLike],
        load: Callable[[pathlib.Path], Model],
        limits: Limits,
        tell: Callable[..., None],
        observe: Callable[[str, int, int], None] = lambda name, rows, tokens: None,
    ):
        self._folders = _named(folders)
        self._load = load
        self._limits = limits
        self._tell = tell
        self._observe = observe
        self._served: dict[str, Served] = {}
        # Fingerprints of versions that cannot be loaded, so that each is tried once.
        self._broken: dict[pathlib.Path, tuple] = {}
        self._retiring: set[asyncio.Task] = set()

    @property
    def served(self) -> Mapping[str, Served]:
        """The models that answer requests, by name."""
        return self._served

    async def start(self) -> None:
        """Load the newest version of every model that can be loaded.

        Raises:
          InputError: a model has none.
        """
        for name, folder in self._folders.items():
            await self._update(name, folder)
            if name not in self._served:
                raise InputError(f"no version in {folder} can be loaded; {exported_files.ADVICE}")

    async def update(self) -> None:
        """Look for new versions once, and let them replace the old ones."""
        for name, folder in self._folders.items():
            await self._update(name, folder)

    async def watch(self) -> None:
        """Look for new versions until cancelled."""
        while self._limits.reload_interval:
            await asyncio.sleep(self._limits.reload_interval)
            try:
                await self.update()
            except Exception:  # Later looks may succeed, and the models are still served.
                logging.getLogger(__name__).exception("cannot look for new versions")

    async def close(self) -> None:
        """Wait for all requests."""
        closing = [served.batcher.close() for served in self._served.values()]
        await asyncio.gather(*closing, *self._retiring)

    async def _update(self, name: str, folder: pathlib.Path) -> None:
        current = self._served.get(name)
        for number in await asyncio.to_thread(_versions, folder):
            version = folder / str(number)
            if current and number == current.model.version:
                return
            fingerprint = await asyncio.to_thread(_fingerprint, version)
            if self._broken.get(version) == fingerprint:
                continue
            if await self._replace(name, version):
                self._broken.pop(version, None)
                return
            self._broken[version] = fingerprint

    async def _replace(self, name: str, version: pathlib.Path) -> bool:
        """Serve a version; return False if it is broken, and change nothing."""
        try:
            model = await asyncio.to_thread(self._loaded, version)
        except InputError as error:
            self._tell("broken_version", model=name, version=version.name, reason=str(error))
            return False
        old = self._served.get(name)
        batcher = Batcher(
            model.run,
            model.signatures,
            model.length,
            self._limits,
            lambda rows, tokens: self._observe(name, rows, tokens),
        )
        self._served[name] = Served(name, model, batcher)
        self._tell("loaded", model=name, version=version.name, replaces=old and old.model.version)
        if old:
            # Its requests are answered; then nothing refers to it any more.
            task = asyncio.get_running_loop().create_task(old.batcher.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return True

    def _loaded(self, version: pathlib.Path) -> Model:
        model = self._load(version)
        model.warm_up()
        return model


def _named(folders: Sequence[str | os.PathLike]) -> dict[str, pathlib.Path]:
    """Return the folders by the names of their models."""
    named: dict[str, pathlib.Path] = {}
    for each in folders:
        # Links remain: the name is the one that was given.
        folder = pathlib.Path(os.path.abspath(each))
        if (folder / exported_files.GRAPH_FILE).exists():
            raise InputError(f"{each} is one version of a model; name {folder.parent}")
        _refuse_other_formats(folder)
        if not _versions(folder):
            raise InputError(f"{each} has no version such as {each}/1; {_ADVICE}")
        if folder.name in named:
            raise InputError(
                f"{named[folder.name]} and {folder} have one name, which is that of the model; "
                "rename a folder"
            )
        named[folder.name] = folder
    return named


def _refuse_other_formats(folder: pathlib.Path) -> None:
    """Refuse an exported folder whose newest version is no SavedModel."""
    newest = exported_files.newest_version(folder)
    found = newest and exported_files.kind_of(newest)
    if found in (None, exported_files.SAVED_MODEL):
        return
    raise InputError(
        f"{newest} has the format {found}, and the server runs SavedModels: export the model again "
        f"with --format {exported_files.SAVED_MODEL}, into another folder"
    )


def _versions(folder: pathlib.Path) -> list[int]:
    """Return the numbers of the versions, the newest first."""
    numbers = sorted(exported_files.versions(folder), reverse=True)
    return [n for n in numbers if (folder / str(n) / exported_files.GRAPH_FILE).is_file()]


def _fingerprint(version: pathlib.Path) -> tuple:
    """Return what changes when files are written: a copy of a version may still be under way."""
    found = []
    for file in sorted(version.rglob("*")):
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)
