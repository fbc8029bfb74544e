"""Connections that do not wait for ever, and a server that stops without losing a request."""

import asyncio
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds in which a client may use an open connection once more after the server was asked to stop.
_FAREWELL = 1.0
_TICK = 0.05


class _Patience:
    """Cuts off a client after some seconds in which it neither sent nor read what it should.

    Args:
      loop: the event loop.
      transport: the connection.
      seconds: how long to wait.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, seconds: float
    ):
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0

    def start(self) -> None:
        """Wait from now on."""
        self.stop()
        self._unread = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._expire)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        # A client that reads slowly, but reads, is served.
        if self._transport.get_write_buffer_size() < self._unread:
            self.start()
        else:
            self._transport.abort()


def protocol(client_timeout: float) -> type[H11Protocol]:
    """Return the protocol of a connection.

    uvicorn waits without end for the head of a request whose bytes come slowly, and for a client
    that reads no answer. Such a connection is closed here.

    Args:
      client_timeout: seconds to wait.
    """

    class TimedProtocol(H11Protocol):
        """A connection with a time limit for heads of requests and for reading answers."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._for_request = _Patience(self.loop, transport, client_timeout)
            self._for_reader = _Patience(self.loop, transport, client_timeout)
            self._for_request.start()

        def connection_lost(self, exc: Exception | None) -> None:
            self._for_request.stop()
            self._for_reader.stop()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            # Once its head is complete, the application limits the time for the rest.
            if self.cycle is not None and not self.cycle.response_complete:
                self._for_request.stop()

        def on_response_complete(self) -> None:
            self._for_request.start()
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._for_reader.start()

        def resume_writing(self) -> None:
            self._for_reader.stop()
            super().resume_writing()

    return TimedProtocol


class Server(uvicorn.Server):
    """A server that lets clients finish.

    uvicorn closes idle connections at once when it is asked to stop, also those on which a request
    is under way. This server first stops accepting connections, and calls `stopping`, after which
    the application lets each answer close its connection.

    Args:
      config: of uvicorn.
      stopping: called when the server was asked to stop.
    """

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]):
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list | None = None) -> None:
        """Answer what was accepted, and end."""
        self._stopping()
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + _FAREWELL
        while self.server_state.connections and loop.time() < end and not self.force_exit:
            await asyncio.sleep(_TICK)
        await super().shutdown(sockets)
