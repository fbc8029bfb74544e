"""Apply a function to jobs in several processes, with results in the order of the jobs."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import process
from typing import Any, Generic, TypeVar

Settings = TypeVar("Settings")
Job = TypeVar("Job")
Result = TypeVar("Result")

# Per process: one job in work, and one that is ready when it is done.
_JOBS_AHEAD = 2


class WorkerPool(Generic[Settings, Job, Result]):
    """Processes that apply a function to jobs; a context manager.

    This is `concurrent.futures.ProcessPoolExecutor` with three additions. The processes do not
    import the script that called (nor, with it, TensorFlow), so a script needs no
    `if __name__ == "__main__":`. They end when the caller ends, even if it is killed. An interrupt
    from the keyboard reaches the caller alone, which then ends them.

    Example:
      with WorkerPool(BlockBuilder, settings, count=2) as workers:
          for result in workers.map(blocks):
              ...
    """

    def __init__(
        self,
        make_function: Callable[[Settings], Callable[[Job], Result]],
        settings: Settings,
        count: int,
    ) -> None:
        """Prepare the processes, which start with the first jobs.

        Args:
          make_function: called with `settings` once in each process; returns the function that is
            applied to the jobs. A class or function of a module, not of the calling script.
          settings: argument of `make_function`.
          count: number of processes.
        """
        self._jobs_ahead = _JOBS_AHEAD * count
        # Not forked: TensorFlow may have started threads, whose locks a fork copies as they are.
        self._executor = concurrent.futures.ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), _start, (make_function, settings)
        )

    def __enter__(self) -> "WorkerPool[Settings, Job, Result]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def map(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield one result per job, in order, with a bounded number of jobs in progress.

        Raises:
          Exception: what the function raised.
          RuntimeError: a process has ended unexpectedly.
        """
        waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
        try:
            for job in jobs:
                with _isolated_start():
                    waiting.append(self._executor.submit(_work, job))
                # Waiting for the oldest result bounds memory, and keeps the order of the jobs.
                if len(waiting) > self._jobs_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except process.BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process has ended in the middle of its work. The system kills processes "
                "when memory runs out: try again with fewer processes"
            ) from error


# The function of a worker process; `_start` sets it, and nothing does in the calling process.
_function: Callable[[Any], Any] | None = None


def _start(
    make_function: Callable[[Settings], Callable[[Job], Result]], settings: Settings
) -> None:
    """Prepare a worker process."""
    global _function
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The tokenizer would start a thread for every core, in a process for every core.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _function = make_function(settings)


def _work(job: Any) -> Any:
    assert _function is not None
    return _function(job)


def _end_with_parent() -> None:
    """End this process when the parent ends.

    Otherwise the workers of a killed caller wait for jobs forever: each of them holds both ends of
    the pipe that the jobs come through, so none of them ever reads the end of it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _isolated_start() -> Iterator[None]:
    """Start processes within the block that import no script and ignore the keyboard.

    `multiprocessing` imports the script of the caller in every new process, for functions defined
    there. The functions here never are, and without `if __name__ == "__main__":` the script would
    run again from its first line. A module without a file, as in an interactive interpreter, has
    nothing to import; so one stands in for the script while processes may start.

    A blocked signal stays blocked in a new process, but here only until the block ends.
    """
    script = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
