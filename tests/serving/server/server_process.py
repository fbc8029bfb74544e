"""A server in a process of its own, as a user starts it."""

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
from typing import Any

ROOT = pathlib.Path(__file__).parents[3]


class ServerProcess:
    """The process of `electra serve`.

    Attributes:
      process: the process.
      url: its address, once it serves.

    Args:
      words: arguments of the verb.
    """

    def __init__(self, *words: str | os.PathLike):
        command = [sys.executable, "-m", "official_nlp", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._events: queue.Queue = queue.Queue()
        self.requests: list[dict[str, Any]] = []
        for stream, keep in (
            (self.process.stderr, self._events.put),
            (self.process.stdout, self.requests.append),
        ):
            threading.Thread(target=self._read, args=(stream, keep), daemon=True).start()
        self.url = self.event("serving")["url"]

    def _read(self, stream: Any, keep: Any) -> None:
        for line in stream:
            keep(json.loads(line) if line.startswith("{") else {"event": "text", "text": line})

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the next event of a name and return it."""
        while True:
            event = self._events.get(timeout=120)
            if event["event"] == name:
                return event

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(60)
