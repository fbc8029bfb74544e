"""Clients that do not send, do not read, or keep a connection do not hold the server."""

import asyncio
import time

import pytest
import uvicorn

from official_nlp.serving.server import connections

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * (64 << 20)


async def application(scope, receive, send):
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(0.5)
    body = LARGE if path == "/large" else b"fine"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


class Host:
    """A server in the event loop of a test."""

    async def __aenter__(self):
        self.stopped = []
        config = uvicorn.Config(
            application,
            port=0,
            http=connections.protocol(0.2),
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=10,
        )
        self.server = connections.Server(config, lambda: self.stopped.append(True))
        self.task = asyncio.ensure_future(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)
        self.address = self.server.servers[0].sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.should_exit = True
        await self.task
        assert self.stopped == [True]

    async def connect(self):
        return await asyncio.open_connection(*self.address)


def run(scenario):
    async def main():
        async with Host() as host:
            return await scenario(host)

    return asyncio.run(asyncio.wait_for(main(), 20))


async def closed(reader):
    """Wait until the server closes a connection, and return what it sent."""
    received = b""
    try:
        while part := await reader.read(1000):
            received += part
    except ConnectionError:
        pass
    return received


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST], ids=["nothing", "half", "one"])
def test_a_silent_connection_is_closed(sent):
    async def scenario(host):
        reader, writer = await host.connect()
        writer.write(sent)
        return await closed(reader)

    assert run(scenario).startswith(b"HTTP/1.1 200" if sent == REQUEST else b"")


def test_single_bytes_of_a_head_do_not_keep_a_connection():
    async def scenario(host):
        reader, writer = await host.connect()
        end = asyncio.ensure_future(closed(reader))
        sent = 0
        for byte in REQUEST * 100:
            if end.done():
                break
            writer.write(bytes([byte]))
            sent += 1
            await asyncio.sleep(0.02)
        assert sent < len(REQUEST)
        return await end

    assert run(scenario) == b""


def test_a_long_computation_and_a_second_request_are_no_silence():
    async def scenario(host):
        reader, writer = await host.connect()
        for path in (b"/slow", b"/slow"):
            writer.write(REQUEST.replace(b"/", path, 1))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(4) == b"fine"
            await asyncio.sleep(0.1)
        writer.close()

    run(scenario)


def test_a_client_that_reads_no_answer_is_cut_off():
    async def scenario(host):
        _, writer = await host.connect()
        writer.transport.pause_reading()
        writer.write(REQUEST.replace(b"/", b"/large", 1))
        while not host.server.server_state.total_requests:
            await asyncio.sleep(0.01)
        assert host.server.server_state.connections
        while host.server.server_state.connections:
            await asyncio.sleep(0.01)
        writer.transport.abort()

    run(scenario)


def test_a_client_that_reads_gets_a_large_answer():
    async def scenario(host):
        reader, writer = await host.connect()
        writer.write(REQUEST.replace(b"/", b"/large", 1))
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(LARGE)) == LARGE
        writer.close()

    run(scenario)


def test_a_request_on_an_open_connection_is_answered_while_the_server_stops():
    async def scenario(host):
        reader, writer = await host.connect()
        writer.write(REQUEST)
        await reader.readuntil(b"fine")
        host.server.should_exit = True
        while not host.stopped:
            await asyncio.sleep(0.01)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError):
            await host.connect()

    run(scenario)


def test_the_end_waits_for_a_request_that_is_computed():
    async def scenario(host):
        reader, writer = await host.connect()
        writer.write(REQUEST.replace(b"/", b"/slow", 1))
        while not host.server.server_state.tasks:
            await asyncio.sleep(0.01)
        start = time.monotonic()
        host.server.should_exit = True
        assert (await closed(reader)).endswith(b"fine")
        await host.task
        assert time.monotonic() - start < 10

    run(scenario)
