"""Serve exported models over HTTP, with a page to try them.

DIR is a folder that `electra export` wrote as a SavedModel, and its name is that of the model. The
newest version is served; a newer one that appears replaces it without a pause. The interfaces are
those of TensorFlow Serving (/v1/models/NAME:predict) and the Open Inference Protocol
(/v2/models/NAME/infer). / is a page for people, /metrics is for Prometheus. Requests are logged on
standard output and events on standard error, as JSON lines. SIGTERM and Ctrl-C stop the server
after it has answered what it accepted.

  electra export runs/reviews/model --to served/reviews
  electra serve served/reviews
  curl -d '{"instances": ["An awful film."]}' localhost:8501/v1/models/reviews:predict
"""

import argparse

from official_nlp.cli import arguments
from official_nlp.errors import missing_package
from official_nlp.ranges import Number
from official_nlp.serving.server.limits import HOST, PORT, RANGES, Limits

_PACKAGES = ("starlette", "uvicorn", "prometheus_client")
_DEFAULTS = Limits()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=arguments.path,
        metavar="DIR",
        help="exported folders, with different names",
    )
    parser.add_argument(
        "--host",
        default=HOST,
        help="address to listen at; 0.0.0.0 lets other machines connect (default: %(default)s, "
        "which is this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=arguments.integer(0, 65535),
        default=PORT,
        help="port to listen at; 0 chooses a free one (default: %(default)s)",
    )
    for option, (field, units, text) in _LIMITS.items():
        limit = RANGES[field]
        low = int(limit.low * units) + (isinstance(limit, Number) and limit.above)
        parser.add_argument(
            option,
            dest=field,
            type=arguments.integer(low, int(limit.high * units)),
            default=round(getattr(_DEFAULTS, field) * units),
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )


# For each option the field of `Limits`, and how many units of the option make one of the field.
_LIMITS = {
    "--batch-tokens": (
        "batch_tokens",
        1,
        "largest batch, in tokens as estimated from bytes; less takes less memory",
    ),
    "--batch-wait": (
        "batch_wait",
        1000,
        "milliseconds for which the first request of a batch waits for others",
    ),
    "--queue": (
        "queue",
        1,
        "requests for a model that may wait; others are refused with status 429",
    ),
    "--instances": ("instances", 1, "largest number of instances in a request"),
    "--body-bytes": ("body_bytes", 1, "largest body of a request, in bytes"),
    "--timeout": ("timeout", 1, "seconds after which a request is given up"),
    "--reload": ("reload_interval", 1, "seconds between two looks for newer versions; 0 for none"),
}


def run(args: argparse.Namespace) -> None:
    """Serve until asked to stop."""
    try:
        from official_nlp.serving.server import process
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _PACKAGES:
            raise missing_package("serve", error.name, "serve") from error
        raise
    given = {}
    for field, units, _ in _LIMITS.values():
        value = getattr(args, field)
        given[field] = value / units if isinstance(RANGES[field], Number) else value
    process.serve(args.folders, args.host, args.port, Limits(**given))
