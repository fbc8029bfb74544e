"""The one exception that answers a request with an error."""

from collections.abc import Mapping

from official_nlp import output


class Refused(Exception):
    """A request is answered with an error status and a reason in one line.

    Attributes:
      status: HTTP status code.
      reason: what is wrong, and what to do.
      headers: further headers of the answer.

    Args:
      status: HTTP status code.
      reason: what is wrong, and what to do; control characters become escapes.
      headers: further headers of the answer.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.status = status
        self.reason = output.escaped(reason)
        self.headers = dict(headers or {})


def bad(reason: str) -> Refused:
    """Return the exception for a request that is wrong in itself."""
    return Refused(400, reason)
