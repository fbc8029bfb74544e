"""Merge requests that arrive at about the same time into batches, and bound how many may wait."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from official_nlp.serving.server import rows
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from official_nlp.serving.server.tensors import Arrays, Signature

Outputs = dict[str, np.ndarray]
# Computes a signature, by name.
Run = Callable[[str, Arrays], Outputs]


@dataclasses.dataclass
class _Job:
    """Rows that are computed together.

    Attributes:
      key: only jobs of one key can be merged: signature, and sizes of the other axes.
      signature: name of the signature.
      inputs: arrays by name.
      rows: number of rows.
      tokens: estimated number of tokens of the longest row.
      arrival: time in seconds.
      result: the outputs.
    """

    key: tuple
    signature: str
    inputs: Arrays
    rows: int
    tokens: int
    arrival: float
    result: asyncio.Future


class Batcher:
    """Computes the requests for one version of a model, merged into batches.

    One thread computes one batch at a time; what arrives meanwhile is the next batch. The first
    request of an idle batcher waits a short time for others. Requests are computed in the order of
    arrival, except that those which can be merged with the oldest one are computed with it.

    Args:
      run: computes a signature; called in another thread, one call at a time.
      signatures: signatures by name.
      length: largest number of tokens that are computed of a text, or None if it is unknown.
      limits: limits of the server.
      observe: called with rows and estimated tokens of each batch.
    """

    def __init__(
        self,
        run: Run,
        signatures: Mapping[str, Signature],
        length: int | None,
        limits: Limits,
        observe: Callable[[int, int], None] = lambda rows, tokens: None,
    ):
        self._run = run
        self._signatures = signatures
        self._length = length
        self._limits = limits
        self._observe = observe
        # By number in the order of arrival, so that the job of a client that hangs up is removed.
        self._jobs: dict[int, _Job] = {}
        self._numbers = itertools.count()
        self._requests = 0
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        # Signatures whose outputs turned out to be no rows.
        self._not_rows: set[str] = set()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "batches")
        self._loop = asyncio.get_running_loop().create_task(self._compute_forever())

    @property
    def requests(self) -> int:
        """Number of requests that hold a place."""
        return self._requests

    @property
    def waiting(self) -> int:
        """Number of jobs that wait."""
        return len(self._jobs)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue during the block. While one is held, `close` waits.

        Raises:
          Refused: there is none.
        """
        if self._requests >= self._limits.queue:
            raise Refused(
                429,
                f"{self._requests} requests wait, which is the limit; try again later",
                {"Retry-After": "1"},
            )
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            self._ended.set()

    async def submit(self, name: str, inputs: Arrays) -> Outputs:
        """Compute a request that holds a place.

        Args:
          name: name of the signature.
          inputs: arrays by name, with equal numbers of rows.

        Raises:
          Refused: the model refuses the values.
        """
        numbers = []
        try:
            jobs = self._jobs_of(name, inputs)
            for job in jobs:
                numbers.append(next(self._numbers))
                self._jobs[numbers[-1]] = job
            self._arrived.set()
            parts = await asyncio.gather(*(job.result for job in jobs))
            return parts[0] if len(parts) == 1 else rows.joined(parts)
        finally:
            for number in numbers:
                self._jobs.pop(number, None)

    async def close(self) -> None:
        """Wait for all requests that hold a place, then end the thread."""
        while self._requests:
            self._ended.clear()
            await self._ended.wait()
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        self._thread.shutdown(wait=False)

    def _jobs_of(self, name: str, inputs: Arrays) -> list[_Job]:
        """Return the jobs of a request: one, or several of at most the size of a batch."""
        now, future = time.monotonic(), asyncio.get_running_loop().create_future
        if not self._is_by_row(name):
            # The unique key keeps it from being merged.
            return [_Job((object(),), name, inputs, 1, 1, now, future())]
        count = len(next(iter(inputs.values())))
        tokens = rows.estimated_tokens(inputs, self._length)
        step = max(1, self._limits.batch_tokens // tokens)
        key = (name, *((key, array.shape[1:]) for key, array in sorted(inputs.items())))
        parts = [
            {key: array[start : start + step] for key, array in inputs.items()}
            for start in range(0, count, step)
        ]
        sizes = [min(step, count - start) for start in range(0, count, step)]
        return [_Job(key, name, part, n, tokens, now, future()) for part, n in zip(parts, sizes)]

    def _is_by_row(self, name: str) -> bool:
        return self._signatures[name].by_row and name not in self._not_rows

    async def _compute_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_jobs()
            batch = self._take()
            if not batch:
                continue
            count = sum(job.rows for job in batch)
            self._observe(count, count * max(job.tokens for job in batch))
            try:
                results = await loop.run_in_executor(self._thread, self._compute, batch)
            except Exception as error:  # The requests fail, and those that follow do not.
                results = [error] * len(batch)
            for job, result in zip(batch, results):
                if job.result.done():  # Its client is gone.
                    continue
                if isinstance(result, Exception):
                    job.result.set_exception(result)
                else:
                    job.result.set_result(result)

    async def _wait_for_jobs(self) -> None:
        """Wait for a job, and a short time for others unless the batch is full."""
        while not self._jobs:
            self._arrived.clear()
            await self._arrived.wait()
        end = next(iter(self._jobs.values())).arrival + self._limits.batch_wait
        while self._jobs and len(self._fitting()) == len(self._jobs):
            remaining = end - time.monotonic()
            if remaining <= 0:
                return
            self._arrived.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), remaining)

    def _fitting(self) -> list[int]:
        """Return the numbers of the jobs of the next batch."""
        numbers: list[int] = []
        count = longest = 0
        first = next(iter(self._jobs.values()))
        for number, job in self._jobs.items():
            if job.key != first.key:
                continue
            count, longest = count + job.rows, max(longest, job.tokens)
            if numbers and count * longest > self._limits.batch_tokens:
                break
            numbers.append(number)
        return numbers

    def _take(self) -> list[_Job]:
        return [self._jobs.pop(number) for number in self._fitting()] if self._jobs else []

    def _compute(self, batch: Sequence[_Job]) -> list[Outputs | Exception]:
        """Return the outputs of each job, or why there are none."""
        if len(batch) == 1:
            return [self._one(batch[0])]
        name = batch[0].signature
        try:
            outputs = self._run(name, rows.merged([job.inputs for job in batch]))
        except Exception:
            # One job may be the cause, and the others are fine.
            return [self._one(job) for job in batch]
        parts = rows.divided(outputs, [job.rows for job in batch], self._signatures[name])
        if parts is None:
            self._not_rows.add(name)
            return [self._one(job) for job in batch]
        return list(parts)

    def _one(self, job: _Job) -> Outputs | Exception:
        try:
            return self._run(job.signature, job.inputs)
        except Refused as refused:
            return refused
        except Exception as error:
            logging.getLogger(__name__).exception("a model failed")
            return error
