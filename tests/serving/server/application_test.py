"""Requests over HTTP, without sockets: status codes, limits, headers, logs and metrics."""

import asyncio
import json
import threading

import httpx
import pytest

from official_nlp.serving.server import monitoring
from official_nlp.serving.server.application import Service
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.repository import Repository
from tests.serving.server import toy


class World:
    """A server without sockets.

    Attributes:
      client: an HTTP client of it.
      service: the service.
      model: the model named `toy`.
    """

    def __init__(self, client, service, model, app):
        self.client, self.service, self.model, self.app = client, service, model, app

    async def predict(self, *texts, **options):
        return await self.client.post(
            "/v1/models/toy:predict", json={"instances": list(texts)}, **options
        )


@pytest.fixture
def run(tmp_path):
    """Runs an async function of a `World` and returns its result."""
    version = tmp_path / "toy" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()

    def run(scenario, limits=None, block=None):
        async def main():
            model = toy.Toy(1, block)
            model.warm_up = lambda: None
            metrics = monitoring.Metrics()
            repository = Repository(
                [version.parent],
                lambda version: model,
                limits or Limits(),
                lambda *_, **__: None,
                metrics.observe_batch,
            )
            await repository.start()
            service = Service(repository, limits or Limits(), metrics)
            app = service.application()
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                result = await scenario(World(client, service, model, app))
            if block:
                block.set()
            await repository.close()
            return result

        return asyncio.run(asyncio.wait_for(main(), 20))

    return run


def test_both_interfaces_answer(run):
    async def scenario(world):
        get, post = world.client.get, world.client.post
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["ab c"]}
        return {
            "predict": await world.predict("ab c", "d"),
            "by version": await post("/v1/models/toy/versions/1:predict", json={"inputs": ["a"]}),
            "infer": await post("/v2/models/toy/infer", json={"inputs": [tensor]}),
            "status": await get("/v1/models/toy"),
            "metadata": await get("/v1/models/toy/metadata"),
            "metadata by version": await get("/v1/models/toy/versions/1/metadata"),
            "models": await get("/v1/models"),
            "server": await get("/v2"),
            "live": await get("/v2/health/live"),
            "ready": await get("/v2/health/ready"),
            "model": await get("/v2/models/toy"),
            "model ready": await get("/v2/models/toy/versions/1/ready"),
        }

    answers = run(scenario)
    assert {answer.status_code for answer in answers.values()} == {200}
    found = {name: answer.json() for name, answer in answers.items()}
    assert found["predict"]["predictions"][0] == {"size": 4, "word": ["ab", "c"], "num_words": 2}
    assert found["by version"]["outputs"]["size"] == [1]
    assert found["infer"]["outputs"][1] == {
        "name": "size",
        "shape": [1],
        "datatype": "INT32",
        "data": [4],
    }
    assert found["status"]["model_version_status"][0]["version"] == "1"
    assert found["metadata"] == found["metadata by version"]
    assert found["models"]["models"][0]["signatures"]["pairs"]["inputs"]["text_pair"] == {
        "dtype": "string",
        "shape": [-1],
    }
    assert found["server"]["name"] == "electra"
    assert found["model"]["platform"] == "tensorflow_savedmodel"
    assert found["model ready"] == {"name": "toy", "ready": True}


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "reason"),
    [
        ("POST", "/v1/models/no:predict", b"{}", 404, "unknown model 'no'; models are toy"),
        ("POST", "/v2/models/no/infer", b"{}", 404, "unknown model 'no'; models are toy"),
        ("GET", "/v1/models/toy/versions/2", b"", 404, "the model toy has the version 1, not '2'"),
        ("GET", "/nothing", b"", 404, "Not Found: GET '/nothing'"),
        ("GET", "/v1/models/toy/", b"", 404, "Not Found"),
        ("GET", "/v2/models/toy/infer", b"", 405, "Method Not Allowed"),
        ("DELETE", "/v1/models/toy", b"", 405, "Method Not Allowed"),
        ("POST", "/v1/models/toy:predict", b"\xff", 400, "must be UTF-8, but byte 0"),
        ("POST", "/v1/models/toy:predict", b"[" * 90_000, 400, "nested too deeply"),
        ("POST", "/v1/models/toy:predict", b" " * 100_001, 413, "at most 100,000 bytes"),
        ("POST", "/v1/models/toy:predict", b'{"instances": ["fail"]}', 500, "the server failed"),
    ],
)
def test_an_error_has_a_status_and_a_reason_in_one_line(run, method, path, content, status, reason):
    async def scenario(world):
        return await world.client.request(method, path, content=content)

    answer = run(scenario, Limits(body_bytes=100_000))
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert reason in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("header", "status"),
    [({"content-encoding": "gzip"}, 415), ({"inference-header-content-length": "9"}, 400)],
)
def test_bodies_that_are_no_plain_json_are_refused(run, header, status):
    async def scenario(world):
        return await world.client.post("/v2/models/toy/infer", content=b"{}", headers=header)

    assert run(scenario).status_code == status


def test_a_body_without_a_length_is_limited_too(run):
    async def scenario(world):
        async def parts():
            for _ in range(10):
                yield b" " * 30

        return await world.client.post("/v1/models/toy:predict", content=parts())

    assert run(scenario, Limits(body_bytes=100)).status_code == 413
    answer = run(scenario, Limits(all_body_bytes=100))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_bytes_of_received_bodies_are_released(run):
    async def scenario(world):
        return [(await world.predict("a")).status_code for _ in range(10)]

    # One body has about 20 bytes.
    assert run(scenario, Limits(all_body_bytes=60)) == [200] * 10


def test_a_long_body_is_read_beside_other_requests(run):
    async def scenario(world):
        return await world.predict("a " * 50_000)

    assert run(scenario).json()["predictions"][0]["num_words"] == 50_000


def test_a_client_that_sends_too_slowly_is_refused(run):
    async def scenario(world):
        async def parts():
            yield b"{"
            await asyncio.sleep(10)

        return await world.client.post("/v1/models/toy:predict", content=parts())

    answer = run(scenario, Limits(client_timeout=0.05))
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


def test_a_request_that_takes_too_long_is_given_up(run):
    block = threading.Event()

    async def scenario(world):
        return await world.predict("a")

    assert run(scenario, Limits(timeout=0.05), block).status_code == 504


def test_a_full_queue_is_a_reason_to_try_later(run):
    block = threading.Event()

    async def scenario(world):
        first = asyncio.ensure_future(world.predict("a"))
        while not world.model.calls:
            await asyncio.sleep(0.001)
        second = await world.predict("b")
        block.set()
        return second, await first

    second, first = run(scenario, Limits(queue=1), block)
    assert (second.status_code, second.headers["retry-after"]) == (429, "1")
    assert first.status_code == 200


def test_a_client_that_hangs_up_frees_its_place(run, capsys):
    block = threading.Event()

    async def scenario(world):
        body = json.dumps({"instances": ["a"]}).encode()
        messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
        sent = []

        async def receive():
            # It hangs up once the model computes.
            while len(messages) == 1 and not world.model.calls:
                await asyncio.sleep(0.001)
            return messages.pop(0) if messages else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/models/toy:predict",
            "query_string": b"",
            "headers": [],
        }
        await world.app(scope, receive, send)
        served = world.service._repository.served["toy"]
        return sent[0]["status"], served.batcher.requests

    assert run(scenario, block=block) == (499, 0)
    assert json.loads(capsys.readouterr().out)["status"] == 499


def test_a_draining_server_is_not_ready_and_closes_connections(run):
    async def scenario(world):
        world.service.draining = True
        ready = await world.client.get("/v2/health/ready")
        model = await world.client.get("/v2/models/toy/ready")
        return ready, model, await world.predict("a")

    ready, model, answer = run(scenario)
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert model.status_code == 503
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_the_page_has_no_outside_resource_and_a_strict_policy(run, repository):
    async def scenario(world):
        return [await world.client.get(path) for path in ("/", "/page.js", "/page.css")]

    answers = run(scenario)
    kinds = [answer.headers["content-type"].partition(";")[0] for answer in answers]
    assert kinds == ["text/html", "text/javascript", "text/css"]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "//" not in answer.text.replace("// ", "")
    page, script, _ = (answer.text for answer in answers)
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count('<script src="page.js"') == 1
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert name not in script


def test_an_answered_request_is_a_line_of_json(run, capsys):
    async def scenario(world):
        await world.predict("a", "b", headers={"x-request-id": "my-1"})
        answer = await world.client.get("/%1b%0a" + "x" * 300, headers={"x-request-id": "no\x1b"})
        return answer.headers["x-request-id"]

    made = run(scenario)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.pop("time").endswith("Z")
    assert first.pop("seconds") > 0
    assert first == {
        "event": "request",
        "id": "my-1",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/v1/models/toy:predict",
        "status": 200,
        "model": "toy",
        "version": 1,
        "rows": 2,
    }
    assert (second["id"], second["status"], len(second["path"])) == (made, 404, 200)
    assert len(made) == 32


def test_metrics_count_requests_and_batches(run):
    async def scenario(world):
        await world.predict("a", "b")
        await world.client.post("/v1/models/other:predict", content=b"{}")
        return await world.client.get("/metrics")

    answer = run(scenario)
    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'electra_requests_total{method="POST",model="toy",status="200"} 1.0',
        'electra_requests_total{method="POST",model="",status="404"} 1.0',
        'electra_request_seconds_count{model="toy"} 1.0',
        'electra_batch_rows_sum{model="toy"} 2.0',
        'electra_batch_tokens_sum{model="toy"} 4.0',
        'electra_queue_length{model="toy"} 0.0',
        'electra_model_version{model="toy"} 1.0',
    ):
        assert line in answer.text.splitlines()
