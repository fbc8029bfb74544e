"""Newer versions replace older ones; broken ones are reported and change nothing."""

import asyncio
import threading

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.repository import Repository
from tests.serving.server import toy


def write(folder, version, content="fine"):
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / str(version) / "saved_model.pb").write_text(content)


def load(version):
    if (version / "saved_model.pb").read_text() != "fine":
        raise InputError(f"cannot load {version}")
    return toy.Toy(int(version.name))


class Events(list):
    """The events of a repository."""

    def __call__(self, event, **fields):
        self.append((event, fields["version"]))


def run(scenario, folders, load=load, limits=None):
    async def main():
        events = Events()
        repository = Repository(folders, load, limits or Limits(), events)
        await repository.start()
        try:
            await scenario(repository, events)
        finally:
            await repository.close()
        return events

    return asyncio.run(asyncio.wait_for(main(), 20))


def version_of(repository):
    return repository.served["reviews"].model.version


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "reviews"
    write(folder, 2)
    write(folder, 10)
    (folder / "notes").mkdir()
    (folder / "11").mkdir()
    return folder


def test_the_newest_version_is_served_and_replaced_by_a_newer_one(folder):
    async def scenario(repository, events):
        assert version_of(repository) == 10
        await repository.update()
        write(folder, 12)
        await repository.update()
        assert version_of(repository) == 12

    assert run(scenario, [folder]) == [("loaded", "10"), ("loaded", "12")]


def test_a_broken_version_is_reported_once_and_tried_again_when_it_changes(folder):
    async def scenario(repository, events):
        write(folder, 12, "half")
        await repository.update()
        await repository.update()
        assert version_of(repository) == 10
        assert events[1:] == [("broken_version", "12")]
        write(folder, 12)
        await repository.update()
        assert version_of(repository) == 12

    run(scenario, [folder])


def test_a_server_starts_with_the_newest_version_that_can_be_loaded(folder):
    write(folder, 12, "half")

    async def scenario(repository, events):
        assert version_of(repository) == 10

    assert run(scenario, [folder]) == [("broken_version", "12"), ("loaded", "10")]


def test_a_version_that_disappears_gives_way_to_the_one_before(folder):
    async def scenario(repository, events):
        (folder / "10" / "saved_model.pb").unlink()
        await repository.update()
        assert version_of(repository) == 2
        (folder / "2" / "saved_model.pb").unlink()
        await repository.update()
        assert version_of(repository) == 2, "there is no other"

    run(scenario, [folder])


def test_requests_of_the_old_version_are_answered_after_it_was_replaced(folder):
    block = threading.Event()
    old = toy.Toy(10, block)
    old.warm_up = lambda: None

    async def scenario(repository, events):
        inputs = {"text": np.array([b"abc"], object)}
        batcher = repository.served["reviews"].batcher

        async def submit():
            with batcher.place():
                return await batcher.submit("serving_default", inputs)

        request = asyncio.ensure_future(submit())
        while not old.calls:
            await asyncio.sleep(0.001)
        write(folder, 12)
        await repository.update()
        assert version_of(repository) == 12
        block.set()
        assert (await request)["size"].tolist() == [3]

    run(scenario, [folder], lambda version: old if version.name == "10" else load(version))


def watching_until_version_12(folder):
    """Return a scenario in which the repository finds a new version by itself."""

    async def scenario(repository, events):
        watcher = asyncio.ensure_future(repository.watch())
        write(folder, 12)
        while version_of(repository) != 12:
            await asyncio.sleep(0.01)
        watcher.cancel()

    return scenario


def test_the_repository_looks_for_new_versions_by_itself(folder):
    run(watching_until_version_12(folder), [folder], limits=Limits(reload_interval=0.01))


def test_a_fault_does_not_end_the_watch(folder, caplog):
    attempts = []

    def faulty(version):
        if version.name == "12":
            attempts.append(version)
            if len(attempts) == 1:
                raise RuntimeError("unexpected")
        return load(version)

    run(watching_until_version_12(folder), [folder], faulty, Limits(reload_interval=0.01))
    assert "new versions" in caplog.text


def test_without_an_interval_nothing_is_looked_for(folder):
    async def scenario(repository, events):
        await asyncio.wait_for(repository.watch(), 1)

    run(scenario, [folder], limits=Limits(reload_interval=0))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "has no version such as"),
        ("reviews/2", "is one version of a model; name"),
        ("empty", "has no version such as"),
    ],
)
def test_a_folder_without_versions_is_refused(folder, path, reason):
    (folder.parent / "empty").mkdir()
    with pytest.raises(InputError, match=reason):
        Repository([folder.parent / path], load, Limits(), Events())


def test_two_folders_of_one_name_are_refused(folder, tmp_path):
    write(tmp_path / "b" / "reviews", 1)
    with pytest.raises(InputError, match="have one name"):
        Repository([folder, tmp_path / "b" / "reviews"], load, Limits(), Events())


def test_a_model_without_a_version_that_can_be_loaded_is_refused(tmp_path):
    write(tmp_path / "reviews", 1, "half")
    with pytest.raises(InputError, match=r"no version in .* can be loaded"):
        run(None, [tmp_path / "reviews"])
