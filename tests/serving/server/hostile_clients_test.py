"""Good clients beside hostile ones get their own answers, and the server does not grow."""

import asyncio
import collections
import json
import urllib.parse

import httpx
import pytest
import tensorflow as tf

from official_nlp.serving.comparison import is_close
from official_nlp.serving.served_head import DEFAULT
from official_nlp.serving.server import monitoring
from official_nlp.serving.server.application import Service
from official_nlp.serving.server.repository import Repository
from tests import damage
from tests.resident_memory import resident_bytes
from tests.serving.conftest import arrays
from tests.serving.server import hostile_clients, toy
from tests.serving.server.server_process import ServerProcess

CLIENTS = 32


def test_each_client_gets_its_own_answer_among_hostile_requests(tmp_path, record_property):
    version = tmp_path / "toy" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    record_property(damage.TRIED, CLIENTS * 5)

    def is_answer(texts, predictions):
        words = [each["word"][: each["num_words"]] for each in predictions]
        assert words == [text.split() for text in texts]

    async def main():
        repository = Repository(
            [version.parent], lambda _: toy.Toy(), hostile_clients.LIMITS, lambda *_, **__: None
        )
        await repository.start()
        service = Service(repository, hostile_clients.LIMITS, monitoring.Metrics())
        transport = httpx.ASGITransport(service.application())
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            path = "/v1/models/toy:predict"
            await hostile_clients.run(client, path, is_answer, CLIENTS, requests=5)
        await repository.close()
        assert service._received == 0

    asyncio.run(asyncio.wait_for(main(), 120))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_server_under_hostile_load_keeps_answers_apart_and_its_size(
    exported, loaded, record_property
):
    requests, rounds = 20, 6
    record_property(damage.TRIED, CLIENTS * requests * rounds)
    server = ServerProcess(exported / "served", *hostile_clients.OPTIONS)
    parts = urllib.parse.urlsplit(server.url)
    expected = expected_answers(loaded, requests)

    def is_answer(texts, predictions):
        for text, found in zip(texts, predictions, strict=True):
            assert is_close(found, expected[text], 1e-4), text[:100]

    async def leave(body):
        head = f"POST /v1/models/served:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
        message = f"{head}\r\n\r\n".encode() + body
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(message[: len(message) // 2] if len(body) % 2 else message)
        await asyncio.sleep(0.001 * (len(body) % 7))
        writer.transport.abort()

    async def main():
        sizes = []
        limits = httpx.Limits(max_connections=CLIENTS)
        async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:
            for _ in range(rounds):
                path = "/v1/models/served:predict"
                await hostile_clients.run(client, path, is_answer, CLIENTS, requests, leave)
                sizes.append(resident_bytes(server.process.pid))
            metrics = (await client.get("/metrics")).text
        return sizes, metrics

    try:
        sizes, metrics = asyncio.run(asyncio.wait_for(main(), 1500))
        assert server.stop() == 0
    finally:
        server.process.kill()
        server.process.wait()
    # The first rounds meet the largest batches.
    assert max(sizes[3:]) - max(sizes[:3]) < 32e6, sizes
    print(f"megabytes after each round: {[round(size / 1e6) for size in sizes]}")
    assert 'electra_queue_length{model="served"} 0.0' in metrics
    statuses = collections.Counter(each["status"] for each in server.requests)
    assert set(statuses) <= {200, 400, 413, 499}
    assert statuses[200] >= CLIENTS * requests * rounds


def expected_answers(loaded, requests):
    """Return the outputs for every text that the clients send, as JSON has them."""
    texts = [
        text
        for client in range(CLIENTS)
        for request in range(requests)
        for text in hostile_clients.texts_of(client, request)
    ]
    answers = {}
    for start in range(0, len(texts), 100):
        part = texts[start : start + 100]
        outputs = {
            key: a.tolist() for key, a in arrays(loaded[DEFAULT](text=tf.constant(part))).items()
        }
        for row, text in enumerate(part):
            answers[text] = json.loads(
                json.dumps({key: values[row] for key, values in outputs.items()})
            )
    assert len({json.dumps(answer["scores"]) for answer in answers.values()}) > len(answers) // 2
    return answers
