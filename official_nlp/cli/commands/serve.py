"""Serve exported models over HTTP, with a page to try them.

DIR is a folder that `electra export` wrote, and its name is that of the model. The newest version
is served; a newer one that appears replaces it without a pause. The interfaces are those of
TensorFlow Serving (/v1/models/NAME:predict) and the Open Inference Protocol
(/v2/models/NAME/infer). / is a page for people, /metrics is for Prometheus. Requests are logged on
standard output and events on standard error, as JSON lines. SIGTERM and Ctrl-C stop the server
after it has answered what it accepted.

  electra export runs/reviews/model --to served/reviews
  electra serve served/reviews
  curl -d '{"instances": ["An awful film."]}' localhost:8501/v1/models/reviews:predict
"""

import argparse

from official_nlp.cli import arguments
from official_nlp.errors import InputError
from official_nlp.serving.server.limits import Limits

_HOST, _PORT = "127.0.0.1", 8501
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
        default=_HOST,
        help="address to listen at; 0.0.0.0 lets other machines connect (default: %(default)s, "
        "which is this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=arguments.integer(0, 65535),
        default=_PORT,
        help="port to listen at; 0 chooses a free one (default: %(default)s)",
    )
    for option, (low, high, default, text) in _LIMITS.items():
        parser.add_argument(
            option,
            type=arguments.integer(low, high),
            default=default,
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )


_LIMITS = {
    "--batch-tokens": (
        1,
        1 << 30,
        _DEFAULTS.batch_tokens,
        "largest batch, in tokens as estimated from bytes; less takes less memory",
    ),
    "--batch-wait": (
        0,
        60_000,
        int(1000 * _DEFAULTS.batch_wait),
        "milliseconds for which the first request of a batch waits for others",
    ),
    "--queue": (
        1,
        1_000_000,
        _DEFAULTS.queue,
        "requests for a model that may wait; others are refused with status 429",
    ),
    "--instances": (1, 1_000_000, _DEFAULTS.instances, "largest number of instances in a request"),
    "--body-bytes": (1, 1 << 30, _DEFAULTS.body_bytes, "largest body of a request, in bytes"),
    "--timeout": (1, 3600, int(_DEFAULTS.timeout), "seconds after which a request is given up"),
    "--reload": (
        0,
        86_400,
        int(_DEFAULTS.reload_interval),
        "seconds between two looks for newer versions; 0 for none",
    ),
}


def run(args: argparse.Namespace) -> None:
    """Serve until asked to stop."""
    try:
        from official_nlp.serving.server import process
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _PACKAGES:
            raise InputError(
                f"serve needs the package {error.name}: pip install 'official_nlp[serve]', or in a "
                "checkout pip install -e '.[serve]'"
            ) from error
        raise
    limits = Limits(
        batch_tokens=args.batch_tokens,
        batch_wait=args.batch_wait / 1000,
        queue=args.queue,
        instances=args.instances,
        body_bytes=args.body_bytes,
        timeout=float(args.timeout),
        reload_interval=float(args.reload),
    )
    process.serve(args.folders, args.host, args.port, limits)
