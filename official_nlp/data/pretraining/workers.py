"""Processes that each apply one function to jobs, with results in the order of the jobs.

They are programs of their own, which speak pickle over pipes, so they load neither TensorFlow nor
the script that called, and end when the caller does, however it ends.
"""

import collections
import concurrent.futures
import contextlib
import importlib
import os
import pathlib
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

_SOURCE = pathlib.Path(__file__).parents[3]
_JOBS_AHEAD = 2
_SECONDS_TO_END = 10


class Workers:
    """Processes that run a function; a context manager.

    with Workers("package.module:Class", settings, count=2) as workers:
        for result in workers.map(jobs): ...
    """

    def __init__(self, maker: str, settings, count: int):
        """Starts the processes.

        Args:
          maker: name of what is called with the settings, once in each process, and returns the
            function of a job.
          settings: see there.
          count: number of processes.
        """
        self._processes = [_start(maker) for _ in range(count)]
        self._settings = settings
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        for process in self._processes:
            self._free.put(process)
        self._threads = concurrent.futures.ThreadPoolExecutor(count)
        self._told: set[int] = set()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception):
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.wait()
            with contextlib.suppress(BrokenPipeError):  # of a job it did not live to read
                process.stdin.close()
            process.stdout.close()

    def map(self, jobs: Iterable) -> Iterator:
        """Yields a result for each job, in order, with few jobs in hand at a time.

        Raises:
          Exception: what the function raised.
          RuntimeError: a process ended by itself.
        """
        running: collections.deque[concurrent.futures.Future] = collections.deque()
        for job in jobs:
            running.append(self._threads.submit(self._run, job))
            if len(running) > _JOBS_AHEAD * len(self._processes):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def _run(self, job):
        process = self._free.get()
        try:
            if process.pid not in self._told:
                self._told.add(process.pid)
                _send(process.stdin, self._settings)
            _send(process.stdin, job)
            done, result = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise RuntimeError(
                f"a worker process ended with code {process.wait(_SECONDS_TO_END)} in the middle "
                "of its work (-9 is a kill, by the system where memory is short)"
            ) from error
        finally:
            self._free.put(process)
        if not done:
            raise result
        return result


def serve(make_function: Callable):
    """Answers jobs from standard input until it ends: what a worker does."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        function = make_function(pickle.load(sys.stdin.buffer))
        while True:
            job = pickle.load(sys.stdin.buffer)
            try:
                answer = True, function(job)
            except Exception as error:
                answer = False, error
            _send(answers, answer)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        # Nobody is left to answer; flushing at exit would complain.
        os._exit(0)


def _start(maker: str) -> subprocess.Popen:
    path = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH")]))
    # One thread each: there is a process for every core already.
    environment = os.environ | {"PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, "-m", "official_nlp.data.pretraining.workers", maker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        # An interrupt from the keyboard is for the caller, who then ends its workers.
        start_new_session=True,
    )


def _send(stream, message):
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    serve(getattr(importlib.import_module(module), name))
