"""The server as a process: load the models, listen, and stop on SIGTERM."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator, Sequence

import uvicorn

from official_nlp.errors import InputError
from official_nlp.ranges import shown
from official_nlp.serving.server import connections, monitoring
from official_nlp.serving.server.application import Service
from official_nlp.serving.server.limits import HOST, PORT, Limits
from official_nlp.serving.server.repository import Repository

# Connections that the system accepts before the server does.
_BACKLOG = 2048


def serve(
    folders: Sequence[str | os.PathLike],
    host: str = HOST,
    port: int = PORT,
    limits: Limits | None = None,
) -> None:
    """Serve exported models until SIGTERM or SIGINT, and then answer what was accepted.

    Args:
      folders: exported folders; the name of a folder is that of its model.
      host: address to listen at.
      port: port to listen at; 0 for any free one, which the log states.
      limits: limits of the server.

    Raises:
      InputError: a model cannot be loaded, or the address cannot be used.
    """
    limits = limits or Limits()
    with _listening(host, port) as listener, _json_logs():
        _allow_connections()
        asyncio.run(_serve(folders, listener, limits))


async def _serve(
    folders: Sequence[str | os.PathLike], listener: socket.socket, limits: Limits
) -> None:
    # TensorFlow takes seconds to import, and a wrong address is reported before.
    from official_nlp.serving.server.model_version import ModelVersion

    metrics = monitoring.Metrics()

    def tell(event: str, **fields: object) -> None:
        monitoring.event_log(event, **fields)
        if event == "broken_version":
            metrics.broken.labels(fields["model"]).inc()

    repository = Repository(folders, ModelVersion, limits, tell, metrics.observe_batch)
    await repository.start()
    service = Service(repository, limits, metrics)

    def stopping() -> None:
        service.draining = True
        monitoring.event_log("stopping")

    config = uvicorn.Config(
        service.application(),
        http=connections.protocol(limits.client_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=max(1, int(limits.client_timeout)),
        # Whoever neither sends nor reads any more cannot delay the end for ever.
        timeout_graceful_shutdown=int(limits.timeout + limits.client_timeout) + 1,
    )
    server = connections.Server(config, stopping)
    watcher = asyncio.get_running_loop().create_task(repository.watch())
    with _signals(server):
        host, port = listener.getsockname()[:2]
        monitoring.event_log(
            "serving",
            url=f"http://{f'[{host}]' if ':' in host else host}:{port}/",
            models=list(repository.served),
        )
        await server.serve(sockets=[listener])
    watcher.cancel()
    await repository.close()
    monitoring.event_log("stopped")


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that is bound to an address.

    Raises:
      InputError: it cannot be bound.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen at {shown(host)}, port {port}: {reason}; give another --host or --port"
        ) from error
    with listener:
        yield listener


@contextlib.contextmanager
def _signals(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop the server, and nothing else.

    uvicorn raises them again after its end, which would change the exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _json_logs() -> Iterator[None]:
    """Write warnings of all libraries as JSON lines."""
    handler = monitoring.EventHandler(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _allow_connections() -> None:
    """Raise the number of open files, of which each connection is one, as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
