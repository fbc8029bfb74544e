"""Connections that do not wait for ever, and a server that stops without losing a request."""

import asyncio
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds in which a client may use an open connection once more after the server was asked to stop.
_FAREWELL = 1.0
_TICK = 0.05


def protocol(client_timeout: float) -> type[H11Protocol]:
    """Return the protocol of a connection.

    uvicorn waits without end for the head of the first request, and for a client that reads no
    answer. Such a connection is closed here.

    Args:
      client_timeout: seconds to wait.
    """

    class TimedProtocol(H11Protocol):
        """A connection with a time limit for heads of requests and for reading answers."""

        _waiting: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait_for_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self.resume_writing()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            # Once its head is complete, the application limits the time for the rest.
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()

        def on_response_complete(self) -> None:
            self._wait_for_request()
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._writing is None:
                self._writing = self.loop.call_later(client_timeout, self.transport.abort)

        def resume_writing(self) -> None:
            if self._writing is not None:
                self._writing.cancel()
                self._writing = None
            super().resume_writing()

        def _wait_for_request(self) -> None:
            self._stop_waiting()
            self._waiting = self.loop.call_later(client_timeout, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

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
