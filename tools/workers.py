"""Run a training command in several processes that train one model; restart them together.

    python tools/workers.py --workers 2 -- electra train small DATA=data MODEL_DIR=runs/a \
        STRATEGY=multi_worker

starts two processes on this machine. On several machines that see one file system, start it on
each, with the same list and the index of the machine in it:

    python tools/workers.py --hosts 10.0.0.1:4000,10.0.0.2:4000 --index 0 -- electra train ...

When one process dies, the others are stopped, because they cannot compute their common sums without
it. Then all are started again, and continue from the last checkpoint. SIGTERM and Ctrl-C are
forwarded: the processes agree on a step, the first one saves, and all end with exit code 42.
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

# Exit codes of `electra` after which a restart is useless: done, usage, saved, not finite.
FINAL = (0, 2, 42, 43)
# Time for the other processes to notice that one died and to report it before they are stopped.
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
    parser.add_argument(
        "--hosts", help="host:port of the process of every machine, comma-separated"
    )
    parser.add_argument("--index", type=int, help="index of this machine among --hosts")
    parser.add_argument(
        "--restarts", type=int, default=3, help="number of restarts of all processes"
    )
    parser.add_argument("command", nargs="+", help="after --: the command of every process")
    arguments = parser.parse_args()
    if (arguments.hosts is None) != (arguments.index is None):
        parser.error("--hosts and --index belong together")
    if arguments.hosts and not 0 <= arguments.index < len(arguments.hosts.split(",")):
        parser.error(f"--index must be below the number of hosts, was {arguments.index}")
    if arguments.workers < 1:
        parser.error(f"--workers must be at least 1, was {arguments.workers}")
    return arguments


def _start(arguments: argparse.Namespace) -> list[subprocess.Popen]:
    if arguments.hosts:
        addresses, own = arguments.hosts.split(","), [arguments.index]
    else:
        # New ports every time: the system reserves those of a killed process for a while.
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(arguments.workers)]
        own = range(arguments.workers)
    return [_process(arguments.command, addresses, index) for index in own]


def _process(command: list[str], addresses: list[str], index: int) -> subprocess.Popen:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    process = subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # The terminal sends Ctrl-C to this process only, which forwards it.
        start_new_session=True,
    )
    _say(f"worker {index} is process {process.pid}")
    threading.Thread(target=_relay, args=(process, index), daemon=True).start()
    return process


def _relay(process: subprocess.Popen, index: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(f"[{index}] {line.decode(errors='replace')}")
        sys.stdout.flush()


def _wait(group: list[subprocess.Popen]) -> int:
    """Wait for all processes; return the first exit code that is not 0, after stopping the rest."""
    while all(process.poll() in (None, 0) for process in group):
        if all(process.poll() == 0 for process in group):
            return 0
        time.sleep(0.1)
    codes = [process.poll() for process in group if process.poll()]
    # After a request to stop, all processes save and end; after a fault they cannot.
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
