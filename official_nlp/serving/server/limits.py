"""Where a server listens, what it accepts, and how long it waits."""

import dataclasses

from official_nlp import ranges

HOST, PORT = "127.0.0.1", 8501
_HOUR = 3600.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
      body_bytes: largest body of a request.
      all_body_bytes: largest sum of the bodies of all requests that are not answered yet.
      instances: largest number of instances in a request.
      text_bytes: largest text, in bytes of UTF-8.
      batch_tokens: largest size of a batch in tokens, as estimated from bytes.
      batch_wait: seconds for which the first request of a batch waits for others.
      queue: largest number of requests for a model that wait or are computed.
      timeout: seconds from a complete request to its answer.
      client_timeout: seconds for which a client may take to send a request, or to read an answer.
      reload_interval: seconds between two looks for new versions; 0 for none.
    """

    body_bytes: int = 4 << 20
    all_body_bytes: int = 256 << 20
    instances: int = 256
    text_bytes: int = 1 << 18
    batch_tokens: int = 16_384
    batch_wait: float = 0.002
    queue: int = 512
    timeout: float = 30.0
    client_timeout: float = 30.0
    reload_interval: float = 5.0

    def __post_init__(self):
        ranges.check(self, RANGES)


RANGES: dict[str, ranges.Integer | ranges.Number] = {
    "body_bytes": ranges.Integer(1, 1 << 30),
    "all_body_bytes": ranges.Integer(1, 1 << 40),
    "instances": ranges.Integer(1, 1_000_000),
    "text_bytes": ranges.Integer(1, 1 << 30),
    "batch_tokens": ranges.Integer(1, 1 << 30),
    "batch_wait": ranges.Number(0, 60),
    "queue": ranges.Integer(1, 1_000_000),
    "timeout": ranges.Number(0, _HOUR, above=True),
    "client_timeout": ranges.Number(0, _HOUR, above=True),
    "reload_interval": ranges.Number(0, 24 * _HOUR),
}
