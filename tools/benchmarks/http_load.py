"""Clients of `electra serve`, each with a connection, that send one text after the other."""

import asyncio
import json
import statistics
import time
import urllib.parse
from collections.abc import Sequence


def measure(url: str, model: str, texts: Sequence[str], clients: int, requests: int) -> dict:
    """Return requests a second, and the median and the 99th percentile of milliseconds.

    Args:
      url: address of the server.
      model: name of the model.
      texts: texts, of which each request has one.
      clients: number of clients at the same time.
      requests: number of requests of all clients.
    """
    return asyncio.run(_measure(url, model, texts, clients, requests))


async def _measure(url, model, texts, clients, requests) -> dict:
    parts = urllib.parse.urlsplit(url)
    messages = [_message(parts.netloc, model, text) for text in texts]
    numbers = iter(range(requests))
    seconds: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for number in numbers:
            start = time.perf_counter()
            writer.write(messages[number % len(messages)])
            await _answer(reader)
            seconds.append(time.perf_counter() - start)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    wall = time.perf_counter() - start
    return {
        "requests_a_second": requests / wall,
        "p50": 1000 * statistics.median(seconds),
        "p99": 1000 * sorted(seconds)[int(0.99 * (len(seconds) - 1))],
    }


def _message(host: str, model: str, text: str) -> bytes:
    body = json.dumps({"instances": [text]}).encode()
    head = [
        f"POST /v1/models/{model}:predict HTTP/1.1",
        f"Host: {host}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
    body = await reader.readexactly(int(fields[b"content-length"]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server answered {head.splitlines()[0].decode()}: {body.decode()}")
