"""Runs a training command in several processes that train one model, and restarts them together.

    python tools/workers.py --workers 2 -- electra train small DATA=data MODEL_DIR=runs/a \
        STRATEGY=multi_worker

starts two processes on this machine. On several machines that see one file system, start it on
each, with the same list and the machine's own place in it:

    python tools/workers.py --hosts 10.0.0.1:4000,10.0.0.2:4000 --index 0 -- electra train ...

A process that dies takes the others with it: what they compute together cannot go on without it.
All are started again then, and continue from the last checkpoint. SIGTERM and Ctrl-C are passed on:
the processes agree on a step, the first saves, and all end with code 42.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

# Codes of `electra` after which starting again changes nothing: done, usage, saved, not finite.
FINAL = (0, 2, 42, 43)
# What a peer needs to notice that it is alone, and to say so, before it is stopped.
GRACE_SECONDS = 5


def main() -> int:
    arguments = _arguments()
    stopped = threading.Event()
    group: list[subprocess.Popen] = []

    def stop(number, frame):
        stopped.set()
        for process in group:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for attempt in range(arguments.restarts + 1):
        group[:] = _start(arguments)
        code = _wait(group)
        if code in FINAL or stopped.is_set():
            return code
        left = arguments.restarts - attempt
        _say(f"a worker ended with code {code}" + (", starting all again" if left else ""))
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2, help="processes on this machine")
    parser.add_argument("--hosts", help="host:port of every machine's process, comma-separated")
    parser.add_argument("--index", type=int, help="this machine's place among --hosts")
    parser.add_argument("--restarts", type=int, default=3, help="how often all are started again")
    parser.add_argument("command", nargs="+", help="after --, what every process runs")
    arguments = parser.parse_args()
    if (arguments.hosts is None) != (arguments.index is None):
        parser.error("--hosts and --index belong together")
    if arguments.hosts and not 0 <= arguments.index < len(arguments.hosts.split(",")):
        parser.error(f"--index must be a place among the hosts, was {arguments.index}")
    if arguments.workers < 1:
        parser.error(f"--workers must be at least 1, was {arguments.workers}")
    return arguments


def _start(arguments) -> list[subprocess.Popen]:
    if arguments.hosts:
        addresses, own = arguments.hosts.split(","), [arguments.index]
    else:
        # New ports every time: those of a killed process stay taken for a while.
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(arguments.workers)]
        own = range(arguments.workers)
    return [_process(arguments.command, addresses, index) for index in own]


def _process(command, addresses, index) -> subprocess.Popen:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    process = subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches this process alone, which passes it on.
        start_new_session=True,
    )
    _say(f"worker {index} is process {process.pid}")
    threading.Thread(target=_relay, args=(process, index), daemon=True).start()
    return process


def _relay(process, index):
    for line in process.stdout:
        sys.stdout.write(f"[{index}] {line.decode(errors='replace')}")
        sys.stdout.flush()


def _wait(group) -> int:
    """Waits for all; returns the first code that is not 0, after stopping what is left."""
    while all(process.poll() in (None, 0) for process in group):
        if all(process.poll() == 0 for process in group):
            return 0
        time.sleep(0.1)
    codes = [process.poll() for process in group if process.poll()]
    # Who was asked to stop waits for the others; who died is not waited for.
    deadline = time.monotonic() + (600 if codes[0] == 42 else GRACE_SECONDS)
    while any(process.poll() is None for process in group) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in group:
        if process.poll() is None:
            process.kill()
        process.wait()
    return codes[0]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _say(text: str) -> None:
    print(f"workers: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
