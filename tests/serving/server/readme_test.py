"""The requests of the page on the server are answered, and its tables state what is true."""

import asyncio
import json
import re
import shlex

import httpx
import pytest

from official_nlp.cli import main
from official_nlp.serving.server import monitoring
from official_nlp.serving.server.application import Service
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.repository import Repository
from tests.serving.server import toy


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "official_nlp/serving/server/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def commands(page):
    return [shlex.split(line) for line in re.findall(r"^    (\S.*)$", page, re.MULTILINE)]


def test_the_requests_of_the_pages_are_answered(commands, repository, tmp_path):
    (tmp_path / "reviews" / "1").mkdir(parents=True)
    (tmp_path / "reviews" / "1" / "saved_model.pb").touch()
    curls = [words[1:] for words in commands if words[0] == "curl"]
    readme = (repository / "README.md").read_text(encoding="utf-8")
    curls += [shlex.split(line)[1:] for line in re.findall(r"^curl .*$", readme, re.MULTILINE)]

    async def scenario():
        limits = Limits()
        repository = Repository(
            [tmp_path / "reviews"], lambda version: toy.Toy(), limits, lambda *_, **__: None
        )
        await repository.start()
        app = Service(repository, limits, monitoring.Metrics()).application()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answers = [await client.request(**request(words)) for words in curls]
        await repository.close()
        return answers

    assert [answer.status_code for answer in asyncio.run(scenario())] == [200] * len(curls)
    assert len(curls) == 9


def request(words):
    """Return what curl sends."""
    url, *data = words
    if data:
        assert data[0] == "-d"
        json.loads(data[1])
    return {
        "method": "POST" if data else "GET",
        "url": f"http://{url}",
        "content": data[1] if data else None,
    }


def test_the_commands_of_the_page_are_read(commands, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "official_nlp.serving.server.process.serve", lambda *arguments: calls.append(arguments)
    )
    for words in commands:
        if words[0] == "electra":
            assert main.main(words[1:]) == main.DONE
    assert calls == [
        (["served/reviews"], "127.0.0.1", 8501, Limits()),
        (["served/reviews", "served/names"], "127.0.0.1", 9000, Limits()),
    ]


def test_the_page_names_every_metric_and_option(page, capsys):
    text = monitoring.Metrics().text({}).decode()
    for name in re.findall(r"^# TYPE (\w+)", text, re.MULTILINE):
        assert name.removesuffix("_created") in page
    assert main.main(["serve", "--help"]) == main.DONE
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert options - {"--help"} <= set(re.findall(r"--[a-z-]+", page))
