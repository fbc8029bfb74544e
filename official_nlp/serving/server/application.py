"""Routes of the server: what a request of HTTP asks for, and what it is answered."""

import asyncio
import contextlib
import pathlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette import applications, exceptions, requests, responses, routing
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import official_nlp
from official_nlp.ranges import shown
from official_nlp.serving.server import json_text, monitoring, open_inference, rest
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from official_nlp.serving.server.repository import Repository, Served
from official_nlp.serving.server.tensors import Arrays, Signature, wire_shape

# The client closed the connection: no answer is sent, and nginx's number is logged.
CLIENT_GONE = 499
_PAGE = pathlib.Path(__file__).parent / "page"
_PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
# Scripts and styles are files of this server alone, and no other site may show the page.
_SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
# Bytes that take a few milliseconds to be read.
_LONG_BODY = 1 << 16
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOGGED_PATH = 200


class Service:
    """Answers requests with the models of a repository.

    Attributes:
      draining: whether the server was asked to stop.

    Args:
      repository: the models.
      limits: limits of the server.
      metrics: counters.
    """

    def __init__(self, repository: Repository, limits: Limits, metrics: monitoring.Metrics):
        self.draining = False
        self._repository = repository
        self._limits = limits
        self._metrics = metrics
        # Bytes of the bodies of requests that are not answered yet.
        self._received = 0

    def application(self) -> ASGIApp:
        """Return the application for a server of ASGI."""
        get, post = ["GET"], ["POST"]
        v1, v2 = "/v1/models/{name}", "/v2/models/{name}"
        routes = [
            routing.Route(f"{v1}:predict", self._predict, methods=post),
            routing.Route(f"{v1}/versions/{{version}}:predict", self._predict, methods=post),
            routing.Route("/v1/models", self._models, methods=get),
            *self._described(v1, self._status),
            *self._described(
                f"{v1}/metadata", self._metadata, f"{v1}/versions/{{version}}/metadata"
            ),
            routing.Route("/v2", self._server, methods=get),
            routing.Route("/v2/health/live", self._live, methods=get),
            routing.Route("/v2/health/ready", self._ready, methods=get),
            *self._described(v2, self._model),
            *self._described(f"{v2}/ready", self._model_ready, f"{v2}/versions/{{version}}/ready"),
            routing.Route(f"{v2}/infer", self._infer, methods=post),
            routing.Route(f"{v2}/versions/{{version}}/infer", self._infer, methods=post),
            routing.Route("/metrics", self._prometheus, methods=get),
            *(
                routing.Route(path, _file(name, media), methods=get)
                for path, (name, media) in _PAGE_FILES.items()
            ),
        ]
        app = applications.Starlette(
            routes=routes,
            exception_handlers={
                Refused: _refused,
                exceptions.HTTPException: _not_routed,
                requests.ClientDisconnect: _gone,
                Exception: _failed,
            },
        )
        app.router.redirect_slashes = False
        return _Observed(app, self, self._metrics)

    @staticmethod
    def _described(
        path: str, endpoint: Any, with_version: str | None = None
    ) -> list[routing.Route]:
        """Return the routes of a description, for the newest version and for one by number."""
        paths = [path, with_version or f"{path}/versions/{{version}}"]
        return [routing.Route(each, endpoint, methods=["GET"]) for each in paths]

    # === TensorFlow Serving ===

    async def _predict(self, request: requests.Request) -> responses.Response:
        _, prediction, outputs = await self._answered(request, rest.read)
        return _json(rest.answer(prediction, outputs))

    async def _status(self, request: requests.Request) -> responses.Response:
        return _json(rest.status(self._served(request).model.version))

    async def _metadata(self, request: requests.Request) -> responses.Response:
        served = self._served(request)
        return _json(rest.metadata(served.name, served.model.version, served.model.signatures))

    async def _models(self, request: requests.Request) -> responses.Response:
        return _json({"models": [_summary(each) for each in self._repository.served.values()]})

    # === Open Inference Protocol ===

    async def _infer(self, request: requests.Request) -> responses.Response:
        self._served(request)
        if "inference-header-content-length" in request.headers:
            raise Refused(400, "binary tensors are not supported; send all data as JSON")
        served, inference, outputs = await self._answered(request, open_inference.read)
        model = served.model
        signature = model.signatures[inference.signature]
        return _json(
            open_inference.answer(inference, outputs, served.name, model.version, signature)
        )

    async def _server(self, request: requests.Request) -> responses.Response:
        return _json({"name": "electra", "version": official_nlp.__version__, "extensions": []})

    async def _live(self, request: requests.Request) -> responses.Response:
        return _json({"live": True})

    async def _ready(self, request: requests.Request) -> responses.Response:
        return _json({"ready": not self.draining}, 503 if self.draining else 200)

    async def _model(self, request: requests.Request) -> responses.Response:
        served = self._served(request)
        model = served.model
        return _json(open_inference.metadata(served.name, model.version, model.signatures))

    async def _model_ready(self, request: requests.Request) -> responses.Response:
        name = self._served(request).name
        return _json({"name": name, "ready": not self.draining}, 503 if self.draining else 200)

    # === Operation ===

    async def _prometheus(self, request: requests.Request) -> responses.Response:
        text = self._metrics.text(self._repository.served)
        return responses.Response(text, headers={"content-type": monitoring.CONTENT_TYPE})

    # === Steps of a request ===

    async def _answered(
        self, request: requests.Request, read: Callable[..., Any]
    ) -> tuple[Served, Any, dict[str, Any]]:
        """Return the model that a request is for, what its body asks for, and the outputs.

        Args:
          request: a request to compute.
          read: `read` of its protocol.
        """
        self._served(request)  # An unknown model is refused before the body arrives.
        async with self._body(request) as body:
            # Again, because a newer version may have replaced the model while the client sent.
            served = self._served(request)
            with served.batcher.place():
                asked = await self._read(read, body, served.model.signatures)
                outputs = await self._computed(request, served, asked.signature, asked.inputs)
        return served, asked, outputs

    def _served(self, request: requests.Request) -> Served:
        """Return the model of a path.

        Raises:
          Refused: there is no such model, or not in this version.
        """
        name, version = request.path_params["name"], request.path_params.get("version")
        served = self._repository.served.get(name)
        if served is None:
            known = ", ".join(self._repository.served)
            raise Refused(404, f"unknown model {shown(name)}; models are {known}")
        if version is not None and version != str(served.model.version):
            raise Refused(
                404,
                f"the model {name} has the version {served.model.version}, not {shown(version)}",
            )
        request.state.model = name
        return served

    @contextlib.asynccontextmanager
    async def _body(self, request: requests.Request) -> AsyncIterator[bytes]:
        """Yield the body of a request, whose size counts during the block.

        Raises:
          Refused: it is too large, compressed, or comes too slowly, or the server has too many.
        """
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "a compressed body is not supported; send it as it is")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length[:20]) > self._limits.body_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            await self._receive(request, body)
            yield bytes(body)
        finally:
            self._received -= len(body)

    async def _receive(self, request: requests.Request, body: bytearray) -> None:
        """Append what the client sends to the body.

        Raises:
          Refused: as `_body`.
        """
        seconds = self._limits.client_timeout
        try:
            await asyncio.wait_for(self._append(request, body), seconds)
        except asyncio.TimeoutError as error:
            reason = f"the body did not arrive within {seconds:g} seconds"
            raise Refused(408, reason, {"connection": "close"}) from error

    async def _append(self, request: requests.Request, body: bytearray) -> None:
        async for part in request.stream():
            body += part
            self._received += len(part)
            if len(body) > self._limits.body_bytes:
                raise self._too_large()
            if self._received > self._limits.all_body_bytes:
                reason = "the requests that are not answered yet are too large; try again later"
                raise Refused(429, reason, {"Retry-After": "1"})

    def _too_large(self) -> Refused:
        return Refused(
            413,
            f"the body must have at most {self._limits.body_bytes:,} bytes; send fewer instances "
            "at once",
        )

    async def _read(
        self, read: Callable[..., Any], body: bytes, signatures: Mapping[str, Signature]
    ) -> Any:
        """Return what a function reads in a body, without stopping other requests for long."""
        if len(body) > _LONG_BODY:
            return await asyncio.to_thread(read, body, signatures, self._limits)
        return read(body, signatures, self._limits)

    async def _computed(
        self, request: requests.Request, served: Served, signature: str, inputs: Arrays
    ) -> dict[str, Any]:
        """Return the outputs of a signature.

        Raises:
          Refused: there are too many requests, the model refuses, or it takes too long.
          ClientDisconnect: nobody waits for the answer any more.
        """
        request.state.version = served.model.version
        request.state.rows = len(next(iter(inputs.values())))
        loop = asyncio.get_running_loop()
        work = loop.create_task(served.batcher.submit(signature, inputs))
        leaving = loop.create_task(_hang_up(request))
        try:
            await asyncio.wait(
                {work, leaving},
                timeout=self._limits.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done():
                return work.result()
            if leaving.done():
                raise requests.ClientDisconnect
            raise Refused(504, f"there was no result within {self._limits.timeout:g} seconds")
        finally:
            work.cancel()
            leaving.cancel()
            await asyncio.gather(work, leaving, return_exceptions=True)


async def _hang_up(request: requests.Request) -> None:
    """Wait until the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _summary(served: Served) -> dict[str, Any]:
    """Return what the page needs to know of a model."""
    return {
        "name": served.name,
        "version": str(served.model.version),
        "head": served.model.head,
        "signatures": {
            name: _tensors_of(signature) for name, signature in served.model.signatures.items()
        },
    }


def _tensors_of(signature: Signature) -> dict[str, Any]:
    return {
        side: {
            name: {"dtype": tensor.dtype, "shape": wire_shape(tensor)}
            for name, tensor in tensors.items()
        }
        for side, tensors in (("inputs", signature.inputs), ("outputs", signature.outputs))
    }


# === Answers ===


def _json(value: Any, status: int = 200, headers: Any = None) -> responses.Response:
    content = json_text.write(value)
    return responses.Response(content, status, headers, media_type="application/json")


def _error(status: int, reason: str, headers: Any = None) -> responses.Response:
    return _json({"error": reason}, status, headers)


async def _refused(request: requests.Request, error: Exception) -> responses.Response:
    assert isinstance(error, Refused)
    return _error(error.status, error.reason, error.headers)


async def _not_routed(request: requests.Request, error: Exception) -> responses.Response:
    assert isinstance(error, exceptions.HTTPException)
    reason = f"{error.detail}: {request.method} {shown(request.url.path)}"
    return _error(error.status_code, reason, error.headers)


async def _gone(request: requests.Request, error: Exception) -> responses.Response:
    return _error(CLIENT_GONE, "the client closed the connection")


async def _failed(request: requests.Request, error: Exception) -> responses.Response:
    # The log has the traceback, which is none of a client's business.
    return _error(500, "the server failed; its log says why")


def _file(name: str, media_type: str) -> Callable[..., Awaitable[responses.Response]]:
    content = (_PAGE / name).read_bytes()

    async def send(request: requests.Request) -> responses.Response:
        return responses.Response(content, media_type=media_type)

    return send


class _Observed:
    """Logs and counts requests, and adds the headers of every answer."""

    def __init__(self, app: ASGIApp, service: Service, metrics: monitoring.Metrics):
        self._app = app
        self._service = service
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start = time.monotonic()
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        state["id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        status = CLIENT_GONE

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._headers(state["id"])]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._observe(scope, status, time.monotonic() - start)

    def _headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        headers = {**_SECURITY, "x-request-id": request_id}
        if self._service.draining:
            headers["connection"] = "close"
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        model = state.get("model", monitoring.NO_MODEL)
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        self._metrics.requests.labels(model, method, status).inc()
        self._metrics.seconds.labels(model).observe(seconds)
        client = scope.get("client")
        monitoring.access_log(
            "request",
            id=state["id"],
            client=client and client[0],
            method=scope["method"],
            path=scope["path"][:_LOGGED_PATH],
            status=status,
            seconds=round(seconds, 6),
            **{key: state[key] for key in ("model", "version", "rows") if key in state},
        )
