"""A thousand connections at once, and clients that leave in the middle."""

import asyncio
import collections
import json
import resource
import urllib.parse

import httpx
import pytest

from tests.serving.server import saved_toy
from tests.serving.server.server_process import ServerProcess

pytestmark = pytest.mark.slow

CONNECTIONS = 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "toy"
    saved_toy.save(folder / "1")
    server = ServerProcess(folder, "--queue", "300")
    yield server
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def message(text):
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def opened(server):
    parts = urllib.parse.urlsplit(server.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


def test_a_thousand_connections_get_their_own_answers_or_are_told_to_wait(server):
    statuses = collections.Counter()

    async def client(number, reader, writer):
        for request in range(5):
            text = f"{number} {request}"
            writer.write(message(text))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            statuses[status] += 1
            (length,) = (
                int(line.split(b":")[1])
                for line in head.lower().splitlines()
                if line.startswith(b"content-length")
            )
            answer = json.loads(await reader.readexactly(length))
            if status == 200:
                assert answer["predictions"][0]["word"] == text.split()
            else:
                assert b"retry-after" in head
        writer.close()

    async def main():
        connections = await asyncio.gather(*(opened(server) for _ in range(CONNECTIONS)))
        await asyncio.gather(*(client(n, *each) for n, each in enumerate(connections)))

    asyncio.run(asyncio.wait_for(main(), 300))
    assert set(statuses) <= {200, 429}
    assert sum(statuses.values()) == 5 * CONNECTIONS
    assert statuses[200] >= 300


def test_clients_that_leave_in_the_middle_leave_nothing_behind(server):
    async def client(number):
        _, writer = await opened(server)
        whole = message(f"client {number}")
        writer.write(whole[: len(whole) * (number % 4 + 1) // 4])
        await asyncio.sleep(0.001 * (number % 20))
        writer.transport.abort()

    async def main():
        await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))

    asyncio.run(asyncio.wait_for(main(), 300))
    answer = httpx.post(
        f"{server.url}v1/models/toy:predict", json={"instances": ["a b"]}, timeout=60
    )
    assert answer.json()["predictions"][0]["word"] == ["a", "b"]
    metrics = httpx.get(f"{server.url}metrics").text
    assert 'electra_queue_length{model="toy"} 0.0' in metrics
