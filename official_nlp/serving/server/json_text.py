"""JSON of unknown origin, and JSON for any reader."""

import json
from typing import Any

from official_nlp.ranges import shown
from official_nlp.serving.server.refused import Refused, bad


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object that the body of a request holds.

    Raises:
      Refused: the body is not UTF-8, not JSON, nested too deeply, or no object.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise bad(f"the body must be UTF-8, but byte {error.start} is not") from error
    except RecursionError as error:
        raise bad("the body is nested too deeply") from error
    except ValueError as error:
        raise bad(f"the body must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad(f"the body must be a JSON object, but is {described(value)}")
    return value


def write(value: Any) -> bytes:
    """Return JSON in UTF-8.

    Raises:
      Refused: a number is infinite or not a number, which JSON cannot express.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise Refused(500, "the model returned a number that is not finite") from error
    return text.encode("utf-8", "replace")


def described(value: Any) -> str:
    """Return what a value of JSON is, for a message.

    The content of lists and objects is left out: it may be nested too deeply to be printed.
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return (
        {None: "null", True: "true", False: "false"}[value] if _is_constant(value) else shown(value)
    )


def check_fields(value: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """Refuse fields that have no meaning, which are mostly misspelt.

    Raises:
      Refused: there is one.
    """
    unknown = next((name for name in value if name not in known), None)
    if unknown is not None:
        raise bad(f"{what} has the unknown field {shown(unknown)}; fields are {', '.join(known)}")


def _is_constant(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
