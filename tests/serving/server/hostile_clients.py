"""Clients that send good and hostile requests in turn, and know the answer to each."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

import httpx

from official_nlp.serving.server.limits import Limits

LIMITS = Limits(body_bytes=1 << 20, instances=8)
# The options of a server with these limits.
OPTIONS = ("--body-bytes", str(LIMITS.body_bytes), "--instances", str(LIMITS.instances))
# Bodies that are refused, with the status and a part of the reason.
HOSTILE = {
    "no JSON": (b"{", 400, "must be JSON"),
    "no UTF-8": (b'{"instances": ["\xff"]}', 400, "must be UTF-8"),
    "lists in lists": (b'{"instances": ' + b"[" * 100_000, 400, "nested too deeply"),
    "objects in objects": (b'{"a":' * 100_000, 400, "nested too deeply"),
    "too large": (b" " * (LIMITS.body_bytes + 1), 413, "at most 1,048,576 bytes"),
    "no object": (b"[1]", 400, "must be a JSON object"),
    "no input": (b'{"inputs": {}}', 400, "text is missing"),
    "no field": (b"{}", 400, "either instances or inputs"),
    "another field": (b'{"instance": ["a"]}', 400, "unknown field"),
    "another input": (b'{"inputs": {"words": ["a"]}}', 400, "unknown input"),
    "another signature": (b'{"instances": ["a"], "signature_name": "x"}', 400, "unknown signature"),
    "numbers": (b'{"instances": [1]}', 400, "must hold strings"),
    "no rows": (b'{"instances": []}', 400, "from 1 to 8 instances"),
    "too many rows": (json.dumps({"instances": ["a"] * 9}).encode(), 400, "from 1 to 8"),
    "ragged": (b'{"instances": ["a", ["b", "c"]]}', 400, "must hold strings"),
    "zero byte": (b'{"instances": ["a\\u0000b"]}', 400, "null character"),
    "half a character": (b'{"instances": ["\\ud800"]}', 400, "surrogate"),
    "long text": (json.dumps({"instances": ["a" * 300_000]}).encode(), 400, "at most 262,144"),
    "no number of JSON": (b'{"instances": [NaN]}', 400, "must be JSON"),
}
# Beginnings of texts that are odd and valid.
ODD = (
    "",
    "\u0301\u0323\u0301 ",
    "\u202eשלום \u200f",
    "<script>alert(1)</script> ",
)
LONG = "a " * 100_000


def texts_of(client: int, request: int) -> list[str]:
    """Return the texts of a good request, which no other request has."""
    draw = random.Random(f"{client} {request}")
    words = "".join(chr(ord("b") + int(digit)) for digit in f"{client:02}{request:02}")
    # The marker comes first, because a model reads the beginning of a long text.
    starts = [LONG if draw.random() < 0.02 else draw.choice(ODD) for _ in range(draw.randint(1, 3))]
    return [f"{words} {start}boat {n}" for n, start in enumerate(starts)]


async def run(
    client: httpx.AsyncClient,
    path: str,
    is_answer: Callable[[list[str], list], None],
    clients: int = 32,
    requests: int = 20,
    leave: Callable[[bytes], Awaitable[None]] | None = None,
) -> None:
    """Send requests of many clients at once, and check each answer.

    Args:
      client: an HTTP client of the server.
      path: path of the model for predictions.
      is_answer: checks the texts of a request and the predictions.
      clients: number of clients.
      requests: number of requests of each.
      leave: sends a part of this message, and hangs up.
    """

    async def one(number: int) -> None:
        draw = random.Random(number)
        for request in range(requests):
            texts = texts_of(number, request)
            good = json.dumps({"instances": texts}).encode()
            if leave and draw.random() < 0.1:
                await leave(good)
            if draw.random() < 0.5:
                name = draw.choice(sorted(HOSTILE))
                body, status, reason = HOSTILE[name]
                answer = await client.post(path, content=body)
                assert answer.status_code == status, name
                assert list(answer.json()) == ["error"]
                assert reason in answer.json()["error"], name
            answer = await client.post(path, content=good)
            assert answer.status_code == 200, answer.text
            is_answer(texts, answer.json()["predictions"])

    await asyncio.gather(*(one(number) for number in range(clients)))
