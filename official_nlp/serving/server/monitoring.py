"""What an operator sees: metrics for Prometheus, and logs as JSON lines."""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import prometheus_client

from official_nlp.serving.server.repository import Served

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (16, 64, 256, 1024, 4096, 16_384, 65_536)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
# Servers may have the name of no model in a label, or clients could make any number of labels.
NO_MODEL = ""


class Metrics:
    """Counters of one server."""

    def __init__(self):
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter(
            "electra_requests",
            "Answered requests.",
            ["model", "method", "status"],
            registry=self.registry,
        )
        self.seconds = prometheus_client.Histogram(
            "electra_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rows = prometheus_client.Histogram(
            "electra_batch_rows",
            "Rows of a batch.",
            ["model"],
            buckets=_ROWS,
            registry=self.registry,
        )
        self.tokens = prometheus_client.Histogram(
            "electra_batch_tokens",
            "Estimated tokens of a batch, padding included.",
            ["model"],
            buckets=_TOKENS,
            registry=self.registry,
        )
        self.queue = prometheus_client.Gauge(
            "electra_queue_length", "Requests that wait.", ["model"], registry=self.registry
        )
        self.versions = prometheus_client.Gauge(
            "electra_model_version", "Version that is served.", ["model"], registry=self.registry
        )
        self.broken = prometheus_client.Counter(
            "electra_broken_versions",
            "Versions that could not be loaded.",
            ["model"],
            registry=self.registry,
        )

    def observe_batch(self, model: str, rows: int, tokens: int) -> None:
        """Count a batch."""
        self.rows.labels(model).observe(rows)
        self.tokens.labels(model).observe(tokens)

    def text(self, served: Mapping[str, Served]) -> bytes:
        """Return all metrics in the text format of Prometheus.

        Args:
          served: the models, whose queues and versions are read now.
        """
        for name, each in served.items():
            self.queue.labels(name).set(each.batcher.waiting)
            self.versions.labels(name).set(each.model.version)
        return prometheus_client.generate_latest(self.registry)


class JsonLines:
    """A log of one JSON object a line, in ASCII.

    Args:
      stream: returns the stream, such as standard error at the time of the call.
    """

    def __init__(self, stream: Callable[[], TextIO]):
        self._stream = stream

    def __call__(self, event: str, **fields: Any) -> None:
        """Write a line.

        Args:
          event: what happened.
          fields: values of JSON.
        """
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
        stream = self._stream()
        stream.write(json.dumps({"time": stamp, "event": event, **fields}) + "\n")
        stream.flush()


# Answered requests go to standard output, everything else to standard error.
access_log = JsonLines(lambda: sys.stdout)
event_log = JsonLines(lambda: sys.stderr)


class EventHandler(logging.Handler):
    """Writes records of Python's logging as events, such as those of uvicorn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        fields = {"logger": record.name, "level": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        event_log("log", **fields)
